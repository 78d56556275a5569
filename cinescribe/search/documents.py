"""A film's rows of the index, made from its tables."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cinescribe import tables
from cinescribe.encoders.text import SentenceEncoder
from cinescribe.search.store import schema


def text_rows(speech: tables.Row, encoder: SentenceEncoder) -> pa.Table:
    """The rows of `texts`: what was said, and what the narrator described, an utterance a row."""
    film_id = speech["film_id"]
    said = [utterance for utterance in speech["utterances"] if utterance["text"].strip()]
    columns = {
        "id": [f"{film_id}#{k}" for k in range(len(said))],
        "film_id": [film_id] * len(said),
        "start": [float(u["start"]) for u in said],
        "end": [float(u["end"]) for u in said],
        "source": ["description" if u["role"] == "narrator" else "speech" for u in said],
        "role": [u["role"] for u in said],
        "speaker": [u["speaker"] for u in said],
        "text": [" ".join(u["text"].split()) for u in said],
    }
    vectors = encoder.encode(columns["text"])
    return pa.table({**columns, "vector": as_column(vectors)}, schema("texts", encoder.dim))


def as_column(vectors: NDArray[np.float16]) -> pa.Array:
    """Vectors [N, D] as a column of lists of D."""
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float16).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
