"""Which visual words a query looks for; slow to make ready only the first time on a machine."""

import contextlib
import hashlib
import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cinescribe import storage, zoo
from cinescribe.encoders.text import SentenceEncoder
from cinescribe.encoders.visual_words import WordMatcher


class LabelWeigher:
    """Weighs visual words by queries whose sentence vectors are known. For one thread at a time."""

    def __init__(self, encoder: SentenceEncoder) -> None:
        self._sentences = _Remembering(encoder)
        self._matcher = WordMatcher(self._sentences)

    def weights(self, text: str, vector: NDArray[np.float16]) -> Mapping[int, float]:
        """label id -> weight in (0, 1] of the labels that mean something like the query."""
        self._sentences.known = {text: vector}
        return self._matcher.weights(text)


class _Remembering:
    """A sentence encoder that knows some vectors, and keeps those of the labels in a file on this machine.

    Attributes:
        known: vectors by their text.
    """

    def __init__(self, encoder: SentenceEncoder) -> None:
        self._encoder = encoder
        self.known: Mapping[str, NDArray[np.float16]] = {}

    def encode(self, texts: Sequence[str]) -> NDArray[np.float16]:
        """Vectors of length 1: float16 [len(texts), dim]."""
        if all(text in self.known for text in texts):
            return np.stack([self.known[text] for text in texts])
        key = hashlib.sha256(repr((dict(self._encoder.weights), list(texts))).encode()).hexdigest()[:32]
        path = zoo.store_folder().parent / "labels" / f"{key}.npy"
        with contextlib.suppress(OSError, ValueError):  # not there yet, or damaged
            kept: NDArray[np.float16] = np.load(path, allow_pickle=False)
            if kept.shape == (len(texts), self._encoder.dim):
                return kept
        vectors = self._encoder.encode(texts)
        buffer = io.BytesIO()
        np.save(buffer, vectors)
        with contextlib.suppress(OSError):  # where nothing can be kept it is computed each time
            storage.write_bytes(str(path), buffer.getvalue())
        return vectors
