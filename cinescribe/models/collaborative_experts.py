"""Collaborative Experts: text and video retrieval by the gated fusion of pretrained experts.

Source: Liu, Albanie, Nagrani and Zisserman, "Use What You Have: Video Retrieval Using Representations From
Collaborative Experts", BMVC 2019, as corrected in its second version. Where the paper and the authors' code
differ, the default is the code (only it has the paper's 183.45 M parameters) and the paper's equations are an
option.

An expert that a clip lacks is NaN and marked in `available`. It is set to zero before any layer, and its
weight is taken from the others for that pair of text and clip alone: weights form a table [texts, clips,
experts]. The first version of the paper multiplied [texts, experts] by the clips' flags row by row, so that
what the right clip lacks was told to its text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from cinescribe.errors import UsageError
from cinescribe.models.collaborative_experts_fusion import Fusion
from cinescribe.models.netvlad import NetVLAD

Aggregation = Literal["collaborative", "equations", "projected", "native", "concat"]
UNKNOWN = -1.0  # the similarity to a clip that lacks all experts: the least there is


@dataclass(frozen=True, slots=True)
class ExpertConfig:
    """An expert's input.

    Attributes:
        name: of it; letters, digits, "-" and "_".
        dim: of a vector.
        clusters: of the NetVLAD that pools a sequence of vectors; 0: the input is one vector, their mean.
        tokens: length of the sequence, shorter ones padded with zeros; 0 for a mean.
    """

    name: str
    dim: int
    clusters: int = 0
    tokens: int = 0

    @property
    def pooled_dim(self) -> int:
        """Numbers of the expert after pooling."""
        return self.dim * max(1, self.clusters)


@dataclass(frozen=True, slots=True)
class TextConfig:
    """The text's input; defaults are those of MSR-VTT.

    Attributes:
        dim: of a token's vector; 768 of OpenAI-GPT.
        clusters, ghosts: of its NetVLAD.
        tokens: length of the sequence, shorter texts padded with zeros.
    """

    dim: int = 768
    clusters: int = 28
    ghosts: int = 1
    tokens: int = 37

    @property
    def pooled_dim(self) -> int:
        """Numbers of a text after pooling."""
        return self.dim * self.clusters


# The experts of the paper on MSR-VTT, in the order of the published weights: the alphabet's of their long
# names there (i3d.i3d.0, imagenet.resnext101_32x48d.0, imagenet.senet154.0, r2p1d..., scene.densenet161.0).
MSR_VTT = (
    ExpertConfig("audio", 128, clusters=8, tokens=29),
    ExpertConfig("face", 512),
    ExpertConfig("i3d", 1024),
    ExpertConfig("resnext101", 2048),
    ExpertConfig("senet154", 2048),
    ExpertConfig("ocr", 300, clusters=43, tokens=49),
    ExpertConfig("r2p1d", 512),
    ExpertConfig("scene", 2208),
    ExpertConfig("speech", 300, clusters=19, tokens=32),
)


@dataclass(frozen=True, slots=True)
class CEConfig:
    """The model; by default the paper's on MSR-VTT, 183,448,607 parameters.

    Attributes:
        experts: in their order.
        text: its input.
        width: of the common space (Table 10 compares 384 to 1024).
        aggregation: how experts are brought together (Table 6):
            "collaborative": gating by all pairs, as the code does it: each expert in turn, which sees those
            before it gated already and itself, the mean over pairs, both gates in one sigmoid;
            "equations": gating as equations 1 and 2 say: all at once, the sum over the other experts, then
            a gated embedding module;
            "projected": the common space without gating by pairs ("CE - CG", 181,070,111 parameters);
            "native": no common space ("MoEE", Miech et al. 2018);
            "concat": the pooled experts in a row against the pooled text, nothing learned but the pooling.
        mixture: the text weighs the experts; else all count the same ("- MW" of Table 6, with "native").
    """

    experts: tuple[ExpertConfig, ...] = MSR_VTT
    text: TextConfig = field(default_factory=TextConfig)
    width: int = 768
    aggregation: Aggregation = "collaborative"
    mixture: bool = True

    def __post_init__(self) -> None:
        if self.collaborates and len(self.experts) < 2:
            raise UsageError(
                f"{len(self.experts)} expert: gating by pairs wants two or more; give more experts, or the "
                'aggregation "projected"'
            )
        names = [expert.name for expert in self.experts]
        if not names or len(set(names)) < len(names):
            raise UsageError(f"experts {', '.join(names) or 'none'}: give each name once, and at least one")
        for expert in self.experts:
            if bool(expert.clusters) != bool(expert.tokens):
                raise UsageError(f"expert {expert.name}: a sequence has clusters and tokens, a mean neither")

    @property
    def collaborates(self) -> bool:
        """Whether pairs of experts gate each other."""
        return self.aggregation in ("collaborative", "equations")

    @property
    def common(self) -> bool:
        """Whether there is a common space."""
        return self.collaborates or self.aggregation == "projected"

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers of each part of a text's and a clip's vectors; one part where nothing is mixed."""
        if self.aggregation == "concat":
            return (max(self.text.pooled_dim, sum(expert.pooled_dim for expert in self.experts)),)
        return tuple(self.width if self.common else expert.dim for expert in self.experts)


