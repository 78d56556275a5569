"""How Collaborative Experts makes one set of vectors of a clip's experts, and one of a text.

The modules are named as in the published weights (`ce.*`), which the authors' class holds side by side, too.
Sources: Liu et al. 2019, sections 3.1 and 3.2, Table 6; the authors' code where it differs (model/model.py).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cinescribe.models.collaborative_experts_layers import (
    FusedEmbedding,
    GatedEmbedding,
    Projection,
    pair_layers,
)

if TYPE_CHECKING:
    from cinescribe.models.collaborative_experts import CEConfig


class Fusion(nn.Module):
    """The part of the model behind the pooling.

    Args:
        config: of the model.

    Attributes:
        moe_fc: text to the mixture weights; there, as in the published files, also where they aren't used.
        video_dim_reduce: each expert to the common space; none without one.
        g_reason_1, g_reason_shared: g of eq. 1, the same for all pairs.
        video_GU: an expert's gated embedding module each.
        text_GU: the text's, one for each expert.
    """

    def __init__(self, config: "CEConfig") -> None:
        super().__init__()
        self.config = config
        wide = [expert.pooled_dim for expert in config.experts]
        text = config.text.pooled_dim
        self.moe_fc = nn.Linear(text, len(wide))
        if config.aggregation == "concat":
            return
        if config.common:
            self.video_dim_reduce = nn.ModuleList(Projection(dim, config.width) for dim in wide)
        if config.collaborates:
            self.g_reason_1 = nn.Linear(2 * config.width, config.width)
            self.g_reason_shared = pair_layers(config.width)
        self.video_GU = nn.ModuleList(
            _video_unit(config, dim, width) for dim, width in zip(wide, config.widths, strict=True)
        )
        self.text_GU = nn.ModuleList(GatedEmbedding(text, width) for width in config.widths)

    def texts(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors and mixture weights of texts.

        Args:
            pooled: [texts, text width] of NetVLAD.

        Returns:
            [texts, sum of widths], one vector of length 1 for each expert after the other; [texts, experts]
            weights that sum to 1.
        """
        if self.config.aggregation == "concat":
            return self._padded(pooled), pooled.new_ones(len(pooled), 1)
        vectors = torch.cat([unit(pooled) for unit in self.text_GU], dim=1)
        if self.config.mixture:
            return vectors, self.moe_fc(pooled).float().softmax(1)
        experts = len(self.config.experts)
        return vectors, vectors.new_full((len(pooled), experts), 1 / experts, dtype=torch.float32)

    def clips(self, pooled: Sequence[Tensor], available: Tensor) -> Tensor:
        """Vectors of clips.

        Args:
            pooled: [clips, dim] of each expert, zeros where it is missing.
            available: [clips, experts] bool.

        Returns:
            [clips, sum of widths], one vector of length 1 for each expert after the other.
        """
        config = self.config
        if config.aggregation == "concat":
            return self._padded(torch.cat(list(pooled), dim=1))
        vectors = list(pooled)
        if config.common:
            vectors = [layer(vector) for layer, vector in zip(self.video_dim_reduce, vectors, strict=True)]
        if config.aggregation == "collaborative":
            vectors = self._in_place(vectors, available)
        elif config.aggregation == "equations":
            vectors = self._at_once(vectors, available)
        else:
            vectors = [unit(vector) for unit, vector in zip(self.video_GU, vectors, strict=True)]
        return torch.cat(vectors, dim=1)

    def _in_place(self, vectors: list[Tensor], available: Tensor) -> list[Tensor]:
        """Expert after expert, each seeing those before it gated already, and itself; the mean over pairs."""
        seconds = [self._as_second(vector) for vector in vectors]
        for number, unit in enumerate(self.video_GU):
            relations = self.g_reason_shared(self._as_first(vectors[number]) + torch.stack(seconds))
            both = (available & available[:, number, None]).T[..., None].to(relations.dtype)
            attention = (relations * both).sum(0) / (both.sum(0) + 1e-11)
            vectors[number] = unit(vectors[number], attention)
            seconds[number] = self._as_second(vectors[number])
        return vectors

    def _at_once(self, vectors: list[Tensor], available: Tensor) -> list[Tensor]:
        """Equations 1 and 2: the sum over all other experts, none of them gated yet; h is the identity."""
        seconds = [self._as_second(vector) for vector in vectors]
        gated = []
        for number, unit in enumerate(self.video_GU):
            others = [other for other in range(len(vectors)) if other != number]
            relations = self.g_reason_shared(
                self._as_first(vectors[number]) + torch.stack([seconds[other] for other in others])
            )
            both = (available[:, others] & available[:, number, None]).T[..., None].to(relations.dtype)
            attention = (relations * both).sum(0)
            gated.append(unit(vectors[number] * torch.sigmoid(attention)))
        return gated

    # The first layer of g acts on the two halves of a pair by themselves, so what an expert gives it is
    # computed once for all pairs, not for each.
    def _as_first(self, vector: Tensor) -> Tensor:
        return F.linear(vector, self.g_reason_1.weight[:, : self.config.width], self.g_reason_1.bias)

    def _as_second(self, vector: Tensor) -> Tensor:
        return F.linear(vector, self.g_reason_1.weight[:, self.config.width :])

    def _padded(self, vectors: Tensor) -> Tensor:
        """Zeros behind, to the width of the longer of text and clip."""
        return F.pad(vectors, (0, self.config.widths[0] - vectors.shape[1]))


def _video_unit(config: "CEConfig", dim: int, width: int) -> nn.Module:
    if config.aggregation == "collaborative":
        return FusedEmbedding(width)
    if config.aggregation == "equations":
        return GatedEmbedding(width, width)
    return GatedEmbedding(dim, width, project=not config.common)
