"""Ranger: rectified Adam whose steps are looked back on, as Collaborative Experts is trained.

Sources: RAdam (Liu et al. 2020) and Lookahead (Zhang et al. 2019), in the constants of Wright's Ranger
9.3.19, which the authors' code uses.
"""

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor

EVERY, TOWARDS = 6, 0.5  # k and alpha of Lookahead
SLOW = "slow"


class Ranger(torch.optim.RAdam):
    """RAdam; every sixth step the weights go halfway back to where they were six steps before.

    torch's RAdam computes what Ranger's does: the same rectification from a length above 5 on, eps added to
    the uncorrected root, weight decay by the learning rate and apart from the gradient.

    Args:
        params: to be optimised; all decay, biases too.
        lr: learning rate.
        weight_decay: of a step, times the learning rate.
    """

    def __init__(self, params: Iterable[Any], lr: float, weight_decay: float = 0.0) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=(0.95, 0.999),
            eps=1e-5,
            weight_decay=weight_decay,
            decoupled_weight_decay=True,
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of those parameters that have a gradient; `closure` as of torch's optimisers."""
        begun = {}
        for parameter in self._used():
            if not self.state[parameter]:  # the first step of this one starts from here
                begun[parameter] = parameter.clone()
        result = super().step(closure)  # type: ignore[arg-type]
        for parameter, value in begun.items():
            self.state[parameter][SLOW] = value
        due = [parameter for parameter in self._used() if int(self.state[parameter]["step"]) % EVERY == 0]
        if due:
            slow = [cast("Tensor", self.state[parameter][SLOW]) for parameter in due]
            torch._foreach_lerp_(slow, [parameter.detach() for parameter in due], TOWARDS)
            torch._foreach_copy_([parameter.detach() for parameter in due], slow)
        return result

    def _used(self) -> list[Tensor]:
        return [
            parameter
            for group in self.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
