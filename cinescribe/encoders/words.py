"""Words as vectors: word2vec and GloVe, a text as the bag of its known words.

As MIL-NCE reads sentences, and Collaborative Experts speech and text in the picture: lower case, words of
letters, digits and apostrophes, unknown words left out, the first ones kept, zeros behind.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cinescribe import zoo
from cinescribe.errors import UsageError, WeightsError

WORD2VEC = "word2vec-googlenews-26k"
GLOVE = "glove-6b-50d"


@dataclass(frozen=True, slots=True)
class BagsOfWords:
    """Texts as vectors of their words.

    Attributes:
        vectors: float32 [N, L, dim]; L: words of the longest text, or as many as were asked for.
        known: bool [N, L], True where there is a word; zeros elsewhere.
    """

    vectors: NDArray[np.float32]
    known: NDArray[np.bool_]

    def mean(self) -> NDArray[np.float32]:
        """The mean over the words of each text, float32 [N, dim]; NaN for a text without any known word."""
        counts = self.known.sum(1, keepdims=True).astype(np.float32)
        return self.vectors.sum(1) / np.where(counts == 0, np.nan, counts)


class WordVectors:
    """A table of word vectors.

    Args:
        name: `WORD2VEC` (300-d, of unit length) or `GLOVE` (50-d).

    Raises:
        UsageError: no such table.
        WeightsError: the table can't be had.
    """

    def __init__(self, name: str = WORD2VEC) -> None:
        if name not in (WORD2VEC, GLOVE):
            raise UsageError(f"no word vectors are called {name!r}; there are: {WORD2VEC}, {GLOVE}")
        self.name = name
        self._rows, self._vectors = _table(name)
        self.dim = int(self._vectors.shape[1])

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, word: str) -> bool:
        return word in self._rows

    def __call__(self, texts: Sequence[str], max_words: int | None = None) -> BagsOfWords:
        """Vectors of the words of texts.

        Args:
            texts: any.
            max_words: known words kept of a text, and the length of its row; None: all, the longest's.
        """
        found = [self.known_words(text)[:max_words] for text in texts]
        length = max_words or max(map(len, found), default=0)
        vectors = np.zeros((len(texts), length, self.dim), np.float32)
        known = np.zeros((len(texts), length), np.bool_)
        for row, words in enumerate(found):
            vectors[row, : len(words)] = self._vectors[[self._rows[word] for word in words]]
            known[row, : len(words)] = True
        return BagsOfWords(vectors, known)

    def known_words(self, text: str) -> list[str]:
        """The words of a text which the table has: in lower case, or else as written (names)."""
        words = re.findall(r"[\w']+", text)
        spelled = [word.lower() if word.lower() in self._rows else word for word in words]
        return [word for word in spelled if word in self._rows]


@cache
def _table(name: str) -> tuple[dict[str, int], NDArray[np.float32]]:
    """Rows by word, and the vectors [words, dim]."""
    found = zoo.path(name)
    words, vectors = _read_word2vec(found) if name == WORD2VEC else _read_glove(found)
    return {word: row for row, word in enumerate(words)}, vectors


def _read_word2vec(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    """The binary format of word2vec: a line "words dim", then each word, a space and its float32 numbers."""
    content = path.read_bytes()
    header, _, _ = content.partition(b"\n")
    count, dim = map(int, header.split())
    words, vectors, at = [], np.empty((count, dim), np.float32), len(header) + 1
    for row in range(count):
        space = content.find(b" ", at)
        if space < 0 or space + 1 + 4 * dim > len(content):
            raise WeightsError(f"{path}: ends after {row} of {count} words; delete it and pull again")
        words.append(content[at:space].lstrip(b"\n").decode())  # some writers end each vector with a newline
        vectors[row] = np.frombuffer(content, "<f4", dim, space + 1)
        at = space + 1 + 4 * dim
    return words, vectors


def _read_glove(folder: Path) -> tuple[list[str], NDArray[np.float32]]:
    """The words of a Parquet column and the vectors of an array in the same order."""
    import pyarrow.parquet

    words = pyarrow.parquet.read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
    return words, np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r", allow_pickle=False)
