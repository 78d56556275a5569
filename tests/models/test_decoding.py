"""Beam search against exhaustive search and against transformers' own."""

from itertools import pairwise, product

import pytest
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from cinescribe.models.decoding import Decoding, generate, positions

VOCABULARY, END = 5, 0


@pytest.fixture(scope="module")
def model() -> GPT2LMHeadModel:
    torch.manual_seed(3)
    config = GPT2Config(vocab_size=VOCABULARY, n_layer=2, n_embd=16, n_head=2, initializer_range=0.6)
    return GPT2LMHeadModel(config).eval()


def prompts(batch: int = 1, length: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    vectors = torch.randn(batch, length, 16, generator=torch.Generator().manual_seed(seed))
    return vectors, torch.ones(batch, length, dtype=torch.long)


def log_probability(model: GPT2LMHeadModel, prompt: Tensor, tokens: list[int]) -> float:
    ids = torch.tensor([tokens])
    vectors = torch.cat([prompt, model.get_input_embeddings()(ids)], 1)
    with torch.no_grad():
        odds = model(inputs_embeds=vectors).logits[0, prompt.shape[1] - 1 : -1].log_softmax(-1)
    return odds.gather(1, ids[0, :, None]).sum().item()


def all_texts(length: int) -> list[list[int]]:
    """Every text of at most `length` tokens; a shorter one ends with the end token."""
    ended = [[*start, END] for size in range(length) for start in product(range(1, VOCABULARY), repeat=size)]
    return ended + [list(text) for text in product(range(1, VOCABULARY), repeat=length)]


def test_enough_beams_find_the_best_of_all_texts(model: GPT2LMHeadModel) -> None:
    for seed in range(3):
        prompt, mask = prompts(seed=seed)
        found = generate(model, prompt, mask, [END], Decoding(beams=VOCABULARY**3, most_tokens=3))[0]
        scores = {tuple(text): log_probability(model, prompt, text) / len(text) for text in all_texts(3)}
        best = max(scores, key=lambda text: scores[text])
        assert tuple(found[0].tokens) == best
        assert found[0].score == pytest.approx(scores[best], abs=1e-4)
        # Every text is there once, with its own score.
        assert {tuple(text.tokens) for text in found} == set(scores)
        for text in found:
            assert text.score == pytest.approx(scores[tuple(text.tokens)], abs=1e-4)


def test_greedy_takes_the_likeliest_token_each_time(model: GPT2LMHeadModel) -> None:
    prompt, mask = prompts(3)
    found = generate(model, prompt, mask, [END], Decoding(beams=1, most_tokens=8))
    theirs = model.generate(
        inputs_embeds=prompt, attention_mask=mask, max_new_tokens=8, do_sample=False, eos_token_id=END,
        pad_token_id=END,
    )  # fmt: skip
    for beams, row in zip(found, theirs.tolist(), strict=True):
        cut = row.index(END) + 1 if END in row else len(row)
        assert beams[0].tokens == row[:cut]
        expected = log_probability(model, prompt[found.index(beams)][None], row[:cut]) / cut
        assert beams[0].score == pytest.approx(expected, abs=1e-4)


def test_beams_of_a_batch_are_those_of_each_alone(model: GPT2LMHeadModel) -> None:
    prompt, mask = prompts(3)
    decoding = Decoding(beams=3, most_tokens=6)
    together = generate(model, prompt, mask, [END], decoding)
    for row, beams in enumerate(together):
        (alone,) = generate(model, prompt[row : row + 1], mask[row : row + 1], [END], decoding)
        assert [text.tokens for text in beams] == [text.tokens for text in alone]
        assert [text.score for text in beams] == sorted((text.score for text in beams), reverse=True)


def test_padding_within_the_prompt_takes_no_place(model: GPT2LMHeadModel) -> None:
    prompt, mask = prompts(length=3)
    padded = torch.cat([prompt[:, :1], torch.full((1, 2, 16), 9.0), prompt[:, 1:]], 1)
    hidden = torch.tensor([[1, 0, 0, 1, 1]])
    assert positions(hidden).tolist() == [[0, 0, 0, 1, 2]]
    decoding = Decoding(beams=2, most_tokens=6)
    (found,) = generate(model, padded, hidden, [END], decoding)
    (expected,) = generate(model, prompt, mask, [END], decoding)
    assert [text.tokens for text in found] == [text.tokens for text in expected]


def test_any_of_several_ends_ends_a_text(model: GPT2LMHeadModel) -> None:
    prompt, mask = prompts()
    for text in generate(model, prompt, mask, [3, 4, END], Decoding(beams=4, most_tokens=9))[0]:
        assert all(token not in (3, 4, END) for token in text.tokens[:-1])
        assert text.tokens[-1] in (3, 4, END) or len(text.tokens) == 9


def test_no_pair_of_tokens_comes_twice_nor_from_the_context(model: GPT2LMHeadModel) -> None:
    prompt, mask = prompts()
    decoding = Decoding(beams=2, most_tokens=9, no_repeat=2)
    free = generate(model, prompt, mask, [END], Decoding(beams=1, most_tokens=9))[0][0].tokens
    history = [[*free, 1]]
    for text in generate(model, prompt, mask, [END], decoding, history)[0]:
        whole = [*history[0], *text.tokens]
        pairs = list(pairwise(whole))[len(history[0]) - 1 :]
        before = set(pairwise(history[0]))
        assert len(set(pairs)) == len(pairs)
        assert not before & set(pairs)


def test_a_penalty_makes_repeated_tokens_rarer(model: GPT2LMHeadModel) -> None:
    prompt, mask = prompts(8)

    def repeats(penalty: float) -> int:
        decoding = Decoding(beams=1, most_tokens=8, repetition=penalty)
        texts = [beams[0].tokens for beams in generate(model, prompt, mask, [END], decoding)]
        return sum(len(text) - len(set(text)) for text in texts)

    assert repeats(8.0) < repeats(1.0)
