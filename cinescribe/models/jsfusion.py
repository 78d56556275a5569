"""JSFusion (Yu, Kim and Kim 2018; chapter 5 of the thesis): how well a sentence fits a video, pair by pair.

Every frame meets every word in the joint semantic tensor (JST); the convolutional hierarchical decoder (CHD)
finds matches of growing size in it. The defaults are the thesis's. What its published code does otherwise
(yj-yu/lsmdc) is an option of the config and named "[code]".

Padding never counts: maps have as many valid cells as convolutions without padding leave of the real frames
and words, at least one, others are zero and stay out of the mean, as in the code. The thesis doesn't say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cinescribe.errors import UsageError

# "dense" replaces the BLSTM by fully-connected layers; "gated-conv" is the code's encoder of videos.
SequenceEncoding = Literal["blstm", "lstm", "dense", "gated-conv"]
# "max" and "mean" pool where "conv" convolves; "none" multiplies the last states alone, without JST and CHD.
Decoding = Literal["conv", "max", "mean", "none"]
Activation = Literal["none", "tanh", "leaky-relu"]
SMALLEST = 7  # frames and words that the three convolutions need
_STRIDES = (1, 1, 2)


@dataclass(frozen=True, slots=True)
class JSFusionConfig:
    """Sizes and variants (Table 5.1).

    Attributes:
        video_width: of a frame: ResNet-152 pool5 2048 and VGGish 128 (the thesis's 2,156 is a slip).
        word_width: of a word vector; GloVe 42B.
        frames, words: at most so many (section 5.3.1).
        hidden: of each direction of the BLSTM.
        joint: D1, where frames and words meet.
        attention: D2.
        fusion: D3 and D4.
        channels: of the convolutions.
        dense: D5, D6, D7.
        outputs: D8; 1 is a score, more are words for the blank.
        dropout: after D1, D2, D3.
        video_encoder, text_encoder: of the sequences.
        decoder: of the tensor.
        gates: the convolutions are gated.
        conv_activation: of the convolutions; none in eq. 5.4, [code] leaky-relu (retrieval) or tanh.
        dense_activation: of D5 to D7; [code] leaky-relu in retrieval.
        blank_alone: fill-in-the-blank: the blank's state alone meets the video, and is averaged with D7's
            output, not added [code].
    """

    video_width: int = 2176
    word_width: int = 300
    frames: int = 40
    words: int = 40
    hidden: int = 512
    joint: int = 512
    attention: int = 512
    fusion: int = 512
    channels: int = 256
    dense: tuple[int, int, int] = (256, 256, 128)
    outputs: int = 1
    dropout: float = 0.5
    video_encoder: SequenceEncoding = "blstm"
    text_encoder: SequenceEncoding = "blstm"
    decoder: Decoding = "conv"
    gates: bool = True
    conv_activation: Activation = "none"
    dense_activation: Activation = "tanh"
    blank_alone: bool = False

    def __post_init__(self) -> None:
        if min(self.frames, self.words) < SMALLEST:
            raise UsageError(f"{self.frames} frames and {self.words} words: give at least {SMALLEST} each")
        if self.outputs > 1 and self.dense[2] != self.joint:
            raise UsageError(f"for blanks D7 ({self.dense[2]}) must be as wide as D1 ({self.joint})")

    def for_blanks(self, words: int) -> "JSFusionConfig":
        """The sizes of fill-in-the-blank (section 5.3.6), for so many words."""
        return replace(
            self, joint=1024, dense=(1024, 1024, 1024), attention=2048, fusion=2048, channels=1024,
            outputs=words, dropout=0.2,
        )  # fmt: skip


_LSTM: Mapping[str, Any] = {"video_encoder": "lstm", "text_encoder": "lstm"}
# As Tables 5.2 and 5.3 name them; JSFusion-noaudio is JSFusion with the pictures' features alone.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "JSFusion": {},
    "LSTM-fusion": {**_LSTM, "decoder": "none"},
    "noBLSTM-JSFusion": {"video_encoder": "dense", "text_encoder": "dense"},
    "LSTM-JSFusion": _LSTM,
    "JSTmax": {"decoder": "max"},
    "JSTmean": {"decoder": "mean"},
    "JSTmean-noattention": {"decoder": "mean", "gates": False},
    "JSFusion-noattention": {"gates": False},
    "code-retrieval": {
        "video_encoder": "gated-conv", "conv_activation": "leaky-relu", "dense_activation": "leaky-relu",
    },
    "code-choice": {"video_encoder": "gated-conv", "conv_activation": "tanh"},
    "code-blank": {"video_encoder": "gated-conv", "conv_activation": "tanh", "blank_alone": True},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Steps:
    """Encoded sequences: vectors [items, steps, joint], zero from each one's end on; lengths [items]."""

    vectors: Tensor
    lengths: Tensor


class Dense(nn.Module):
    """A fully-connected layer, batch normalisation (its shift is the bias): [rows, in] to [rows, out]."""

    def __init__(self, width: int, out: int, activation: Activation = "tanh") -> None:
        super().__init__()
        self.linear = nn.Linear(width, out, bias=False)
        self.norm = nn.BatchNorm1d(out)
        self.activation = _activation(activation)

    def forward(self, rows: Tensor) -> Tensor:
        """Of rows without padding, which would change their mean and variance."""
        return self.activation(self.norm(self.linear(rows)))


class SequenceEncoder(nn.Module):
    """Sequences [items, steps, width] in their context, each step beside its own input, then D1."""

    def __init__(self, width: int, config: JSFusionConfig, kind: SequenceEncoding) -> None:
        super().__init__()
        self.kind, hidden = kind, config.hidden
        if kind in ("blstm", "lstm"):
            self.recurrent = nn.LSTM(width, hidden, batch_first=True, bidirectional=kind == "blstm")
            states = 2 * hidden if kind == "blstm" else hidden
        elif kind == "dense":
            states = 2 * hidden
            self.layer = Dense(width, states)
        else:
            states = 2 * hidden
            sizes = (width, 2 * states, 2 * states)
            self.convolutions = nn.ModuleList(nn.Conv1d(n, 2 * states, 3, padding=1) for n in sizes)
        self.project = Dense(states + width, config.joint)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Steps:
        """[items, steps, width] and [items] lengths, at least 1, to their D1."""
        valid = torch.arange(inputs.shape[1], device=inputs.device) < lengths[:, None]
        rows = inputs[valid]
        states = self.layer(rows) if self.kind == "dense" else self._states(inputs, lengths, valid)[valid]
        projected = self.dropout(self.project(torch.cat([states, rows], -1)))
        vectors = projected.new_zeros(*valid.shape, projected.shape[-1])
        vectors[valid] = projected
        return Steps(vectors, lengths)

    def _states(self, inputs: Tensor, lengths: Tensor, valid: Tensor) -> Tensor:
        if self.kind == "gated-conv":
            hidden = inputs.transpose(1, 2) * valid[:, None]
            for convolution in self.convolutions:
                hidden = torch.relu(convolution(hidden))
            passed, gate = hidden.transpose(1, 2).chunk(2, -1)
            return passed * torch.sigmoid(gate)
        packed = nn.utils.rnn.pack_padded_sequence(
            inputs, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = self.recurrent(packed)
        return nn.utils.rnn.pad_packed_sequence(states, batch_first=True, total_length=inputs.shape[1])[0]


class JointSemanticTensor(nn.Module):
    """JST (eq. 5.2 and 5.3): what each frame and each word say together, weighed."""

    def __init__(self, config: JSFusionConfig) -> None:
        super().__init__()
        self.attention = Dense(config.joint, config.attention)  # D2
        self.weight = nn.Linear(config.attention, 1, bias=False)  # w
        self.first = Dense(config.joint, config.fusion)  # D3
        self.second = Dense(config.fusion, config.fusion)  # D4
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, video: Steps, text: Steps, pairs: Tensor, extent: tuple[int, int]) -> Tensor:
        """[pairs, fusion, frames, words] of pairs [pairs, 2] (number of the video, of the text).

        Only the cells of real frames and words are computed; the others, up to `extent`, are zero.
        """
        valid = _cells(video, text, pairs, extent)
        pair, frame, word = valid.nonzero(as_tuple=True)
        frames = video.vectors.flatten(0, 1).index_select(0, pairs[pair, 0] * video.vectors.shape[1] + frame)
        words = text.vectors.flatten(0, 1).index_select(0, pairs[pair, 1] * text.vectors.shape[1] + word)
        met = frames * words
        representation = self.second(self.dropout(self.first(met)))
        weighed = self.weights(met) * representation
        tensor = weighed.new_zeros(*valid.shape, weighed.shape[-1])
        tensor[valid] = weighed
        return tensor.permute(0, 3, 1, 2)

    def weights(self, met: Tensor) -> Tensor:
        """[rows, 1] attention alpha, between 0 and 1, of rows [rows, joint]."""
        return torch.sigmoid(self.weight(self.dropout(self.attention(met))))


class Decoder(nn.Module):
    """CHD (eq. 5.4): three stages of 3 x 3, each a convolution and its gate, then the mean of the cells."""

    def __init__(self, config: JSFusionConfig) -> None:
        super().__init__()
        self.kind, self.gates = config.decoder, config.gates
        self.kernel = (3, 1) if config.blank_alone else (3, 3)
        self.activation = _activation(config.conv_activation)
        learned = config.channels if config.decoder == "conv" else 0
        self.channels = learned or config.fusion
        out = learned + int(config.gates)  # the last channel is the gate's
        sizes = (config.fusion, self.channels, self.channels)
        self.stages = nn.ModuleList(
            nn.Conv2d(size, out, self.kernel, (stride, 1 if config.blank_alone else stride))
            for size, stride in zip(sizes, _STRIDES, strict=True)
            if out
        )

    def forward(self, tensor: Tensor, frames: Tensor, words: Tensor) -> Tensor:
        """[pairs, fusion, frames, words] and the numbers of real ones [pairs] to [pairs, channels]."""
        for number, stride in enumerate(_STRIDES):
            frames = _remaining(frames, stride)
            words = words if self.kernel[1] == 1 else _remaining(words, stride)
            made = self.stages[number](tensor) if self.stages else None
            passed = self._passed(tensor, made, stride)
            if self.gates and made is not None:
                passed = passed * torch.sigmoid(made[:, -1:])
            rows = torch.arange(passed.shape[2], device=passed.device) < frames[:, None]
            columns = torch.arange(passed.shape[3], device=passed.device) < words[:, None]
            tensor = passed * (rows[:, None, :, None] & columns[:, None, None, :])
        return tensor.sum((2, 3)) / (frames * words)[:, None]

    def _passed(self, tensor: Tensor, made: Tensor | None, stride: int) -> Tensor:
        strides = (stride, 1 if self.kernel[1] == 1 else stride)
        if self.kind == "max":
            return nn.functional.max_pool2d(tensor, self.kernel, strides)
        if self.kind == "mean" or made is None:
            return nn.functional.avg_pool2d(tensor, self.kernel, strides)
        return self.activation(made[:, : self.channels])


class JSFusion(nn.Module):
    """The model. With one output it scores pairs, with more it fills in blanks.

    Parameters at the thesis's sizes, without word vectors: `benchmarks.jsfusion` prints them.

    Args:
        config: sizes and variants.
        words: numbers of its vocabulary, the special ones included.
        vectors: [words, word_width] to begin with; random without. They learn, as in the code.
    """

    def __init__(self, config: JSFusionConfig, words: int, vectors: Tensor | None = None) -> None:
        super().__init__()
        self.config = config
        self.words = nn.Embedding(words, config.word_width, padding_idx=0)
        if vectors is not None:
            with torch.no_grad():
                self.words.weight.copy_(vectors)
        self.video = SequenceEncoder(config.video_width, config, config.video_encoder)
        self.text = SequenceEncoder(config.word_width, config, config.text_encoder)
        width = config.joint
        if config.decoder != "none":
            self.tensor = JointSemanticTensor(config)
            self.decoder = Decoder(config)
            width = self.decoder.channels
        layers = []
        for size in config.dense:
            layers.append(Dense(width, size, config.dense_activation))
            width = size
        self.dense = nn.Sequential(*layers)  # D5, D6, D7
        self.out = nn.Linear(width, config.outputs)  # D8

    def encode_video(self, frames: Tensor, lengths: Tensor) -> Steps:
        """[videos, frames, video_width], zeros behind, and [videos] lengths: what depends on videos alone."""
        return self.video(frames, lengths)

    def encode_text(self, ids: Tensor, lengths: Tensor) -> Steps:
        """[texts, words] numbers of words and [texts] lengths: what depends on sentences alone."""
        return self.text(self.words(ids), lengths)

    def score(self, video: Steps, text: Steps, pairs: Tensor) -> Tensor:
        """[pairs] scores of pairs [pairs, 2] (number of the video, of the text)."""
        return self.out(self.dense(self._met(video, text, pairs)))[:, 0]

    def fill(self, video: Steps, text: Steps, blanks: Tensor) -> Tensor:
        """[items, outputs] logits of the words for the blanks at places [items] of the texts.

        Video k belongs to text k.
        """
        items = torch.arange(len(blanks), device=blanks.device)
        context = text.vectors[items, blanks]
        if self.config.blank_alone:
            text = Steps(context[:, None], torch.ones_like(text.lengths))
        hidden = self.dense(self._met(video, text, items[:, None].expand(-1, 2)))
        return self.out((hidden + context) / 2 if self.config.blank_alone else hidden + context)

    def _met(self, video: Steps, text: Steps, pairs: Tensor) -> Tensor:
        """[pairs, channels]."""
        frames, words = video.lengths[pairs[:, 0]], text.lengths[pairs[:, 1]]
        if self.config.decoder == "none":
            last = video.vectors[pairs[:, 0], frames - 1], text.vectors[pairs[:, 1], words - 1]
            return last[0] * last[1]
        across = 1 if self.config.blank_alone else max(SMALLEST, int(words.max()))
        tensor = self.tensor(video, text, pairs, (max(SMALLEST, int(frames.max())), across))
        return self.decoder(tensor, frames, words)


def _cells(video: Steps, text: Steps, pairs: Tensor, extent: tuple[int, int]) -> Tensor:
    """[pairs, frames, words] True where a real frame meets a real word."""
    device = pairs.device
    frames = torch.arange(extent[0], device=device) < video.lengths[pairs[:, 0], None]
    words = torch.arange(extent[1], device=device) < text.lengths[pairs[:, 1], None]
    return frames[:, :, None] & words[:, None, :]


def _remaining(length: Tensor, stride: int) -> Tensor:
    """Valid cells that a kernel of 3 without padding leaves, at least one [code]."""
    return ((length - 3) // stride + 1).clamp(min=1)


def _activation(name: Activation) -> nn.Module:
    return {"none": nn.Identity(), "tanh": nn.Tanh(), "leaky-relu": nn.LeakyReLU(0.2)}[name]
