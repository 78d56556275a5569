"""A film's rows of the index, made from its tables."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cinescribe import tables
from cinescribe.describe.corrected import generated_of, holding
from cinescribe.describe.corrections import Corrections
from cinescribe.encoders.text import SentenceEncoder
from cinescribe.encoders.visual_words import Kind, Word, words_of
from cinescribe.errors import UsageError
from cinescribe.search.embedding import WindowEncoder, features_end, windows_of
from cinescribe.search.store import schema
from cinescribe.tables import Features

WORDS_WINDOW = 3.0  # seconds of a row of `visuals`
CLIP_WINDOW = 2.0  # seconds of a row of `clip`
_STEPS = 4  # how finely a confidence is told by repeating a token


def text_rows(speech: tables.Row, encoder: SentenceEncoder) -> pa.Table:
    """The rows of `texts`: what was said, and what the narrator described, an utterance a row."""
    said = [
        (u["start"], u["end"], "description" if u["role"] == "narrator" else "speech", *_who_says(u))
        for u in speech["utterances"]
    ]
    return _texts(speech["film_id"], "", said, encoder)


def generated_rows(row: tables.Row, made: Corrections, encoder: SentenceEncoder) -> pa.Table:
    """The rows of `texts` of a film's generated description as people corrected it, an interval a row.

    What has no place to be spoken is found all the same; what a person took out is not.

    Args:
        row: of the film in `descriptions`.
        made: the film's corrections.
        encoder: of sentences.
    """
    said = []
    generated = generated_of(row)
    for one, its in zip(generated, holding(generated, made), strict=True):
        text, role = (its.text, "corrected") if its else (one.sentence.text, "generated")
        said.append((one.sentence.start, one.sentence.end, "generated", role, "", text))
    return _texts(row["film_id"], "g", said, encoder)


def _who_says(utterance: Mapping[str, Any]) -> tuple[str, str, str]:
    return utterance["role"], utterance["speaker"], utterance["text"]


def _texts(
    film_id: str,
    kind: str,
    said: Iterable[tuple[float, float, str, str, str, str]],
    encoder: SentenceEncoder,
) -> pa.Table:
    """Rows of `texts` from start, end, source, role, speaker and text; what has no text is left out."""
    kept = [one for one in said if one[-1].strip()]
    names = ("start", "end", "source", "role", "speaker", "text")
    columns: dict[str, Any] = {name: [one[place] for one in kept] for place, name in enumerate(names)}
    columns["text"] = [" ".join(text.split()) for text in columns["text"]]
    columns |= {"id": [f"{film_id}#{kind}{k}" for k in range(len(kept))], "film_id": [film_id] * len(kept)}
    columns["vector"] = as_column(encoder.encode(columns["text"]))
    return pa.table(columns, schema("texts", encoder.dim))


def word_rows(film_id: str, features: Mapping[Kind, Features]) -> pa.Table:
    """The rows of `visuals`: the visual words of each window in which any was recognised.

    Args:
        film_id: of the film.
        features: of the encoders `objects` and `actions`, those that there are.
    """
    seen: dict[int, list[Word]] = {}
    for kind, film in features.items():
        for window, rows in _windows(film, WORDS_WINDOW):
            seen.setdefault(window, []).extend(words_of(kind, rows))
    found = []
    for window in sorted(seen):
        words = sorted(seen[window], key=lambda word: -word.confidence)
        if words:
            tokens = ([token(word.label.id)] * math.ceil(_STEPS * word.confidence) for word in words)
            found.append(
                {
                    "id": f"{film_id}#{window}",
                    "film_id": film_id,
                    "start": window * WORDS_WINDOW,
                    "end": (window + 1) * WORDS_WINDOW,
                    "tokens": " ".join(itertools.chain.from_iterable(tokens)),
                    "words": [{"label": word.label.id, "confidence": word.confidence} for word in words],
                }
            )
    return pa.Table.from_pylist(found, schema("visuals"))


def clip_rows(film_id: str, film: Features) -> pa.Table:
    """The rows of `clip`: for each window the mean direction of its CLIP vectors, unit length."""
    windows, vectors = [], []
    for window, rows in _windows(film, CLIP_WINDOW):
        exact = rows[~np.isnan(rows).any(1)].astype(np.float32)
        mean = (exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-6)).sum(0)
        if (length := float(np.linalg.norm(mean))) > 0:
            windows.append(window)
            vectors.append(mean / length)
    dim = film.array.shape[1]
    columns = {
        "id": [f"{film_id}#{window}" for window in windows],
        "film_id": [film_id] * len(windows),
        "start": [window * CLIP_WINDOW for window in windows],
        "end": [(window + 1) * CLIP_WINDOW for window in windows],
        "vector": as_column(np.array(vectors, np.float16).reshape(-1, dim)),
    }
    return pa.table(columns, schema("clip", dim))


def model_rows(root: str, film_id: str, duration: float, model: WindowEncoder, window: float) -> pa.Table:
    """The rows of `model`: of each window in which there is anything that the model reads, its vector.

    Args:
        root: folder or `s3://` prefix of the tables.
        film_id: of the film.
        duration: of it, seconds; 0 where it is not known: then it ends with its features.
        model: a trained one.
        window: seconds of a row.

    Raises:
        UsageError: a table holds other features than the model's, or a vector has numbers that are none.
    """
    spans = windows_of(duration or features_end(root, film_id, model), window)
    if not spans:
        return schema("model", model.dim).empty_table()
    vectors, flags = model.encode_windows(root, film_id, spans)
    kept = np.flatnonzero(flags)
    with np.errstate(over="ignore"):  # what is beyond float16 becomes infinite, and is told below
        rows = vectors[kept].astype(np.float16)
    if not np.isfinite(rows).all():
        raise UsageError(
            f"{root}: vectors of {film_id} by the model {model.name} are not finite numbers; extract "
            f"{' and '.join(model.tables)} of it again, or train the model again if it is so of all films"
        )
    columns = {
        "id": [f"{film_id}#{k}" for k in kept],
        "film_id": [film_id] * len(kept),
        "start": [spans[k][0] for k in kept],
        "end": [spans[k][1] for k in kept],
        "flags": flags[kept],
        "vector": as_column(rows.reshape(-1, model.dim)),
    }
    return pa.table(columns, schema("model", model.dim))


def token(label: int) -> str:
    """What stands for a visual word in the index; repeated the oftener the surer the network was."""
    return f"w{label}"


def as_column(vectors: NDArray[np.float16]) -> pa.Array:
    """Vectors [N, D] as a column of lists of D."""
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float16).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])


def _windows(film: Features, seconds: float) -> Iterator[tuple[int, NDArray[np.float16]]]:
    """The windows [k * seconds, (k + 1) * seconds) that have features: k, and the features [T, D] in it."""
    if not len(film.times):
        return
    numbers = np.floor(film.times / seconds + 1e-9).astype(np.int64)
    borders = np.flatnonzero(np.diff(numbers)) + 1
    for rows in np.split(np.arange(len(numbers)), borders):
        yield int(numbers[rows[0]]), film.array[rows]
