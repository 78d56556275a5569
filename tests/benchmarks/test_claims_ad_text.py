"""The benchmark of AD-only pretraining: its perplexities against what is known of them."""

import math
from collections.abc import Sequence

import pytest
import torch

from benchmarks import ad_text
from cinescribe.models.autoad import AutoAD, AutoADConfig, Example
from cinescribe.models.language_model import LanguageModel, fresh, fresh_tokeniser
from train.recipes.autoad_data import Description, Films, Reading

TEXTS = ("Anna walks along the quay.", "She sits down on a bench.", "Tom arrives and hands her a letter.")


@pytest.fixture(scope="module")
def language_model() -> LanguageModel:
    from transformers import GPT2Config

    return fresh(GPT2Config(n_layer=1, n_embd=32, n_head=2, n_positions=256), fresh_tokeniser(TEXTS, 300), 0)


def examples(texts: Sequence[str] = TEXTS) -> list[Example]:
    return [Example(None, texts[:at], (), text) for at, text in enumerate(texts)]


def test_a_model_that_knows_nothing_is_as_perplexed_as_its_vocabulary_is_large(
    language_model: LanguageModel,
) -> None:
    before = language_model.model.lm_head.weight.detach().clone()
    try:
        with torch.no_grad():
            language_model.model.lm_head.weight.zero_()
        found = ad_text.plain(language_model, examples(), True)
    finally:
        with torch.no_grad():
            language_model.model.lm_head.weight.copy_(before)
    assert found.per_token == pytest.approx(len(language_model.tokeniser), rel=1e-4)
    assert found.words == 5 + 6 + 7
    assert found.per_word == pytest.approx(found.per_token ** (found.tokens / found.words), rel=1e-4)


def test_after_is_the_likelihood_that_was_trained(language_model: LanguageModel) -> None:
    model = AutoAD(language_model, AutoADConfig(frame_width=64, layers=1, heads=2))
    model.set_stage("text")
    model.eval()
    found = ad_text.described(model, examples(), True)
    batch = model.batch(examples())
    assert found.tokens == int(batch.target.mask.sum())
    assert found.loss / found.tokens == pytest.approx(float(model.loss(batch).detach()), rel=1e-4)
    assert math.isfinite(ad_text.described(model, examples(), False).per_word)


def test_context_is_of_the_film_and_sentences_are_taken_evenly() -> None:
    films = {name: [Description(at, at, f"{name} {at}.") for at in range(10)] for name in ("first", "second")}
    held_out = Films(films, Reading(None, 0, 6, 8), whole=True)
    everything = ad_text.held_out(held_out, 100)
    assert [example.text for example in everything[9:12]] == ["first 9.", "second 0.", "second 1."]
    assert everything[10].past == []
    assert everything[9].past == [f"first {at}." for at in range(3, 9)]
    assert [example.text for example in ad_text.held_out(held_out, 4)] == [
        "first 0.", "first 5.", "second 0.", "second 5."
    ]  # fmt: skip
