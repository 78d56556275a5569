"""Sentences of CT-SAN, greedy or by beam search."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cinescribe.models.ct_san import Watched
from cinescribe.models.ct_san_tasks import Description
from cinescribe.models.vocabulary import BLANKED, END, PADDING, START


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence: numbers of its words, the end included where it was reached; their mean log probability."""

    words: list[int]
    score: float


@torch.no_grad()
def describe(model: Description, watched: Watched, beams: int = 1, most: int = 40) -> list[list[Sentence]]:
    """Sentences of videos.

    A beam's rank is its mean log probability; one that has ended keeps it and its place.

    Args:
        model: in evaluation mode.
        watched: the videos.
        beams: 1 is greedy, as in the thesis [gap].
        most: words, where a sentence without an end is cut.

    Returns:
        For each video its beams, best first.
    """
    hidden = watched.states[-1][0]
    batch, device = len(hidden), hidden.device
    owners = torch.arange(batch, device=device).repeat_interleave(beams)
    seen = watched.of(owners)
    states = seen.states
    words = torch.empty(batch * beams, 0, dtype=torch.long, device=device)
    last = torch.full((batch * beams,), START, device=device)
    sums = torch.full((batch, beams), -torch.inf, device=device)
    sums[:, 0] = 0  # all beams are equal at first: only one of them may go on
    lengths = torch.zeros(batch, beams, dtype=torch.long, device=device)
    ended = torch.zeros(batch, beams, dtype=torch.bool, device=device)
    for _ in range(most):
        scores, states = model.next_words(last, states, seen)
        scores[:, [PADDING, BLANKED, START]] = -torch.inf  # they are no words
        done = ended.flatten()
        scores[done] = -torch.inf
        scores[done, END] = 0  # a beam that has ended goes on as itself
        size = scores.shape[1]
        totals = sums[..., None] + scores.view(batch, beams, size)
        longer = lengths + (~ended).long()
        chosen = (totals / longer[..., None]).flatten(1).topk(min(beams, beams * size)).indices
        source, word = chosen // size, chosen % size
        sums = totals.flatten(1).gather(1, chosen)
        lengths, was_ended = longer.gather(1, source), ended.gather(1, source)
        ended = was_ended | (word == END)
        rows = (source + torch.arange(batch, device=device)[:, None] * beams).flatten()
        words = torch.cat([words[rows], word.reshape(-1, 1)], 1)
        states = [(one[rows], other[rows]) for one, other in states]
        last = words[:, -1]
        if bool(ended.all()):
            break
    return [_sorted(words.view(batch, beams, -1)[row], lengths[row], sums[row]) for row in range(batch)]


def _sorted(words: Tensor, lengths: Tensor, sums: Tensor) -> list[Sentence]:
    found = [
        Sentence(row[:length].tolist(), float(total) / int(length))
        for row, length, total in zip(words, lengths, sums, strict=True)
        if total > -torch.inf
    ]
    return sorted(found, key=lambda sentence: -sentence.score)
