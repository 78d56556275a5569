"""What TAN is trained with: temporal correspondence and alignability (sections 7.3.3 and 7.3.4)."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cinescribe.models.tan import TANOutput, TANPair
from cinescribe.models.tan_labels import IGNORED, LabelRule, PseudoLabels, pseudo_labels, spans_to_seconds

TEMPERATURE = 0.07  # the published code's; the thesis names none


@dataclass(frozen=True, slots=True)
class TANLoss:
    """The parts of the loss of one batch, each a scalar.

    Attributes:
        total: what is minimised: the mean of joint and dual, and the alignability.
        joint: temporal correspondence of the joint encoder, mean over its stages.
        dual: the same of the dual encoder.
        alignability: None without labels for it.
        labels: those of stage 2; None in stage 1.
    """

    total: Tensor
    joint: Tensor
    dual: Tensor
    alignability: Tensor | None = None
    labels: PseudoLabels | None = None


def first_stage_loss(
    output: TANOutput,
    start: Tensor,
    end: Tensor,
    video_padding: Tensor | None = None,
    text_padding: Tensor | None = None,
) -> TANLoss:
    """Stage 1: every sentence is taken to be shown when it is spoken.

    Args:
        output: of the network.
        start: [batch, sentences] seconds.
        end: [batch, sentences] seconds; a second t is a sentence's own when start <= t < end.
        video_padding: [batch, seconds] True where the video is over.
        text_padding: [batch, sentences] True where there is no sentence.
    """
    own = spans_to_seconds(start, end, output.dual_video.shape[2])
    joint, dual = _both_correspondences(output, own, None, video_padding, text_padding)
    return TANLoss((joint + dual) / 2, joint, dual)


def second_stage_loss(
    pair: TANPair,
    video: Tensor,
    text: Tensor,
    start: Tensor,
    end: Tensor,
    video_padding: Tensor | None = None,
    text_padding: Tensor | None = None,
    rule: LabelRule | None = None,
    place: Tensor | None = None,
) -> TANLoss:
    """Stage 2, co-training: the average's two encoders label the batch, the network learns it.

    Args:
        pair: its network is run with gradients, its average without.
        video: [batch, seconds, width] features.
        text: [batch, sentences, width] sentence vectors.
        start: [batch, sentences] spoken, seconds.
        end: [batch, sentences] seconds.
        video_padding: [batch, seconds] True where the video is over.
        text_padding: [batch, sentences] True where there is no sentence.
        rule: how labels are made; by default the paper's.
        place: [batch, sentences] middle of the sentence in the whole video, 0 to 1; for the code's rule only.
    """
    rule = rule or LabelRule()
    output = pair.online(video, text, video_padding, text_padding)
    with torch.no_grad():
        average = pair.target(video, text, video_padding, text_padding)
    own = spans_to_seconds(start, end, video.shape[1])
    labels = pseudo_labels(average, output, own, video_padding, text_padding, rule, place)
    joint, dual = _both_correspondences(output, labels.own, labels.trained, video_padding, text_padding)
    total, alignability = (joint + dual) / 2, None
    if output.alignability is not None:
        alignability = alignability_loss(output.alignability, labels.alignable)
        total = total + alignability
    return TANLoss(total, joint, dual, alignability, labels)


def alignability_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of the head, over the sentences that have a label.

    Args:
        scores: [batch, sentences, 2], or 1 for the code's head, whose rarer kind weighs more.
        labels: [batch, sentences] 1 alignable, 0 not, `IGNORED`.
    """
    counted = labels != IGNORED
    scores, wanted = scores[counted], labels[counted]
    if not wanted.numel():
        return scores.sum() * 0
    if scores.shape[-1] == 2:
        return F.cross_entropy(scores.float(), wanted)
    share = wanted.float().mean().clamp(min=1 / wanted.numel())
    return F.binary_cross_entropy_with_logits(
        scores[:, 0].float(), wanted.float(), pos_weight=1 / share - 1 if share < 1 else None
    )


def correspondence(
    similarity: Tensor,
    own: Tensor,
    trained: Tensor | None = None,
    video_padding: Tensor | None = None,
    text_padding: Tensor | None = None,
    directions: Literal["both", "sentence"] = "both",
) -> Tensor:
    """Eq. 7.6: how surely each sentence finds its own seconds among all of the batch; mean over stages.

    The published code adds how surely each second finds its own sentences, and takes the mean of the two;
    sentences and seconds without a partner are left out, as rows.

    Args:
        similarity: [stages, videos, seconds, videos, sentences] cosines; the sentences are of the second
            "videos".
        own: [videos, sentences, seconds] True where a second belongs to a sentence.
        trained: [videos, sentences] which sentences count as rows, by default all. The others stay as what a
            second has to be told from.
        video_padding: [videos, seconds] True where the video is over.
        text_padding: [videos, sentences] True where there is no sentence.
        directions: "both", or "sentence" alone as eq. 7.6 reads.
    """
    stages, videos, seconds, _, sentences = similarity.shape
    logits = (similarity.float() / TEMPERATURE).reshape(stages, videos * seconds, videos * sentences)
    same = torch.eye(videos, dtype=torch.bool, device=own.device)
    pairs = (own.transpose(1, 2)[:, :, None] & same[:, None, :, None]).reshape(logits.shape[1:])
    shown = _flat(video_padding, pairs, videos * seconds)
    said = _flat(text_padding, pairs, videos * sentences)
    pairs = pairs & shown[:, None] & said
    logits = logits.masked_fill(~(shown[:, None] & said), -torch.inf)
    chosen = pairs if trained is None else pairs & trained.reshape(-1)
    loss = _row_loss(logits.transpose(1, 2), pairs.T, chosen.any(0))
    if directions == "sentence":
        return loss
    return (loss + _row_loss(logits, pairs, chosen.any(1))) / 2


def _row_loss(logits: Tensor, pairs: Tensor, counted: Tensor) -> Tensor:
    """Mean over rows of -log of the pairs' share: logits [stages, rows, columns], pairs [rows, columns]."""
    if not bool(counted.any()):
        return logits.new_zeros(())
    rows = logits[:, counted]
    own = rows.masked_fill(~pairs[counted], -torch.inf)
    return (rows.logsumexp(-1) - own.logsumexp(-1)).mean()


def _flat(padding: Tensor | None, like: Tensor, length: int) -> Tensor:
    """[length] True where there is something."""
    if padding is None:
        return torch.ones(length, dtype=torch.bool, device=like.device)
    return ~padding.reshape(-1)


def _both_correspondences(
    output: TANOutput,
    own: Tensor,
    trained: Tensor | None,
    video_padding: Tensor | None,
    text_padding: Tensor | None,
) -> tuple[Tensor, Tensor]:
    joint = torch.einsum("astc,bskc->satbk", output.joint_video, output.joint_text)
    dual = torch.einsum("astc,bkc->satbk", output.dual_video, output.dual_text)
    return (
        correspondence(joint, own, trained, video_padding, text_padding),
        correspondence(dual, own, trained, video_padding, text_padding),
    )
