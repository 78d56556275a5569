"""Ranger against its formulas written out."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from cinescribe.models.ranger import Ranger


def by_hand(start: Tensor, gradients: list[Tensor], rate: float, decay: float) -> Tensor:
    """Rectified Adam (beta .95 and .999, eps 1e-5, threshold 5), every sixth step halfway back."""
    value, slow = start.clone(), start.clone()
    first, second = torch.zeros_like(start), torch.zeros_like(start)
    longest = 2 / (1 - 0.999) - 1
    for step, gradient in enumerate(gradients, 1):
        first = 0.95 * first + 0.05 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        left = 0.999**step
        length = longest - 2 * step * left / (1 - left)
        value = value - decay * rate * value
        if length > 5:
            by_length = (length - 4) / (longest - 4) * (length - 2) / length * longest / (longest - 2)
            size = math.sqrt((1 - left) * by_length) / (1 - 0.95**step)
            value = value - rate * size * first / (second.sqrt() + 1e-5)
        else:
            value = value - rate / (1 - 0.95**step) * first
        if step % 6 == 0:
            slow = slow + 0.5 * (value - slow)
            value = slow.clone()
    return value


@pytest.mark.parametrize("steps", [1, 5, 6, 7, 25])
def test_steps_are_those_of_the_formulas(steps: int) -> None:
    torch.manual_seed(0)
    start = torch.randn(3, 4, dtype=torch.float64)
    gradients = [torch.randn(3, 4, dtype=torch.float64) for _ in range(steps)]
    value = nn.Parameter(start.clone())
    optimiser = Ranger([value], lr=0.1, weight_decay=1e-3)
    for gradient in gradients:
        value.grad = gradient.clone()
        optimiser.step()
    torch.testing.assert_close(value.detach(), by_hand(start, gradients, 0.1, 1e-3))


def test_a_restart_changes_nothing_and_unused_parameters_stay() -> None:
    torch.manual_seed(0)
    model = nn.ModuleList([nn.Linear(3, 2), nn.Linear(3, 2)])
    untouched = copy.deepcopy(model[1].state_dict())
    inputs = [torch.randn(5, 3) for _ in range(14)]

    def train(network: nn.ModuleList, optimiser: Ranger, batches: list[Tensor]) -> None:
        for batch in batches:
            network[0](batch).square().mean().backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

    whole = copy.deepcopy(model)
    train(whole, Ranger(whole.parameters(), 0.05, 0.1), inputs)
    halves = copy.deepcopy(model)
    optimiser = Ranger(halves.parameters(), 0.05, 0.1)
    train(halves, optimiser, inputs[:8])
    again = Ranger(halves.parameters(), 1.0, 0.5)
    again.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    train(halves, again, inputs[8:])
    torch.testing.assert_close(halves.state_dict(), whole.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(whole[1].state_dict(), untouched)
