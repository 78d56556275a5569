"""How TAN reads sentences: words whose encoder is trained with it, or a frozen sentence encoder.

mil-nce     the word encoder of MIL-NCE's published S3D, as in the paper; trained but for its word vectors
word2vec    the same network from nothing, over the word2vec vectors of the zoo
fresh       the same, the word vectors learned, too, for the words of the training data
another     a sentence encoder of the zoo or a folder, frozen
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cinescribe.models.word2vec_text import Word2VecText, WordIds

if TYPE_CHECKING:
    from cinescribe.encoders.text import SentenceEncoder
    from cinescribe.models.tan import TANPair

_KEPT = 200_000  # sentences whose vectors are remembered
TRAINED = ("mil-nce", "word2vec", "fresh")


def words_of(text: str, sentences: Sequence[str]) -> list[str]:
    """The vocabulary of a word encoder, in order; for "mil-nce" that of its file."""
    if text == "mil-nce":
        from cinescribe.encoders import s3d

        return s3d.read_words(_file(s3d.WORDS_FILE))
    counts = Counter(word for sentence in sentences for word in re.findall(r"[\w']+", sentence.lower()))
    words = sorted(counts)
    if text == "fresh":
        return words
    from cinescribe.encoders.words import WordVectors

    known = WordVectors()
    return [word for word in words if word in known]


def fill_words(tower: Word2VecText, text: str, words: Sequence[str]) -> None:
    """Give a word encoder the weights that its name promises."""
    if text == "mil-nce":
        from cinescribe.encoders import s3d
        from cinescribe.encoders.s3d_network import load_network

        source = _file(s3d.WEIGHTS_FILE)
        state, _ = s3d.read_weights(source)
        own = {
            name.removeprefix("text_module."): value
            for name, value in state.items()
            if name.startswith("text_module.")
        }
        load_network(tower, own, source)
    elif text == "word2vec":
        from cinescribe.encoders.words import WordVectors

        vectors = WordVectors()(words, 1).vectors[:, 0]  # [words, 300]
        with torch.no_grad():
            tower.word_embd.weight[0] = 0
            tower.word_embd.weight[1:] = torch.from_numpy(vectors)
    tower.word_embd.requires_grad_(text == "fresh")


def _file(name: str) -> str:
    from cinescribe import zoo
    from cinescribe.encoders import s3d

    return str(zoo.store_folder() / s3d.FOLDER / name)


class TextReader:
    """Sentences to vectors, of a pair's own encoder or of a frozen one."""

    def __init__(self, text: str, words: Sequence[str]) -> None:
        self._text = text
        self._ids = WordIds(words) if text in TRAINED else None
        self._encoder: SentenceEncoder | None = None
        self._known: dict[str, Tensor] = {}

    @property
    def encoder(self) -> "SentenceEncoder":
        """The frozen one."""
        if self._encoder is None:
            from cinescribe.encoders.text import SentenceEncoder

            self._encoder = SentenceEncoder(self._text)
        return self._encoder

    def __call__(self, pair: "TANPair", sentences: Sequence[str]) -> Tensor:
        """[sentences, width] on the pair's device."""
        device = pair.online.text_pre_proj.weight.device
        if self._ids is not None and pair.lang_model is not None:
            return pair.lang_model(self._ids(sentences).to(device))
        new = sorted({sentence for sentence in sentences if sentence not in self._known})
        if new:
            if len(self._known) > _KEPT:
                self._known, new = {}, sorted(set(sentences))
            vectors = torch.from_numpy(self.encoder.encode(new)).float()
            self._known |= dict(zip(new, vectors, strict=True))
        return torch.stack([self._known[sentence] for sentence in sentences]).to(device)
