"""The words of a caption model as numbers: those that training captions use often enough."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cinescribe.annotations.types import BLANK
from cinescribe.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

PADDING, BLANKED, START, END = range(4)
SPECIALS = ("<pad>", "<blank>", "<start>", "<end>")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case; a blank is `annotations.types.BLANK`."""
    return re.findall(r"[\w']+", text.lower())


class Vocabulary:
    """Words and their numbers; 0 to 3 are padding, the blank, the start and the end of a sentence.

    Args:
        words: in order; the first has the number 4.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._ids = {word: number for number, word in enumerate(self.words, len(SPECIALS))}
        self._ids[BLANK] = BLANKED

    @classmethod
    def of(cls, captions: Iterable[str], least: int = 4) -> "Vocabulary":
        """The words that captions use at least so often: more than three times in JSFusion and CT-SAN.

        Raises:
            UsageError: there are none.
        """
        counts = Counter(word for caption in captions for word in words_of(caption))
        words = sorted(word for word, count in counts.items() if count >= least and word != BLANK)
        if not words:
            raise UsageError(f"no word is used {least} times in the captions; there are {len(counts)} words")
        return cls(words)

    def __len__(self) -> int:
        return len(SPECIALS) + len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._ids

    def number(self, word: str) -> int:
        """Of a word that is there."""
        return self._ids[word]

    def ids(self, text: str, most: int) -> list[int]:
        """Numbers of the first `most` known words; others are left out."""
        return [self._ids[word] for word in words_of(text) if word in self._ids][:most]

    def text(self, ids: Iterable[int]) -> str:
        """The words of numbers, without the special ones."""
        return " ".join(self.words[number - len(SPECIALS)] for number in ids if number >= len(SPECIALS))

    def batch(self, texts: Sequence[str], most: int) -> "tuple[Tensor, Tensor]":
        """[texts, words] numbers, 0 behind, and [texts] how many words each has.

        A text without any known word has one: padding.
        """
        import torch

        rows = [self.ids(text, most) or [PADDING] for text in texts]
        ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        for row, numbers in enumerate(rows):
            ids[row, : len(numbers)] = torch.tensor(numbers)
        return ids, torch.tensor([len(numbers) for numbers in rows])


def word_vectors(vocabulary: Vocabulary, source: str, width: int = 300) -> "Tensor | None":
    """Vectors to begin with, [numbers, width] float32; words without one have random ones of their length.

    Args:
        vocabulary: whose words.
        source: "fresh" for none, "word2vec" for those of the zoo, or a text file of GloVe (a line: a word and
            its numbers), such as glove.42B.300d.txt.
        width: of a vector.

    Raises:
        UsageError: there is no such file, or its vectors have another width.
        WeightsError: the zoo's vectors can't be had.
    """
    import torch

    if source == "fresh":
        return None
    known = _word2vec(vocabulary) if source == "word2vec" else _glove(vocabulary, Path(source), width)
    if not known:
        raise UsageError(f"{source}: none of the {len(vocabulary.words)} words of the captions is in it")
    found = torch.stack(list(known.values()))
    if found.shape[1] != width:
        raise UsageError(f"{source}: vectors of {found.shape[1]} numbers, where {width} are wanted")
    vectors = torch.randn(len(vocabulary), width) * found.std()
    vectors[PADDING] = 0
    for word, vector in known.items():
        vectors[vocabulary.number(word)] = vector
    return vectors


def _word2vec(vocabulary: Vocabulary) -> "dict[str, Tensor]":
    import torch

    from cinescribe.encoders.words import WordVectors

    table = WordVectors()
    words = [word for word in vocabulary.words if word in table]
    vectors = torch.from_numpy(table(words, 1).vectors[:, 0]) if words else torch.zeros(0, 1)
    return dict(zip(words, vectors, strict=True))


def _glove(vocabulary: Vocabulary, path: Path, width: int) -> "dict[str, Tensor]":
    import torch

    known = {}
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                word, _, rest = line.partition(" ")
                if word in vocabulary:
                    values = [float(value) for value in rest.split()]
                    if len(values) != width:
                        raise UsageError(f"{path}: line {number} has {len(values)} numbers, not {width}")
                    known[word] = torch.tensor(values)
    except FileNotFoundError as error:
        raise UsageError(f'{path}: no such file of word vectors; give one, "word2vec" or "fresh"') from error
    except ValueError as error:
        raise UsageError(f"{path}: not a text file of word vectors ({error})") from error
    return known
