"""Where actions are, in two stages (section 5.4.3): spans in which something is done, then what it is.

The paper takes an off-the-shelf detector for the first stage and says that any will do. Ours is a simple one:
a linear classifier says of each feature whether an action is going on, and runs of such features, joined over
gaps at several thresholds, are the proposals (temporal actionness grouping, Zhao et al. 2017). Give `detect`
the proposals of another in their place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cinescribe.errors import UsageError
from cinescribe.metrics.detection import ActionSpan, temporal_iou
from cinescribe.models.prompting_clip import PromptingCLIP, spread

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(2, 19))  # of actionness, .1 to .9
FILLS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # least share of action in what is joined


@dataclass(frozen=True, slots=True)
class Proposal:
    """A span, seconds, in which something may be done, and how likely."""

    start: float
    end: float
    score: float


@dataclass(frozen=True, slots=True)
class Actionness:
    """How likely an action, of whatever class, is going on: a linear classifier of single features.

    Attributes:
        mean, deviation: [dim] of the features it was fitted to.
        weight: [dim] of features less their mean, over their deviation.
        bias: added.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    weight: NDArray[np.float64]
    bias: float

    def __call__(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """[T] probabilities of features [T, dim]; 0 where nothing was seen (NaN) or a number is infinite."""
        seen = np.isfinite(features).all(axis=1)
        known = np.where(seen[:, None], features.astype(np.float64), self.mean)
        values = (known - self.mean) / self.deviation
        return np.where(seen, 1 / (1 + np.exp(-(values @ self.weight + self.bias))), 0.0)


def fit_actionness(
    films: Sequence[tuple[NDArray[np.floating], float, Sequence[tuple[float, float]]]], penalty: float = 1e-3
) -> Actionness:
    """Fit it to films whose actions are known, by logistic regression; classes are not looked at.

    Args:
        films: of each the features [T, dim], how many there are a second, and the actions' spans in seconds.
        penalty: of the squared weights.

    Raises:
        UsageError: nothing or everything is action.
    """
    rows, labels = [], []
    for features, hz, spans in films:
        seen = np.isfinite(features).all(axis=1)
        times = (np.arange(len(features)) + 0.5) / hz
        action = np.zeros(len(features), bool)
        for start, end in spans:
            action |= (times >= start) & (times < end)
        rows.append(features[seen].astype(np.float64))
        labels.append(action[seen])
    if not rows or not 0 < np.concatenate(labels).mean() < 1:
        raise UsageError("actionness wants films in which something is done, and not all the time")
    stacked = np.concatenate(rows)
    mean, deviation = stacked.mean(axis=0), stacked.std(axis=0) + 1e-6
    x = torch.from_numpy((stacked - mean) / deviation)
    y = torch.from_numpy(np.concatenate(labels).astype(np.float64))
    weight = torch.zeros(x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimiser: Any = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(x @ weight + bias, y)
        loss = loss + penalty * weight.square().sum()
        torch.autograd.backward(loss)
        return loss

    optimiser.step(closure)
    return Actionness(mean, deviation, weight.detach().numpy(), float(bias.detach()))


def propose(
    actionness: NDArray[np.floating],
    hz: float,
    thresholds: Sequence[float] = THRESHOLDS,
    fills: Sequence[float] = FILLS,
    overlap: float = 0.95,
) -> list[Proposal]:
    """Spans in which something is done, surest first.

    For each threshold, features above it make runs; from each run on, the following ones are joined to it as
    long as action fills enough of what lies from the first to the last. A span's score is its mean
    actionness.

    Args:
        actionness: [T], 0 to 1.
        hz: of them a second.
        thresholds: of actionness.
        fills: shares of action that a joined span has at least.
        overlap: of two spans with at least this temporal IoU the surer one is kept.
    """
    spans: dict[tuple[int, int], float] = {}
    total = np.concatenate([[0.0], np.cumsum(actionness)])
    for threshold in thresholds:
        active = np.concatenate([[False], actionness >= threshold, [False]])
        changes = np.flatnonzero(active[1:] != active[:-1])
        runs = list(zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True))
        for fill in fills:
            for number, (first, last) in enumerate(runs):
                filled = last - first
                for after_first, after_last in runs[number + 1 :]:
                    joined = filled + after_last - after_first
                    if joined < fill * (after_last - first):
                        break
                    filled, last = joined, after_last
                spans[first, last] = (total[last] - total[first]) / (last - first)
    found = [Proposal(first / hz, last / hz, float(score)) for (first, last), score in spans.items()]
    return _suppress(found, overlap)


def detect(
    model: PromptingCLIP,
    video: str,
    features: NDArray[np.floating],
    hz: float,
    proposals: Sequence[Proposal],
    labels: Sequence[str],
    *,
    classes: int = 2,
    overlap: float = 0.5,
) -> list[ActionSpan]:
    """What is done in the proposals, surest first; labels that training never saw may be among them.

    Args:
        model: in evaluation mode.
        video: its name.
        features: [T, dim] of CLIP's picture half.
        hz: of them a second.
        proposals: spans of the video, of `propose` or any other.
        labels: names of the classes.
        classes: most likely ones that a proposal may be.
        overlap: of two spans of a class with at least this temporal IoU the surer one is kept.

    Returns:
        Spans whose score is the proposal's times the class's probability.
    """
    clips, gaps, kept = [], [], []
    for proposal in proposals:
        first = min(int(proposal.start * hz), len(features) - 1)
        last = max(first + 1, round(proposal.end * hz))
        frames, apart = spread(features[first:last], model.config.frames)
        clips.append(frames)
        gaps.append(model.gap_number(apart / hz))
        kept.append(proposal)
    if not kept or not labels:
        return []
    device = model.embedding.weight.device
    with torch.no_grad():
        vectors = model.encode_clips(
            torch.from_numpy(np.stack(clips)).to(device), torch.tensor(gaps, device=device)
        )
        likely = model.logits(vectors, model.encode_texts(labels)).softmax(-1).cpu().numpy()
    by_label: dict[int, list[Proposal]] = {}
    for proposal, row in zip(kept, likely, strict=True):
        for label in np.argsort(-row, kind="stable")[:classes].tolist():
            score = proposal.score * float(row[label])
            by_label.setdefault(label, []).append(Proposal(proposal.start, proposal.end, score))
    found = [
        ActionSpan(video, one.start, one.end, labels[label], one.score)
        for label, ones in by_label.items()
        for one in _suppress(ones, overlap)
    ]
    return sorted(found, key=lambda span: -span.score)


def _suppress(proposals: Sequence[Proposal], overlap: float) -> list[Proposal]:
    """Surest first; those that overlap a surer one so much are left out."""
    waiting = sorted(proposals, key=lambda one: (-one.score, one.start, one.end))
    spans = np.array([(one.start, one.end) for one in waiting]).reshape(-1, 2)
    alive = np.ones(len(waiting), bool)
    kept = []
    for number, proposal in enumerate(waiting):
        if alive[number]:
            kept.append(proposal)
            alive &= temporal_iou(spans[number], spans)[0] < overlap
    return kept