@dataclass(frozen=True, slots=True)
class TextVectors:
    """Encoded texts.

    Attributes:
        vectors: [texts, sum of widths].
        weights: [texts, parts] float32, of each part; they sum to 1.
    """

    vectors: Tensor
    weights: Tensor


@dataclass(frozen=True, slots=True)
class ClipVectors:
    """Encoded clips.

    Attributes:
        vectors: [clips, sum of widths], zeros in the parts of missing experts.
        available: [clips, parts] bool.
    """

    vectors: Tensor
    available: Tensor


class CollaborativeExperts(nn.Module):
    """The model: texts and clips to vectors and the similarity of each pair.

    Args:
        config: of it.
    """

    def __init__(self, config: CEConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or CEConfig()
        self.text_pooling = NetVLAD(config.text.dim, config.text.clusters, config.text.ghosts)
        # Ghost clusters of experts are configured in the published settings, but never made by its code.
        self.pooling = nn.ModuleDict(
            {
                expert.name: NetVLAD(expert.dim, expert.clusters)
                for expert in config.experts
                if expert.clusters
            }
        )
        self.ce = Fusion(config)

    def encode_text(self, tokens: Tensor) -> TextVectors:
        """Texts, [texts, tokens, dim] with zeros behind the last token."""
        return TextVectors(*self.ce.texts(self.text_pooling(tokens)))

    def encode_clips(self, experts: Mapping[str, Tensor], available: Tensor) -> ClipVectors:
        """Clips.

        Args:
            experts: by name [clips, dim], of sequences [clips, tokens, dim]; anything, such as NaN, where an
                expert is missing.
            available: [clips, experts] bool, in the order of the configuration.
        """
        pooled = []
        for number, expert in enumerate(self.config.experts):
            value = experts[expert.name]
            there = available[:, number].view(-1, *[1] * (value.ndim - 1))
            value = torch.where(there, value, torch.zeros((), dtype=value.dtype, device=value.device))
            pooled.append(self.pooling[expert.name](value) if expert.clusters else value)
        vectors = self.ce.clips(pooled, available)
        if self.config.aggregation == "concat":
            return ClipVectors(vectors, available.new_ones(len(available), 1))
        return ClipVectors(vectors * spread(available, self.config.widths), available)

    def similarity(self, texts: TextVectors, clips: ClipVectors, rows: int = 0) -> Tensor:
        """[texts, clips]; see `similarity`."""
        return similarity(texts, clips, self.config.widths, rows)

    def forward(self, tokens: Tensor, experts: Mapping[str, Tensor], available: Tensor) -> Tensor:
        """[texts, clips] similarities; arguments as of `encode_text` and `encode_clips`."""
        return self.similarity(self.encode_text(tokens), self.encode_clips(experts, available))


def spread(parts: Tensor, widths: tuple[int, ...]) -> Tensor:
    """[n, parts] flags or weights to [n, sum of widths]: each for all numbers of its part."""
    return parts.repeat_interleave(torch.tensor(widths, device=parts.device), dim=1)


def pair_weights(weights: Tensor, available: Tensor) -> Tensor:
    """The weight of each expert for each pair: [texts, parts], [clips, parts] to [texts, clips, parts].

    Weights of missing experts are taken away and the rest sums to 1 (section 3.2.1); all are 0 for a clip
    without any expert.
    """
    left = weights[:, None] * available[None].to(weights.dtype)
    return left / left.sum(2, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)


def similarity(texts: TextVectors, clips: ClipVectors, widths: tuple[int, ...], rows: int = 0) -> Tensor:
    """The sum over the experts of the pair's weight times the product of their vectors.

    With w of the text and ind of the clip it is
    `sum_i w_i ind_i <t_i, v_i> / sum_i w_i ind_i`: a product of two matrices over that of two small ones,
    so the table of weights [texts, clips, experts] is never made.

    Args:
        texts, clips: encoded.
        widths: of the parts of their vectors.
        rows: texts at once, which bounds the memory beside the result; 0: all.

    Returns:
        [texts, clips] float32; `UNKNOWN` for a clip without any expert.
    """
    count = len(texts.vectors)
    if rows and count > rows:
        result = torch.empty(count, len(clips.vectors), device=texts.vectors.device)
        for first in range(0, count, rows):
            part = TextVectors(texts.vectors[first : first + rows], texts.weights[first : first + rows])
            result[first : first + rows] = similarity(part, clips, widths)
        return result
    with torch.autocast(texts.vectors.device.type, enabled=False):  # margins are finer than 16 bits
        weights, present = texts.weights.float(), clips.available.float()
        weighted = texts.vectors.float() * spread(weights, widths)
        share = weights @ present.T
        ranked = weighted @ clips.vectors.float().T / share.clamp(min=torch.finfo(torch.float32).tiny)
    return torch.where(present.sum(1) > 0, ranked, UNKNOWN)
