"""Sentences to the vectors that a TAN reads: by words it was trained with, or by a frozen encoder."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cinescribe.models.word2vec_text import WordIds

if TYPE_CHECKING:
    from cinescribe.encoders.text import SentenceEncoder
    from cinescribe.models.tan import TANPair

_KEPT = 200_000  # sentences whose vectors are remembered
TRAINED = ("mil-nce", "word2vec", "fresh")  # encoders that are part of the network


class TextReader:
    """Sentences to vectors, of a pair's own encoder or of a frozen one."""

    def __init__(self, text: str, words: Sequence[str]) -> None:
        self._text = text
        self._ids = WordIds(words) if text in TRAINED else None
        self._encoder: SentenceEncoder | None = None
        self._known = _remembered(text)

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
                self._known.clear()
                new = sorted(set(sentences))
            vectors = torch.from_numpy(self.encoder.encode(new)).float()
            self._known |= dict(zip(new, vectors, strict=True))
        return torch.stack([self._known[sentence] for sentence in sentences]).to(device)


@lru_cache(maxsize=2)
def _remembered(text: str) -> dict[str, Tensor]:
    """Vectors by sentence of a frozen encoder, which all readers of a process share: models come and go."""
    return {}
