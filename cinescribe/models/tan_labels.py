"""Labels of TAN's second stage, by mutual agreement of its two encoders (section 7.3.4 of the thesis).

For each sentence both encoders say where a window as long as it was spoken fits best. Where they agree, the
union of the two windows is the sentence's new place; elsewhere it stays where it was spoken. The sentences
that fit their place best are called alignable, and only they are trained on.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from cinescribe.models.tan import TANOutput

IGNORED = -1
_TEMPERATURE = 0.07
_NOT = -6e4


@dataclass(frozen=True, slots=True)
class LabelRule:
    """How labels are made. The defaults are the paper's; `LabelRule.of_code()` is its published code.

    Attributes:
        row_score: what a window averages: the cosine, or "exclusive", the code's softmax over the sentences
            (each second has one) and then over time.
        skips_borders: no label on the first and last second, which else attract labels.
        iou: agreement needed. 0 means any overlap; the code takes 0.5 and more.
        place: of a sentence on which they agree: "union"; "joint" takes the joint encoder's window alone.
        where_apart: sentences on which they don't agree keep their spoken span, or are "dropped"; the code
            then asks both encoders for a fit above their 30% quantile, too.
        one_sentence_a_second: a second claimed by several sentences goes to the first of them; a sentence
            left with none gets its spoken span back.
        alpha: share of the sentences that are trained on (and called alignable); Table 7.1 has .25, .5, .75.
        alignable: "score", by eq. 7.10 of the average's cosines; or "maxima", the code's: standardised maxima
            of the network's own cosines choose what is trained on, and a sentence is alignable when both its
            maxima are above the batch's medians, not when both are below, else ignored.
    """

    row_score: Literal["cosine", "exclusive"] = "cosine"
    skips_borders: bool = False
    iou: float = 0.0
    place: Literal["union", "intersection", "joint"] = "union"
    where_apart: Literal["spoken", "dropped"] = "spoken"
    one_sentence_a_second: bool = False
    alpha: float = 0.5
    alignable: Literal["score", "maxima"] = "score"

    @classmethod
    def of_code(cls, alpha: float = 0.5) -> "LabelRule":
        """The published code with its default options and `--loss_threshold` alpha."""
        return cls("exclusive", True, 0.5, "union", "spoken", True, alpha, "maxima")


@dataclass(frozen=True, slots=True)
class PseudoLabels:
    """Labels of a batch.

    Attributes:
        own: [batch, sentences, seconds] True where a second belongs to a sentence.
        moved: [batch, sentences] True where the encoders agreed on a place.
        score: [batch, sentences] by which sentences were ranked; -inf for padding and those without a place.
        trained: [batch, sentences] True for the sentences to learn the place of.
        alignable: [batch, sentences] 1, 0 or `IGNORED`.
    """

    own: Tensor
    moved: Tensor
    score: Tensor
    trained: Tensor
    alignable: Tensor


def spans_to_seconds(start: Tensor, end: Tensor, seconds: int) -> Tensor:
    """[batch, sentences, seconds] True for the seconds t with start <= t < end."""
    time = torch.arange(seconds, device=start.device)
    return (start[..., None] <= time) & (time < end[..., None])


@torch.no_grad()
def pseudo_labels(
    average: TANOutput,
    network: TANOutput,
    spoken: Tensor,
    video_padding: Tensor | None = None,
    text_padding: Tensor | None = None,
    rule: LabelRule | None = None,
    place: Tensor | None = None,
) -> PseudoLabels:
    """Label a batch.

    Args:
        average: output of the moving average, which makes the labels.
        network: output of the network; only the code's rule for alignability reads it.
        spoken: [batch, sentences, seconds] True while a sentence is spoken.
        video_padding: [batch, seconds] True where the video is over.
        text_padding: [batch, sentences] True where there is no sentence.
        rule: by default the paper's.
        place: [batch, sentences] middle of a sentence in the whole video, 0 to 1. With the code's rule
            sentences in the first and last fifth are never alignable; without it this is left out.
    """
    rule = rule or LabelRule()
    joint, dual = average.joint.float(), average.dual.float()
    if video_padding is None:
        video_padding = torch.zeros(joint.shape[0], joint.shape[2], dtype=torch.bool, device=joint.device)
    if text_padding is None:
        text_padding = torch.zeros(joint.shape[:2], dtype=torch.bool, device=joint.device)
    windows = _windows(spoken, video_padding, rule.skips_borders)
    of_joint, joint_fit = _best_window(joint, windows, video_padding, text_padding, rule)
    of_dual, dual_fit = _best_window(dual, windows, video_padding, text_padding, rule)
    overlap = (of_joint & of_dual).sum(-1) / (of_joint | of_dual).sum(-1).clamp(min=1)
    agrees = (overlap > 0) if rule.iou == 0 else (overlap >= rule.iou)
    if rule.where_apart == "dropped":
        agrees = agrees & _above(joint_fit, text_padding, 0.3) & _above(dual_fit, text_padding, 0.3)
    new = {"union": of_joint | of_dual, "intersection": of_joint & of_dual, "joint": of_joint}[rule.place]
    apart = spoken if rule.where_apart == "spoken" else torch.zeros_like(spoken)
    own = torch.where(agrees[..., None], new, apart) & ~text_padding[..., None] & ~video_padding[:, None]
    if rule.one_sentence_a_second:
        own = _one_sentence_a_second(own, spoken & ~text_padding[..., None])
    if rule.alignable == "score":
        score = _fit(joint + dual, own).masked_fill(text_padding, -torch.inf)
        trained = _top_share(score, rule.alpha, text_padding)
        alignable = trained.long().masked_fill(text_padding, IGNORED)
    else:
        score = _standardised_maxima(network, text_padding, video_padding)
        trained = _above(score, text_padding, 1 - rule.alpha) & ~text_padding
        alignable = _by_medians(network, text_padding, video_padding, place)
        score = score.masked_fill(text_padding, -torch.inf)
    return PseudoLabels(own, agrees & ~text_padding, score, trained, alignable)


def _windows(spoken: Tensor, video_padding: Tensor, skips_borders: bool) -> Tensor:
    """[batch, sentences, starts, seconds] True for the seconds of the window from each start.

    As long as the sentence was spoken, at least one second; windows that reach past the video are empty.
    """
    seconds = spoken.shape[-1]
    time = torch.arange(seconds, device=spoken.device)
    ends = time + spoken.sum(-1).clamp(min=1)[..., None]
    inside = ends <= (~video_padding).sum(-1)[:, None, None]
    windows = (time[:, None] <= time) & (time < ends[..., None]) & inside[..., None]
    if skips_borders:
        last = (~video_padding).sum(-1)[:, None, None, None] - 1
        windows = windows & (time != 0) & (time != last)
    return windows


def _best_window(
    similarity: Tensor, windows: Tensor, video_padding: Tensor, text_padding: Tensor, rule: LabelRule
) -> tuple[Tensor, Tensor]:
    """[batch, sentences, seconds] the window that fits best, and [batch, sentences] its mean cosine."""
    rows = similarity
    if rule.row_score == "exclusive":
        logits = (rows / _TEMPERATURE).masked_fill(video_padding[:, None] | text_padding[..., None], _NOT)
        rows = (logits.softmax(1) / _TEMPERATURE).softmax(2)
    count = windows.sum(-1)
    mean = torch.einsum("bkpt,bkt->bkp", windows.to(rows), rows) / count.clamp(min=1)
    best = mean.masked_fill(count == 0, -torch.inf).argmax(-1)
    window = windows.gather(2, best[..., None, None].expand(-1, -1, 1, windows.shape[-1]))[:, :, 0]
    return window, (similarity * window).sum(-1) / window.sum(-1).clamp(min=1)


def _fit(similarity: Tensor, own: Tensor) -> Tensor:
    """Eq. 7.10: mean similarity within each sentence's seconds; -inf without any."""
    mean = (similarity * own).sum(-1) / own.sum(-1).clamp(min=1)
    return mean.masked_fill(~own.any(-1), -torch.inf)


