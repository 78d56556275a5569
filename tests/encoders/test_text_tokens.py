"""Texts as token vectors, of words, sentence encoders and language models."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import OpenAIGPTConfig, OpenAIGPTModel

from cinescribe.encoders import text_tokens
from cinescribe.encoders.text import SentenceEncoder
from cinescribe.encoders.words import GLOVE, WordVectors
from cinescribe.errors import WeightsError
from cinescribe.models.language_model import fresh, fresh_tokeniser

TEXTS = ["She walks to the door.", "", "He opens the box and looks into it for a while."]


def test_words_are_vectors_in_their_order() -> None:
    encoder = text_tokens.load(GLOVE)
    found = encoder.encode(["the door opens zzqx", "door"], 4)
    assert found.shape == (2, 4, encoder.dim)
    known = WordVectors(GLOVE)(["the", "door", "opens"], 1).vectors[:, 0]
    np.testing.assert_array_equal(found[0], np.concatenate([known, np.zeros((1, 50), np.float32)]))
    np.testing.assert_array_equal(found[1, 0], known[1])
    assert not found[1, 1:].any()


def test_the_states_of_a_sentence_encoder_make_its_vector() -> None:
    name = "all-MiniLM-L6-v2"
    states = text_tokens.load(name).encode(TEXTS, 32)
    there = np.abs(states).max(2) > 0
    mean = states.sum(1) / there.sum(1, keepdims=True)
    whole = SentenceEncoder(name).encode(TEXTS)
    np.testing.assert_allclose(mean / np.linalg.norm(mean, axis=1, keepdims=True), whole, atol=2e-3)
    np.testing.assert_allclose(text_tokens.load(name).encode(TEXTS, 3), states[:, :3], atol=1e-5)


def test_openai_gpt_is_read_without_its_padding(tmp_path: Path) -> None:
    """A file of its architecture; its own weights are on the hub."""
    tokeniser = fresh_tokeniser(TEXTS, 300)
    language = fresh(OpenAIGPTConfig(n_layer=2, n_embd=16, n_head=2, n_positions=64), tokeniser, seed=0)
    language.model.save_pretrained(tmp_path)
    tokeniser.save_pretrained(tmp_path)
    encoder = text_tokens.load(str(tmp_path))
    assert encoder.dim == 16
    found = encoder.encode(TEXTS, 6)
    assert found.shape == (3, 6, 16)
    assert not found[1].any()  # an empty text
    network = OpenAIGPTModel.from_pretrained(tmp_path).eval()
    for row in (0, 2):
        ids = language.ids(TEXTS[row])[:6]
        with torch.no_grad():
            alone = network(torch.tensor([ids])).last_hidden_state[0].numpy()
        np.testing.assert_allclose(found[row, : len(ids)], alone, atol=1e-5)
        assert not found[row, len(ids) :].any()


def test_what_can_t_be_had_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="can't be loaded"):
        text_tokens.load(str(tmp_path))
