"""Prompting CLIP (Ju et al. 2022; chapter 5 of the thesis): a frozen CLIP for video, by learned prompts.

Names of actions, or sentences, are read between vectors that are learned; frames' features go through a small
transformer. Both end in CLIP's space, where the cosine says what is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cinescribe.models.prompted_text import PromptedText
from cinescribe.models.transformer import Encoder

FPS = 30.0  # of the frames that gaps are counted in
RECOGNITION_GAPS = (1, 2, 3, 4, 5, 6, 10, 15)  # section 5.4.1
RETRIEVAL_GAPS = (10, 15, 30)


@dataclass(frozen=True, slots=True)
class PromptingCLIPConfig:
    """Sizes; the defaults are the paper's for recognition (row A5 of Table 5.1).

    Attributes:
        prompts: learned vectors before and as many after the text: 16; 4 for retrieval.
        frames: of a clip.
        layers: of the temporal transformer, 0 for none (rows A0 to A3): then frames are averaged.
        heads: of its attention.
        gaps: frame gaps at 30 frames a second, each with a learned vector, as the thesis has it; none in the
            published code, so none to use its weights.
        temperature: of the softmax, eq. 5.2.
        scale: what features are multiplied by before the transformer. The published code takes CLIP's as they
            are; our tables hold them at length 1, beside which the transformer's own output is large.
    """

    prompts: int = 16
    frames: int = 16
    layers: int = 2
    heads: int = 8
    gaps: tuple[int, ...] = RECOGNITION_GAPS
    temperature: float = 0.07
    scale: float = 10.0


class PromptingCLIP(nn.Module):
    """The model; its learned parts are named as in the published code.

    Args:
        text: of the CLIP model whose picture half made the features.
        config: sizes.
    """

    def __init__(self, text: PromptedText, config: PromptingCLIPConfig) -> None:
        super().__init__()
        self.config, self.text = config, text
        # A row a position, as in the published code: rows 1 to k stand before a text, k rows after it from
        # where it ends. Rows beyond the end-of-text token can't be seen from there.
        self.embedding = nn.Embedding(text.context, text.width)
        nn.init.normal_(self.embedding.weight, std=0.01)
        self.temporalEmbedding: nn.Embedding | None = None
        self.gapEmbedding: nn.Embedding | None = None
        self.temporalModelling: Encoder | None = None
        if config.layers:
            self.temporalEmbedding = nn.Embedding(config.frames, text.dim)
            nn.init.normal_(self.temporalEmbedding.weight, std=0.01)
            self.temporalModelling = Encoder(text.dim, config.layers, config.heads)
            if config.gaps:
                self.gapEmbedding = nn.Embedding(len(config.gaps), text.dim)
                nn.init.normal_(self.gapEmbedding.weight, std=0.01)

    def prompted(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """What the text transformer reads: start, k prompts, the words, k prompts, end.

        A text that leaves no room for its prompts is cut (section 5.4.4).

        Returns:
            [texts, length, width], as long as the longest; [texts] where each ends: 2 k + 1 + its words.
        """
        k, text = self.config.prompts, self.text
        words = [text.words(one, text.context - 2 - 2 * k) for one in texts]
        length = 2 * k + 2 + max((len(one) for one in words), default=0)
        start, end = text.vectors([text.tokeniser.sot_token_id, text.tokeniser.eot_token_id])
        table = self.embedding.weight
        rows = [
            torch.cat(
                [
                    start[None],
                    table[1 : k + 1],
                    text.vectors(one),
                    table[k + 1 + len(one) : 2 * k + 1 + len(one)],
                    end[None],
                    table[2 * k + 2 + len(one) : length],
                ]
            )
            for one in words
        ]
        ends = torch.tensor([2 * k + 1 + len(one) for one in words], device=table.device)
        return torch.stack(rows), ends

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """[texts, dim] of length 1; gradients reach the prompts through the frozen transformer."""
        return functional.normalize(self.text(*self.prompted(texts)), dim=-1)

    def encode_clips(self, frames: Tensor, gap: Tensor) -> Tensor:
        """[clips, dim] of length 1.

        Args:
            frames: [clips, frames, dim] features of CLIP's picture half.
            gap: [clips] number of the frame gap in `gaps` (`gap_number`).
        """
        x = frames * self.config.scale
        if self.temporalModelling is not None and self.temporalEmbedding is not None:
            x = x + self.temporalEmbedding.weight[: x.shape[1]]
            if self.gapEmbedding is not None:
                x = x + self.gapEmbedding(gap)[:, None]
            x = self.temporalModelling(x)[-1]
        return functional.normalize(x.mean(dim=1), dim=-1)

    def logits(self, clips: Tensor, texts: Tensor) -> Tensor:
        """[clips, texts] cosines over the temperature, of vectors of length 1."""
        return clips @ texts.T / self.config.temperature

    def gap_number(self, seconds: float) -> int:
        """Which of the gaps is nearest to so many seconds from frame to frame; 0 where there are none."""
        gaps = [gap / FPS for gap in self.config.gaps]
        return min(range(len(gaps)), key=lambda number: abs(gaps[number] - seconds), default=0)

    def trainable(self) -> int:
        """Numbers that are learned."""
        return sum(value.numel() for value in self.parameters() if value.requires_grad)


def contrast(model: PromptingCLIP, clips: Tensor, texts: Tensor, own: Tensor) -> Tensor:
    """Eq. 5.2: scalar cross entropy of each clip's own text among all texts given.

    Args:
        model: for its temperature.
        clips: [clips, dim] of length 1.
        texts: [texts, dim] of length 1, each text once.
        own: [clips] number of its text.
    """
    return functional.cross_entropy(model.logits(clips, texts), own)


def recognise(model: PromptingCLIP, views: Tensor, gaps: Tensor, texts: Tensor) -> Tensor:
    """Which of the texts is shown: [videos, texts] probabilities, the mean of each video's clips.

    Texts that training never saw may be among them (open set).

    Args:
        model: in evaluation mode.
        views: [videos, clips, frames, dim] several clips of each video, 5 in the published code.
        gaps: [videos, clips] numbers of their gaps.
        texts: [texts, dim] of `encode_texts`.
    """
    videos, clips = views.shape[:2]
    vectors = model.encode_clips(views.flatten(0, 1), gaps.flatten())
    return model.logits(vectors, texts).softmax(-1).view(videos, clips, -1).mean(1)


def cut(features: NDArray[np.floating], frames: int, stride: int, start: int) -> NDArray[np.float32]:
    """Every `stride`th feature from `start` on, `frames` of them; the last one again where the film is over.

    Args:
        features: [T, dim]; rows with NaN, where nothing was seen, or infinity are left out before.
        frames: of the clip.
        stride: features from one to the next.
        start: the first.

    Returns:
        [frames, dim], zero where nothing was seen at all.
    """
    seen = features[np.isfinite(features).all(axis=1)].astype(np.float32)
    if not len(seen):
        return np.zeros((frames, features.shape[1]), np.float32)
    return seen[np.minimum(start + stride * np.arange(frames), len(seen) - 1)]


def spread(features: NDArray[np.floating], frames: int) -> tuple[NDArray[np.float32], float]:
    """`frames` features evenly over all of them, and how many apart they are.

    Args:
        features: [T, dim], as `cut`.
        frames: how many.

    Returns:
        [frames, dim]; features from one to the next.
    """
    seen = features[np.isfinite(features).all(axis=1)].astype(np.float32)
    if not len(seen):
        return np.zeros((frames, features.shape[1]), np.float32), 0.0
    apart = len(seen) / frames
    chosen = np.minimum(((np.arange(frames) + 0.5) * apart).astype(np.int64), len(seen) - 1)
    return seen[chosen], apart
