"""Running statistics of batch norm over the parts of a step, as gradients are.

A part is normalised by its own statistics, and each worker's running ones would follow its own parts alone.
So every part moves them from where the step began, and the step moves them by the mean of that: whatever
number of workers computes the parts, all hold the same. A step counts as one batch, too.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn


class RunningStatistics:
    """Those of a model's batch norms during one step. Does nothing for models without any.

    Args:
        model: before the first part.
    """

    def __init__(self, model: "nn.Module") -> None:
        from torch.nn.modules.batchnorm import _BatchNorm

        norms = [one for one in model.modules() if isinstance(one, _BatchNorm) and one.training]
        self._values: list[Tensor] = [
            value for norm in norms for value in (norm.running_mean, norm.running_var) if value is not None
        ]
        self._batches: list[Tensor] = [
            norm.num_batches_tracked for norm in norms if norm.num_batches_tracked is not None
        ]
        self._batches_begun = [value.clone() for value in self._batches]
        self._batches_after = self._batches_begun
        self._begun = [value.clone() for value in self._values]
        self._sums = [value.new_zeros(value.shape) for value in self._values]
        self._weight = 0.0

    def add(self, weight: float) -> None:
        """Take what a part of `weight` moved them to, and put them back to where the step began."""
        self._weight += weight
        for value, begun, total in zip(self._values, self._begun, self._sums, strict=True):
            total.add_(value, alpha=weight)
            value.copy_(begun)
        self._batches_after = [value.clone() for value in self._batches]
        for value, begun in zip(self._batches, self._batches_begun, strict=True):
            value.copy_(begun)

    def combine(self, world: int) -> None:
        """Set them to the weighted mean over all parts of all workers."""
        import torch
        from torch import distributed

        if not self._values:
            return
        flat = torch.cat([total.reshape(-1) for total in self._sums])
        flat = torch.cat([flat, flat.new_tensor([self._weight])])
        if world > 1:
            distributed.all_reduce(flat)
        means = torch.split(flat[:-1] / flat[-1], [value.numel() for value in self._values])
        for value, mean in zip(self._values, means, strict=True):
            value.copy_(mean.view_as(value))
        for value, after in zip(self._batches, self._batches_after, strict=True):
            value.copy_(after)
