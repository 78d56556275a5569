"""The layers of Collaborative Experts, named as its published weights are.

Source: Liu et al. 2019, section 3.1, and the authors' code (model/model.py).
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ContextGating(nn.Module):
    """x * sigmoid(BN(FC x)) (Miech et al. 2018)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(dim, dim)
        self.batch_norm = nn.BatchNorm1d(dim)

    def forward(self, vectors: Tensor) -> Tensor:
        """[batch, dim] to the same."""
        return vectors * torch.sigmoid(self.batch_norm(self.fc(vectors)))


class GatedEmbedding(nn.Module):
    """A gated embedding module (GEM): a projection, context gating, length 1.

    Args:
        dim: of the input.
        width: of the output.
        project: without it the input, of `width` already, is only gated.
    """

    def __init__(self, dim: int, width: int, *, project: bool = True) -> None:
        super().__init__()
        self.fc = nn.Linear(dim, width) if project else None
        self.cg = ContextGating(width)

    def forward(self, vectors: Tensor) -> Tensor:
        """[batch, dim] to [batch, width] of length 1."""
        return F.normalize(self.cg(vectors if self.fc is None else self.fc(vectors)))


class Projection(nn.Module):
    """An expert's vector in the common space, of length 1."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.fc = nn.Linear(dim, width)

    def forward(self, vectors: Tensor) -> Tensor:
        """[batch, dim] to [batch, width]."""
        return F.normalize(self.fc(vectors))


class FusedGating(nn.Module):
    """x * sigmoid(BN1(attention) + BN2(FC x)): the gating of the code, both gates in one sigmoid."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(dim, dim)
        self.batch_norm = nn.BatchNorm1d(dim)
        self.batch_norm2 = nn.BatchNorm1d(dim)

    def forward(self, vectors: Tensor, attention: Tensor) -> Tensor:
        """[batch, dim] twice to [batch, dim]."""
        return vectors * torch.sigmoid(self.batch_norm(attention) + self.batch_norm2(self.fc(vectors)))


class FusedEmbedding(nn.Module):
    """`FusedGating`, then length 1."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.cg = FusedGating(dim)

    def forward(self, vectors: Tensor, attention: Tensor) -> Tensor:
        """[batch, dim] twice to [batch, dim] of length 1."""
        return F.normalize(self.cg(vectors, attention))


class PairBatchNorm(nn.BatchNorm1d):
    """Batch norm of several batches at once, each by its own statistics.

    As if it had been called with one after the other, as the published code does with the pairs of experts.
    """

    def forward(self, pairs: Tensor) -> Tensor:
        """[pairs, batch, dim] to the same."""
        count, batch, dim = pairs.shape
        if not self.training:
            return super().forward(pairs.reshape(-1, dim)).view(count, batch, dim)
        channels = pairs.transpose(0, 1).reshape(batch, count * dim)  # each pair has channels of its own
        weight, bias = self.weight.repeat(count), self.bias.repeat(count)
        normed = F.batch_norm(channels, None, None, weight, bias, training=True, eps=self.eps)
        self._follow(pairs.detach().float())
        return normed.view(batch, count, dim).transpose(0, 1)

    def _follow(self, pairs: Tensor) -> None:
        """Move the running statistics by each pair in turn."""
        variances, means = torch.var_mean(pairs, dim=1)  # [pairs, dim], unbiased as torch's own
        momentum = cast("float", self.momentum)
        left = (1 - momentum) ** torch.arange(len(pairs) - 1, -1, -1, device=pairs.device)[:, None]
        for running, seen in ((self.running_mean, means), (self.running_var, variances)):
            kept = cast("Tensor", running)
            kept.mul_((1 - momentum) ** len(pairs)).add_((momentum * left * seen).sum(0))
        cast("Tensor", self.num_batches_tracked).add_(len(pairs))


def pair_layers(dim: int) -> nn.Sequential:
    """What follows the first layer of g (eq. 1): twice [BN, Mish, FC], [pairs, batch, dim] to the same."""
    layers: list[nn.Module] = []
    for _ in range(2):
        layers += [PairBatchNorm(dim), nn.Mish(), nn.Linear(dim, dim)]
    return nn.Sequential(*layers)
