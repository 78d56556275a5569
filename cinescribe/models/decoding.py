"""Greedy and beam search over a causal language model's own cache, from a prompt of vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class Decoding:
    """How text is generated. The defaults are AutoAD's (section 8.6.1 of the thesis).

    Attributes:
        beams: 1 is greedy.
        most_tokens: where a text without an end is cut.
        until_full_stop: end at the first full stop; else at the end-of-text token alone, as the code does.
        repetition: penalty on tokens generated before, 1 is none; the code takes 1.2.
        no_repeat: n-grams that may not come again, also not from the context; 0 allows all, the code takes 3.
    """

    beams: int = 5
    most_tokens: int = 67
    until_full_stop: bool = True
    repetition: float = 1.0
    no_repeat: int = 0

    @classmethod
    def of_code(cls, beams: int = 5) -> "Decoding":
        """The published code's settings."""
        return cls(beams, until_full_stop=False, repetition=1.2, no_repeat=3)


@dataclass(frozen=True, slots=True)
class Generated:
    """One text: its tokens, the end included where it was reached, and their mean log probability."""

    tokens: list[int]
    score: float


@torch.no_grad()
def generate(
    model: "PreTrainedModel",
    prompt: Tensor,
    mask: Tensor,
    ends: Sequence[int],
    decoding: Decoding,
    history: Sequence[Sequence[int]] | None = None,
) -> list[list[Generated]]:
    """Go on from prompts.

    A beam's rank is its mean log probability; a beam that has ended keeps its own and its place.

    Args:
        model: in evaluation mode.
        prompt: [batch, length, width] vectors, with padding anywhere but at the end.
        mask: [batch, length] 1 for what counts, 0 for padding.
        ends: tokens that end a text.
        decoding: settings.
        history: for each prompt tokens whose n-grams may not be repeated (`Decoding.no_repeat`).

    Returns:
        For each prompt its beams, best first.
    """
    batch, beams, device = prompt.shape[0], decoding.beams, prompt.device
    stop = torch.tensor(list(ends), device=device)
    before = [list(tokens) for tokens in history] if history else [[] for _ in range(batch)]
    output = model(inputs_embeds=prompt, attention_mask=mask, position_ids=positions(mask), use_cache=True)
    cache = output.past_key_values
    cache.batch_repeat_interleave(beams)
    logits = output.logits[:, -1].float().repeat_interleave(beams, 0)
    mask = mask.repeat_interleave(beams, 0)
    tokens = torch.zeros(batch * beams, 0, dtype=torch.long, device=device)
    sums = torch.full((batch, beams), -torch.inf, device=device)
    sums[:, 0] = 0  # all beams are equal at first: only one of them may go on
    lengths = torch.zeros(batch, beams, dtype=torch.long, device=device)
    ended = torch.zeros(batch, beams, dtype=torch.bool, device=device)
    for _ in range(decoding.most_tokens):
        scores = _scores(logits, tokens, before, decoding)  # [batch * beams, vocabulary]
        size = scores.shape[-1]
        done = ended.reshape(-1)
        scores[done] = -torch.inf
        scores[done, stop[0]] = 0  # a beam that has ended goes on as itself
        totals = sums[..., None] + scores.reshape(batch, beams, size)
        longer = lengths + (~ended).long()
        _, chosen = (totals / longer[..., None]).reshape(batch, -1).topk(beams)
        source, token = chosen // size, chosen % size
        sums = totals.reshape(batch, -1).gather(1, chosen)
        lengths, was_ended = longer.gather(1, source), ended.gather(1, source)
        ended = was_ended | torch.isin(token, stop)
        rows = (source + torch.arange(batch, device=device)[:, None] * beams).reshape(-1)
        tokens = torch.cat([tokens[rows], token.reshape(-1, 1)], 1)
        if bool(ended.all()):
            break
        mask = torch.cat([mask[rows], torch.ones_like(mask[:, :1])], 1)
        cache.reorder_cache(rows)
        output = model(
            inputs_embeds=model.get_input_embeddings()(tokens[:, -1:]),
            attention_mask=mask,
            position_ids=positions(mask)[:, -1:],
            past_key_values=cache,
            use_cache=True,
        )
        logits = output.logits[:, -1].float()
    means = sums / lengths
    found = []
    for row in range(batch):
        texts = [
            Generated(tokens[row * beams + beam, : int(lengths[row, beam])].tolist(), float(means[row, beam]))
            for beam in range(beams)
            if sums[row, beam] > -torch.inf
        ]
        found.append(sorted(texts, key=lambda text: -text.score))
    return found


def positions(mask: Tensor) -> Tensor:
    """[batch, length] place of each token among those that count; padding takes no place."""
    return (mask.long().cumsum(-1) - 1).clamp(min=0)


def _scores(logits: Tensor, tokens: Tensor, before: Sequence[Sequence[int]], decoding: Decoding) -> Tensor:
    """Log probabilities of the next token, with what may not or should not be repeated."""
    scores = logits.log_softmax(-1)
    if decoding.repetition != 1 and tokens.shape[1]:
        known = scores.gather(1, tokens)
        scores = scores.scatter(1, tokens, known * decoding.repetition)  # logarithms are negative
    if decoding.no_repeat:
        for row, generated in enumerate(tokens.tolist()):
            text = [*before[row // decoding.beams], *generated]
            if banned := _would_repeat(text, decoding.no_repeat):
                scores[row, banned] = -torch.inf
    return scores


def _would_repeat(text: Sequence[int], size: int) -> list[int]:
    """The tokens that would end an n-gram the text already holds."""
    start = tuple(text[len(text) - size + 1 :]) if size > 1 else ()
    if len(text) + 1 < size:
        return []
    return [
        text[at + size - 1] for at in range(len(text) - size + 1) if tuple(text[at : at + size - 1]) == start
    ]
