"""The sentence vectors of all visual words: some thousand sentences, kept on this machine once computed."""

import contextlib
import hashlib
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cinescribe import storage, zoo
from cinescribe.encoders.text import SentenceEncoder
from cinescribe.encoders.visual_words import WordMatcher


def word_matcher(encoder: SentenceEncoder) -> WordMatcher:
    """Weighs visual words by queries; slow to make only the first time on a machine."""
    return WordMatcher(_Remembering(encoder))


class _Remembering:
    """A sentence encoder whose vectors of the same texts come from a file the next time."""

    def __init__(self, encoder: SentenceEncoder) -> None:
        self._encoder = encoder

    def encode(self, texts: Sequence[str]) -> NDArray[np.float16]:
        """Vectors of length 1: float16 [len(texts), dim]."""
        key = hashlib.sha256(repr((dict(self._encoder.weights), list(texts))).encode()).hexdigest()[:32]
        path = zoo.store_folder().parent / "labels" / f"{key}.npy"
        try:
            kept: NDArray[np.float16] = np.load(path, allow_pickle=False)
            if kept.shape == (len(texts), self._encoder.dim):
                return kept
        except (OSError, ValueError):  # not there yet, or damaged
            pass
        vectors = self._encoder.encode(texts)
        buffer = io.BytesIO()
        np.save(buffer, vectors)
        with contextlib.suppress(OSError):  # where nothing can be kept it is computed each time
            storage.write_bytes(str(path), buffer.getvalue())
        return vectors
