"""Texts as sequences of token vectors, for models that pool them themselves.

word2vec-googlenews-26k, glove-6b-50d   a vector a known word
all-MiniLM-L6-v2, ...                   the token states of a sentence encoder of the zoo
openai-community/openai-gpt, ...        the last hidden states of a language model: of the zoo, a folder in
                                        transformers' layout, or a repository on the hub
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cinescribe import zoo
from cinescribe.encoders.words import GLOVE, WORD2VEC, WordVectors

GPT = "openai-community/openai-gpt"  # of the paper of Collaborative Experts


class TokenEncoder(Protocol):
    """Frozen.

    Attributes:
        name: it was loaded by.
        dim: of a vector.
    """

    name: str
    dim: int

    def encode(self, texts: Sequence[str], tokens: int) -> NDArray[np.float32]:
        """float32 [texts, tokens, dim]: the first tokens of each text, zeros behind the last."""


def load(name: str, device: str = "cpu") -> TokenEncoder:
    """A token encoder by name.

    Args:
        name: as above.
        device: "cpu" or "cuda".

    Raises:
        WeightsError: its weights can't be had.
    """
    if name in (WORD2VEC, GLOVE):
        return WordTokens(name)
    if name in zoo.entries() and zoo.entry(name).role == "sentence":
        return SentenceTokens(name, device)
    return LanguageModelTokens(name, device)


class WordTokens:
    """A vector a word; unknown words are left out."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._words = WordVectors(name)
        self.dim = self._words.dim

    def encode(self, texts: Sequence[str], tokens: int) -> NDArray[np.float32]:
        """float32 [texts, tokens, dim]."""
        return self._words(texts, tokens).vectors


class SentenceTokens:
    """The states of a sentence encoder's tokens, those that begin and end the text among them."""

    def __init__(self, name: str, device: str = "cpu") -> None:
        from cinescribe.encoders.text import SentenceEncoder

        self.name = name
        self._encoder = SentenceEncoder(name, device=device)
        self.dim = self._encoder.dim

    def encode(self, texts: Sequence[str], tokens: int) -> NDArray[np.float32]:
        """float32 [texts, tokens, dim]."""
        return self._encoder.token_states(texts, tokens)


class LanguageModelTokens:
    """The last hidden states of a causal language model: a token sees those before it."""

    def __init__(self, name: str, device: str = "cpu") -> None:
        from cinescribe.models.language_model import load_language_model

        self.name = name
        self._language = load_language_model(name)
        self._language.model.to(device)  # type: ignore[arg-type]
        self.dim = int(self._language.model.config.hidden_size)

    def encode(self, texts: Sequence[str], tokens: int, batch: int = 64) -> NDArray[np.float32]:
        """float32 [texts, tokens, dim]; `batch` texts are computed at once."""
        import torch

        model = self._language.model
        ids = [self._language.ids(text)[:tokens] for text in texts]
        found = np.zeros((len(texts), tokens, self.dim), np.float32)
        by_length = sorted(range(len(texts)), key=lambda row: len(ids[row]))  # little padding in a batch
        for first in range(0, len(texts), batch):
            chosen = [row for row in by_length[first : first + batch] if ids[row]]
            if not chosen:
                continue
            padded = torch.zeros(len(chosen), max(len(ids[row]) for row in chosen), dtype=torch.long)
            for place, row in enumerate(chosen):
                padded[place, : len(ids[row])] = torch.tensor(ids[row])
            with torch.inference_mode():  # padding lies behind, where a causal model does not look
                states = model(padded.to(model.device), output_hidden_states=True).hidden_states[-1]
            for place, row in enumerate(chosen):
                found[row, : len(ids[row])] = states[place, : len(ids[row])].float().cpu().numpy()
        return found
