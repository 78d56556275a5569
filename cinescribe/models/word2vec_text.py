"""The sentence encoder of MIL-NCE (Miech et al. 2020), also as TAN uses it: a bag of word2vec words.

Frozen 300-d vectors of 66,250 words -> 2048 -> ReLU -> maximum over the words -> 512; 21,540,536 parameters.
TAN reads 32 words, gives unknown ones the vector of id 0, and leaves padding out of the maximum; MIL-NCE
reads 16, drops unknown words and lets padding take part. Sources: the published code of both
(antoine77340/S3D_HowTo100M s3dg.py, TengdaHan/TemporalAlignNet model/word2vec_model.py).
"""

import re
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

WORDS, WORD_WIDTH, HIDDEN, WIDTH = 66_250, 300, 2048, 512
Variant = Literal["tan", "mil-nce"]
_NOT = -6e4  # where padding must not be the maximum; within the range of 16-bit floats


class WordIds:
    """Sentences to ids of words.

    Args:
        words: the vocabulary in order (`s3d_dict.npy` of the published S3D); id = place + 1, 0 is padding.
        variant: whose rules.
        limit: words kept of a sentence; by default 32 for TAN, 16 for MIL-NCE.
    """

    def __init__(self, words: Sequence[str], variant: Variant = "tan", limit: int | None = None) -> None:
        self._ids = {word: place for place, word in enumerate(words, 1)}
        self._keeps_unknown = variant == "tan"
        self.limit = limit or (32 if variant == "tan" else 16)

    def __call__(self, sentences: Sequence[str]) -> Tensor:
        """[sentences, limit] ids."""
        rows = torch.zeros(len(sentences), self.limit, dtype=torch.long)
        for row, sentence in enumerate(sentences):
            ids = [self._ids.get(word, 0) for word in re.findall(r"[\w']+", sentence.lower())]
            kept = (ids if self._keeps_unknown else [number for number in ids if number])[: self.limit]
            rows[row, : len(kept)] = torch.tensor(kept, dtype=torch.long)
        return rows


class Word2VecText(nn.Module):
    """Ids of words to sentence vectors; the word vectors are frozen, the rest is trained.

    Args:
        words: size of the vocabulary, padding included.
        variant: "tan" leaves padding out of the maximum.
    """

    def __init__(self, words: int = WORDS, variant: Variant = "tan") -> None:
        super().__init__()
        self.variant = variant
        self.word_embd = nn.Embedding(words, WORD_WIDTH)
        self.word_embd.requires_grad_(False)
        self.fc1 = nn.Linear(WORD_WIDTH, HIDDEN)
        self.fc2 = nn.Linear(HIDDEN, WIDTH)

    def forward(self, ids: Tensor) -> Tensor:
        """[..., words] ids to [..., 512]; for TAN, a sentence without any known word counts its padding."""
        hidden = torch.relu(self.fc1(self.word_embd(ids)))
        if self.variant == "tan":
            known = ids != 0
            known = known | ~known.any(-1, keepdim=True)
            hidden = hidden.masked_fill(~known[..., None], _NOT)
        return self.fc2(hidden.amax(-2))
