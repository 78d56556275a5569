"""Gradients of the parts of a step, over all workers, as if it had been one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter

_BUCKET = 16 * 2**20  # numbers that travel together


def combine(parameters: "Sequence[Parameter]", sums: "Tensor", world: int) -> "Tensor":
    """Add up over the workers what each summed over its parts, and divide by the weight.

    A parameter that no part used keeps no gradient, so that the optimiser leaves it alone.

    Args:
        parameters: with gradients of weight times loss, summed over the worker's parts.
        sums: [1 + n]: the weight, and n sums of weight times something.
        world: how many workers.

    Returns:
        [n] weighted means, the same on all workers.
    """
    import torch

    if world > 1:
        sums = _over_workers(parameters, sums)
    used = [parameter.grad for parameter in parameters if parameter.grad is not None]
    torch._foreach_div_(used, sums[0])
    return sums[1:] / sums[0]


def _over_workers(parameters: "Sequence[Parameter]", sums: "Tensor") -> "Tensor":
    import torch
    from torch import distributed

    has = [parameter.grad is not None for parameter in parameters]
    small = torch.cat([sums, sums.new_tensor(has)])
    distributed.all_reduce(small)
    used = small[len(sums) :].tolist()
    bucket: list[Parameter] = []
    for parameter, users in zip(parameters, used, strict=True):
        if users and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        if users:
            bucket.append(parameter)
        if sum(entry.numel() for entry in bucket) > _BUCKET:
            _reduce(bucket)
            bucket = []
    if bucket:
        _reduce(bucket)
    return small[: len(sums)]


def _reduce(bucket: "Sequence[Parameter]") -> None:
    import torch
    from torch import distributed

    gradients = [parameter.grad for parameter in bucket if parameter.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    distributed.all_reduce(flat)
    pieces = torch.split(flat, [gradient.numel() for gradient in gradients])
    torch._foreach_copy_(gradients, [p.view_as(g) for p, g in zip(pieces, gradients, strict=True)])
