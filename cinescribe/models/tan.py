"""Temporal Alignment Network (Han, Xie and Zisserman 2022; chapter 7 of the thesis): sentences to seconds.

A joint encoder reads a video's seconds together with its sentences and tells which belong together, and which
sentences can be seen at all; a dual encoder reads the seconds alone. The two teach each other
(`cinescribe.models.tan_labels`), against an averaged copy of the network (`TANPair`).

The defaults are the paper's; what only its published code does is an option that says so. Names of parameters
are those of the released weights (`cinescribe.models.tan_released`).
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cinescribe.errors import UsageError
from cinescribe.models.transformer import Encoder
from cinescribe.models.word2vec_text import Word2VecText


@dataclass(frozen=True, slots=True)
class TANConfig:
    """Sizes and variants of a TAN.

    Attributes:
        video_width: of the features of a second; 1024 is S3D's `mixed_5c`.
        text_width: of a sentence's vector; 512 is MIL-NCE's, 768 BERT's.
        width: of both transformers.
        heads: of their attention.
        dual_layers: of the dual encoder (video alone); Table 7.1 compares 6 with 3.
        joint_layers: of the joint encoder.
        positions: learned or sine embedding of the seconds.
        longest: seconds there are positions for.
        text_positions: sentences carry their place in the order, too (code option, off in all results).
        random_start: in training the first second gets a random position below half of the length, so that
            all positions are learned. Off for the averaged copy.
        head: alignability. "two-way" is the paper's (eq. 7.5), "binary" the code's one output, "none" stage
            1.
        head_stage: which stage of the joint encoder the head reads; the code takes 2, the third.
    """

    video_width: int = 1024
    text_width: int = 512
    width: int = 512
    heads: int = 8
    dual_layers: int = 6
    joint_layers: int = 6
    positions: Literal["learned", "sine"] = "learned"
    longest: int = 1024
    text_positions: bool = False
    random_start: bool = True
    head: Literal["two-way", "binary", "none"] = "two-way"
    head_stage: int = -1


@dataclass(frozen=True, slots=True)
class TANOutput:
    """What a TAN makes of a batch; all vectors are of length one. S stages, each encoder its own number.

    Attributes:
        dual_video: [batch, S, seconds, width].
        dual_text: [batch, sentences, width].
        joint_video: [batch, S, seconds, width].
        joint_text: [batch, S, sentences, width].
        alignability: [batch, sentences, 1 or 2] of the head, None without one.
    """

    dual_video: Tensor
    dual_text: Tensor
    joint_video: Tensor
    joint_text: Tensor
    alignability: Tensor | None

    @property
    def joint(self) -> Tensor:
        """[batch, sentences, seconds] cosines of the joint encoder's last stage (eq. 7.4)."""
        return torch.einsum("bkc,btc->bkt", self.joint_text[:, -1], self.joint_video[:, -1])

    @property
    def dual(self) -> Tensor:
        """[batch, sentences, seconds] cosines of the dual encoder's last stage (eq. 7.8)."""
        return torch.einsum("bkc,btc->bkt", self.dual_text, self.dual_video[:, -1])