def _top_share(score: Tensor, share: float, text_padding: Tensor) -> Tensor:
    """True for the best `share` of the batch's sentences, at least one; the earlier of equal ones."""
    count = max(1, round(share * int((~text_padding).sum())))
    order = score.flatten().argsort(descending=True, stable=True)
    chosen = torch.zeros(score.numel(), dtype=torch.bool, device=score.device)
    chosen[order[:count]] = True
    return chosen.reshape(score.shape) & ~text_padding & (score > -torch.inf)


def _one_sentence_a_second(own: Tensor, spoken: Tensor) -> Tensor:
    first = own & (own.cumsum(1) == 1)
    return torch.where(first.any(-1, keepdim=True), first, spoken)


def _above(fit: Tensor, text_padding: Tensor, quantile: float) -> Tensor:
    return fit >= torch.quantile(fit[~text_padding], quantile)


def _maxima(network: TANOutput, video_padding: Tensor) -> tuple[Tensor, Tensor]:
    """[batch, sentences] the highest cosine of each sentence, of both encoders."""
    hidden = video_padding[:, None]
    return (
        network.joint.float().masked_fill(hidden, -torch.inf).amax(-1),
        network.dual.float().masked_fill(hidden, -torch.inf).amax(-1),
    )


def _standardised_maxima(network: TANOutput, text_padding: Tensor, video_padding: Tensor) -> Tensor:
    total = torch.zeros_like(text_padding, dtype=torch.float32)
    for maxima in _maxima(network, video_padding):
        there = maxima[~text_padding]
        spread = there.std() if there.numel() > 1 else there.new_ones(())
        total = total + (maxima - there.mean()) / spread.clamp(min=1e-6)
    return total


def _by_medians(
    network: TANOutput, text_padding: Tensor, video_padding: Tensor, place: Tensor | None
) -> Tensor:
    joint, dual = _maxima(network, video_padding)
    middle, other = (torch.quantile(maxima[~text_padding], 0.5) for maxima in (joint, dual))
    labels = torch.full_like(joint, IGNORED, dtype=torch.long)
    labels[(joint > middle) & (dual > other)] = 1
    labels[(joint < middle) & (dual < other)] = 0
    if place is not None:
        labels[(place < 0.2) | (place > 0.8)] = 0
    return labels.masked_fill(text_padding, IGNORED)
