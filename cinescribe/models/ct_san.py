"""CT-SAN (Yu et al. 2017; chapter 4 of the thesis): concept words traced in a video, and attention to them.

Tracing LSTMs follow one region each through the frames; together they say which concept words the video has.
The K likeliest ones then help to read and to say words (`ct_san_tasks`). Nobody published code; what the
thesis leaves open is marked [gap] where it is decided.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cinescribe.errors import UsageError
from cinescribe.models.layer_norm_lstm import LayerNormLSTM, State

Task = Literal["description", "fill-in", "choice", "retrieval"]


@dataclass(frozen=True, slots=True)
class CTSANConfig:
    """Sizes and variants.

    Attributes:
        input_grid: rows and columns of a frame's feature map; ResNet's res5c has 7 (section 4.2.1). 1 is for
            features without places: then there is one trace.
        input_channels: of that map.
        width: D, of the reduced map and of all LSTMs (section 4.2.2).
        frames: at most so many; one of ten (section 4.2.1).
        words: of a sentence at most [gap]; as JSFusion.
        word_width: d.
        concepts: K, used of a video.
        layers: of the encoding and decoding LSTMs (section 4.2.4).
        dropout: of them.
        semantic_attention: False is Base-SAN: without concepts.
        tracing_channels: between the two convolutions of the spatial attention [gap].
        sketch: of the compact bilinear pooling (section 4.2.7).
        joint: outputs of the maxout; W_s is 1500 x 1.
        pieces: of the maxout; W_p is 8000 x (joint * pieces). The thesis has W_p 8000 x 1500 too, which
            leaves a maxout nothing to choose from; with `joint` 750 W_p is as printed and W_s is not.
        choice_margin: of multiple choice (section 4.2.6).
        retrieval_margin: of retrieval (section 4.2.7).
        attention_weight: lambda 1 [gap].
        concept_weight: lambda 2 [gap].
    """

    input_grid: int = 7
    input_channels: int = 2048
    width: int = 500
    frames: int = 40
    words: int = 40
    word_width: int = 300
    concepts: int = 10
    layers: int = 2
    dropout: float = 0.2
    semantic_attention: bool = True
    tracing_channels: int = 100
    sketch: int = 8000
    joint: int = 1500
    pieces: int = 2
    choice_margin: float = 1.0
    retrieval_margin: float = 3.0
    attention_weight: float = 1e-3
    concept_weight: float = 1.0

    @property
    def grid(self) -> int:
        """Rows and columns after the 2 x 2 pooling: 4 of 7."""
        return (self.input_grid + 1) // 2 if self.input_grid > 1 else 1


class GridReduction(nn.Module):
    """Maps of frames to smaller ones: 2 x 2 max pooling and a 3 x 3 convolution (section 4.2.1)."""

    def __init__(self, config: CTSANConfig) -> None:
        super().__init__()
        self.grid = config.input_grid
        self.convolution = nn.Conv2d(config.input_channels, config.width, 3, padding=1)

    def forward(self, frames: Tensor) -> Tensor:
        """[batch, frames, rows * columns * channels], channels last, to [batch, frames, cells, width]."""
        batch, count, _ = frames.shape
        maps = frames.reshape(batch * count, self.grid, self.grid, -1).permute(0, 3, 1, 2)
        if self.grid > 1:
            maps = F.max_pool2d(maps, 2, ceil_mode=True)
        cells = self.convolution(maps).flatten(2).transpose(1, 2)
        return cells.reshape(batch, count, cells.shape[1], -1)


@dataclass(frozen=True, slots=True)
class Traced:
    """What the tracing LSTMs saw.

    Attributes:
        logits: [batch, vocabulary of concepts].
        attention: [batch, frames, traces, cells], each trace's sums to 1.
    """

    logits: Tensor
    attention: Tensor


class ConceptDetector(nn.Module):
    """Tracing LSTMs with spatial attention (eq. 4.1 to 4.5): one trace a cell, all of the same weights.

    [gap] With a hidden state of zeros the first attention would be the same for all traces. So the one-hot
    alpha_0 makes the first context, and the attention is computed from the second frame on.
    """

    def __init__(self, config: CTSANConfig, concepts: int) -> None:
        super().__init__()
        self.grid = config.grid
        self.convolutions = nn.Sequential(  # [gap] the channels, and a ReLU: two without would be one
            nn.Conv2d(config.width, config.tracing_channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(config.tracing_channels, 1, 3, padding=1),
        )
        self.lstm = nn.LSTMCell(config.width, config.width)
        self.out = nn.Linear(config.grid**2 * config.width, concepts)  # W_p

    def forward(self, cells: Tensor, lengths: Tensor) -> Traced:
        """[batch, frames, cells, width] and [batch] lengths; a trace stays as it is after the last frame."""
        batch, count, traces, width = cells.shape
        hidden = cell = cells.new_zeros(batch * traces, width)
        found = []
        for number in range(count):
            seen = cells[:, number]
            if number == 0:
                attention = torch.eye(traces, device=cells.device).expand(batch, -1, -1).to(cells)
            else:
                attention = self.attention(seen, hidden.view(batch, traces, width))
            context = (attention @ seen).reshape(batch * traces, width)
            after = self.lstm(context, (hidden, cell))
            there = (number < lengths).repeat_interleave(traces)[:, None]
            hidden, cell = torch.where(there, after[0], hidden), torch.where(there, after[1], cell)
            found.append(attention)
        return Traced(self.out(hidden.reshape(batch, traces * width)), torch.stack(found, 1))

    def attention(self, seen: Tensor, hidden: Tensor) -> Tensor:
        """Eq. 4.3, 4.4: a frame [batch, cells, width], [batch, traces, width] to [batch, traces, cells]."""
        batch, cells, width = seen.shape
        alike = (seen[:, None] * hidden[:, :, None]).reshape(-1, self.grid, self.grid, width)
        scores = self.convolutions(alike.permute(0, 3, 1, 2)).flatten(1)
        return scores.softmax(-1).view(batch, hidden.shape[1], cells)


class InputAttention(nn.Module):
    """Words with the concepts they call for (eq. 4.9 and 4.10); without concepts W_x alone."""

    def __init__(self, config: CTSANConfig) -> None:
        super().__init__()
        width = config.word_width
        self.out = nn.Linear(width, config.width, bias=False)  # W_x
        if config.semantic_attention:
            self.query = nn.Linear(width, width, bias=False)  # W_gamma, transposed
            self.scale = nn.Parameter(torch.ones(width))  # w_x,a

    def forward(self, words: Tensor, concepts: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """[batch, steps, d] and [batch, K, d] to [batch, steps, D] and gamma [batch, steps, K]."""
        if concepts is None:
            return self.out(words), None
        weights = (self.query(words) @ concepts.transpose(1, 2)).softmax(-1)
        return self.out(words + self.scale * (weights @ concepts)), weights


class OutputAttention(nn.Module):
    """States with the concepts they call for (eq. 4.11 and 4.12); without concepts the states."""

    def __init__(self, config: CTSANConfig) -> None:
        super().__init__()
        if config.semantic_attention:
            self.project = nn.Linear(config.word_width, config.width, bias=False)  # W_beta
            self.scale = nn.Parameter(torch.ones(config.width))  # w_h,a

    def forward(self, states: Tensor, concepts: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """[batch, steps, D] and [batch, K, d] to [batch, steps, D] and beta [batch, steps, K]."""
        if concepts is None:
            return states, None
        projected = self.project(torch.tanh(concepts))
        weights = (states @ projected.transpose(1, 2)).softmax(-1)
        return states + self.scale * (weights @ projected), weights


@dataclass(frozen=True, slots=True)
class Watched:
    """A batch of videos, seen.

    Attributes:
        states: of each layer of the encoder after the last frame; s_N is the last layer's hidden one.
        concepts: [batch, K, d] vectors of the K likeliest concept words; None without semantic attention.
        found: [batch, K] numbers of these concepts; None likewise.
        logits: [batch, vocabulary of concepts]; None likewise.
    """

    states: list[State]
    concepts: Tensor | None
    found: Tensor | None
    logits: Tensor | None

    def of(self, videos: Tensor) -> "Watched":
        """Those of some videos [n], as often as they are named."""
        return Watched(
            [(hidden[videos], cell[videos]) for hidden, cell in self.states],
            None if self.concepts is None else self.concepts[videos],
            None if self.found is None else self.found[videos],
            None if self.logits is None else self.logits[videos],
        )


def joined(parts: Sequence[Watched]) -> Watched:
    """Of all videos; what only training needs is left out."""
    states = [
        (torch.cat([part.states[layer][0] for part in parts]), torch.cat([p.states[layer][1] for p in parts]))
        for layer in range(len(parts[0].states))
    ]
    concepts = [part.concepts for part in parts if part.concepts is not None]
    return Watched(states, torch.cat(concepts) if concepts else None, None, None)


class Watcher(nn.Module):
    """What all four tasks share: word vectors, the reduced maps, the concept detector, the video's encoder.

    Args:
        config: sizes and variants.
        words: numbers of the vocabulary, the special ones included.
        concept_words: numbers of the words that are concepts (2,000 in the thesis), most frequent first.
        vectors: [words, word_width] to begin with; random without. They learn.
    """

    def __init__(
        self, config: CTSANConfig, words: int, concept_words: Sequence[int], vectors: Tensor | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.words = nn.Embedding(words, config.word_width, padding_idx=0)
        if vectors is not None:
            with torch.no_grad():
                self.words.weight.copy_(vectors)
        self.reduction = GridReduction(config)
        self.encoder = LayerNormLSTM(config.width, config.width, config.layers, config.dropout)
        self.input_attention = InputAttention(config)
        self.register_buffer("concept_words", torch.tensor(list(concept_words), dtype=torch.long))
        if config.semantic_attention:
            if len(concept_words) < config.concepts:
                raise UsageError(f"{len(concept_words)} concept words; a video has {config.concepts}")
            self.detector = ConceptDetector(config, len(concept_words))

    def watch(self, frames: Tensor, lengths: Tensor) -> Watched:
        """[batch, frames, rows * columns * channels] and [batch] lengths."""
        cells = self.reduction(frames)
        _, states = self.encoder(cells.mean(2), lengths)
        if not self.config.semantic_attention:
            return Watched(states, None, None, None)
        logits = self.detector(cells, lengths).logits
        found = logits.topk(self.config.concepts).indices  # the model's own, in training too
        concept_words: Tensor = self.get_buffer("concept_words")
        return Watched(states, self.words(concept_words[found]), found, logits)


def concept_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """L_con (eq. 4.6): mean over videos and concepts; truth [batch, concepts], 1 for those of the caption."""
    return F.binary_cross_entropy_with_logits(logits.float(), truth.float())


def attention_penalty(weights: Tensor, valid: Tensor, p: float = 2.0, q: float = 0.5) -> Tensor:
    """g of eq. 4.15, mean over the batch.

    Its first term is least when all concepts get as much over the sentence, its second when each word attends
    to few; the root of 1/q is as printed.

    Args:
        weights: [batch, steps, K], each step's sums to 1.
        valid: [batch, steps] True for real steps.
    """
    kept = weights.float() * valid[..., None]
    spread = kept.sum(1).pow(p).sum(-1).pow(1 / p)
    steps = weights.float().clamp(min=1e-12).pow(q).sum(-1).pow(1 / q)
    return (spread + (steps * valid).sum(1)).mean()