class TAN(nn.Module):
    """The network, without the sentence encoder; 39,931,392 parameters and those of the head."""

    def __init__(self, config: TANConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or TANConfig()
        width = config.width
        self.video_temporal_encoder = Encoder(width, config.dual_layers, config.heads)
        self.joint_temporal_encoder = Encoder(width, config.joint_layers, config.heads)
        self.video_pre_proj = nn.Linear(config.video_width, width, bias=False)
        self.text_pre_proj = nn.Linear(config.text_width, width, bias=False)
        self.ln_text_init = nn.LayerNorm(width)
        self.ln_video_init = nn.LayerNorm(width)
        self.ln_position_init = nn.LayerNorm(width)
        self.ln_video_post_enc = nn.LayerNorm(width)
        self.ln_joint_post_enc = nn.LayerNorm(width)
        if config.positions == "learned":
            self.temporal_pos_embed = nn.Parameter(torch.empty(config.longest, width).normal_(std=0.01))
        else:
            self.register_buffer("temporal_pos_embed", _sine_positions(config.longest, width))
        # Only read with `text_positions`, and the perceptron never; the released weights hold both.
        self.text_temporal_pos_embed = nn.Parameter(torch.empty(config.longest, width).normal_(std=0.01))
        self.mlp = nn.Linear(width, width)
        for linear in (self.video_pre_proj, self.text_pre_proj, self.mlp):
            nn.init.normal_(linear.weight, std=0.01)
        nn.init.zeros_(self.mlp.bias)
        if config.head != "none":
            self.binary_head = nn.Linear(width, 1 if config.head == "binary" else 2)
            nn.init.normal_(self.binary_head.weight, std=0.01)
            nn.init.zeros_(self.binary_head.bias)

    def forward(
        self,
        video: Tensor,
        text: Tensor,
        video_padding: Tensor | None = None,
        text_padding: Tensor | None = None,
        stretch_from: int | None = None,
    ) -> TANOutput:
        """Align a batch.

        Args:
            video: [batch, seconds, video_width] features, one a second.
            text: [batch, sentences, text_width].
            video_padding: [batch, seconds] True where the video is over; by default none.
            text_padding: [batch, sentences] True where there is no sentence; by default none.
            stretch_from: stretch the positions of that many seconds over the whole video, for videos of
                another length than those of training.

        Raises:
            UsageError: longer than there are positions for.
        """
        video_padding = _no_padding(video) if video_padding is None else video_padding
        text_padding = _no_padding(text) if text_padding is None else text_padding
        dual_text = self.text_features(text)
        joint_text = dual_text
        if self.config.text_positions:
            joint_text = dual_text + self._positions(self.text_temporal_pos_embed, text.shape[1], None)
        seconds = video.shape[1]
        placed = torch.cat([self._placed(video, stretch_from), joint_text], 1)
        stages = self.joint_temporal_encoder(placed, torch.cat([video_padding, text_padding], 1))
        stages[-1] = self.ln_joint_post_enc(stages[-1])
        joint = torch.stack(stages, 1)
        head = None
        if self.config.head != "none":
            head = self.binary_head(joint[:, self.config.head_stage, seconds:])
        unit = F.normalize(joint, dim=-1)
        return TANOutput(
            dual_video=F.normalize(self.video_features(video, video_padding, stretch_from), dim=-1),
            dual_text=F.normalize(dual_text, dim=-1),
            joint_video=unit[:, :, :seconds],
            joint_text=unit[:, :, seconds:],
            alignability=head,
        )

    def video_features(
        self, video: Tensor, padding: Tensor | None = None, stretch_from: int | None = None
    ) -> Tensor:
        """[batch, stages, seconds, width] of the dual encoder, not of length one; else as `forward`."""
        stages = self.video_temporal_encoder(
            self._placed(video, stretch_from), _no_padding(video) if padding is None else padding
        )
        stages[-1] = self.ln_video_post_enc(stages[-1])
        return torch.stack(stages, 1)

    def text_features(self, text: Tensor) -> Tensor:
        """[..., text_width] to [..., width], not of length one: the dual encoder's side of a sentence."""
        return self.ln_text_init(self.text_pre_proj(text))

    def _placed(self, video: Tensor, stretch_from: int | None) -> Tensor:
        """[batch, seconds, width] projected seconds with their positions."""
        positions = self._positions(self.temporal_pos_embed, video.shape[1], stretch_from)
        return self.ln_video_init(self.video_pre_proj(video)) + positions

    def _positions(self, table: Tensor, length: int, stretch_from: int | None) -> Tensor:
        if stretch_from is not None:
            source = table[None, :stretch_from].transpose(1, 2)
            stretched = F.interpolate(source, size=length, mode="linear", align_corners=False)
            return self.ln_position_init(stretched.transpose(1, 2)[0])
        start = 0
        if self.training and self.config.random_start and length > 1:
            start = int(torch.randint(length // 2, ()))
        if start + length > table.shape[0]:
            raise UsageError(
                f"{length} seconds or sentences, but positions for {table.shape[0]}: align windows of it "
                "(cinescribe.models.tan_inference) or stretch the positions"
            )
        return self.ln_position_init(table[start : start + length])


class TANPair(nn.Module):
    """A TAN, the moving average of it that makes the labels of stage 2, and the sentence encoder.

    Args:
        config: of both.
        momentum: of the average. The paper has 0.99, its code's default is 0.999.
        words: vocabulary of a sentence encoder, trained with the network but
            for its word vectors; None where sentences come as vectors.
    """

    def __init__(
        self, config: TANConfig | None = None, momentum: float = 0.99, words: int | None = None
    ) -> None:
        super().__init__()
        self.momentum = momentum
        self.online = TAN(config)
        self.target = TAN(config)
        self.lang_model = None if words is None else Word2VecText(words)
        self.target.requires_grad_(False)
        self.restart_target()

    def train(self, mode: bool = True) -> "TANPair":
        """Training mode for the network; the average always starts at position 0."""
        super().train(mode)
        self.target.eval()
        return self

    def restart_target(self) -> None:
        """Make the average equal to the network, as at the start of stage 2."""
        self.target.load_state_dict(self.online.state_dict())

    @torch.no_grad()
    def update_target(self) -> None:
        """One step of the average, after each step of the optimiser."""
        for average, value in zip(self.target.parameters(), self.online.parameters(), strict=True):
            average.mul_(self.momentum).add_(value, alpha=1 - self.momentum)


def _no_padding(x: Tensor) -> Tensor:
    return torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)


def _sine_positions(length: int, width: int) -> Tensor:
    """[length, width] sines and cosines of the place, scaled to one turn over the table (published code)."""
    place = torch.arange(length) / (length - 1 + 1e-6) * 2 * torch.pi
    period = 10_000 ** (2 * (torch.arange(width) // 2) / width)
    angle = place[:, None] / period
    return torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], 2).flatten(1)
