"""Known answers: by hand, by a plain loop over the recursion, and by counting paths."""

import math
from itertools import product

import pytest
import torch

from cinescribe.errors import UsageError
from cinescribe.models.soft_dtw import Steps, action_spans, dtw, dtw_path, soft_alignment, soft_dtw


def all_paths(rows: int, columns: int, steps: Steps) -> list[list[tuple[int, int]]]:
    """Every way from the first to the last cell."""
    moves = [(1, 1), (0, 1), (1, 0)] if steps == "any" else [(1, 1), (0, 1)]

    def onwards(row: int, column: int) -> list[list[tuple[int, int]]]:
        if (row, column) == (rows - 1, columns - 1):
            return [[(row, column)]]
        if row >= rows or column >= columns:
            return []
        return [[(row, column), *rest] for i, j in moves for rest in onwards(row + i, column + j)]

    return onwards(0, 0)


@pytest.mark.parametrize("steps", ["any", "ordered"])
@pytest.mark.parametrize("gamma", [0.01, 0.5, 3.0])
def test_soft_dtw_is_the_smooth_minimum_over_all_paths(steps: Steps, gamma: float) -> None:
    cost = torch.rand(3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for table, found, exact in zip(
        cost, soft_dtw(cost, gamma, steps=steps), dtw(cost, steps=steps), strict=True
    ):
        sums = torch.stack([sum(table[cell] for cell in path) for path in all_paths(4, 5, steps)])
        torch.testing.assert_close(found, -gamma * torch.logsumexp(-sums / gamma, 0))
        torch.testing.assert_close(exact, sums.min())


def test_without_costs_only_the_number_of_paths_counts() -> None:
    delannoy, ordered = 63, math.comb(3, 3)  # D(3, 3); four rows in four columns leave no choice
    zero = torch.zeros(1, 4, 4)
    assert soft_dtw(zero, 2.0).item() == pytest.approx(-2 * math.log(delannoy))
    assert soft_dtw(zero, 2.0, steps="ordered").item() == pytest.approx(-2 * math.log(ordered))
    assert soft_dtw(torch.zeros(1, 3, 6), 1.0, steps="ordered").item() == pytest.approx(
        -math.log(math.comb(5, 2))
    )


def test_identical_series_cost_nothing_and_the_path_is_the_diagonal() -> None:
    series = torch.tensor([0.0, 3.0, 1.0, 7.0])
    cost = (series[:, None] - series[None]) ** 2
    assert dtw(cost[None]).item() == 0
    assert dtw_path(cost).tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]


def test_a_known_warping() -> None:
    one, other = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 1.0, 2.0, 2.0, 4.0])
    cost = (one[:, None] - other[None]).abs()
    assert dtw(cost[None]).item() == 1
    assert dtw_path(cost).tolist() == [[0, 0], [0, 1], [1, 2], [1, 3], [2, 4]]


@pytest.mark.parametrize("steps", ["any", "ordered"])
def test_gradients_are_right_and_are_the_expected_alignment(steps: Steps) -> None:
    cost = torch.rand(2, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    leaf = cost.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: soft_dtw(x, 0.3, steps=steps), leaf)
    assert torch.autograd.gradgradcheck(lambda x: soft_dtw(x, 0.3, steps=steps), leaf)
    likely = soft_alignment(cost, 0.3, steps=steps)
    for table, found in zip(cost, likely, strict=True):
        paths = all_paths(3, 5, steps)
        weights = torch.softmax(-torch.stack([sum(table[c] for c in path) for path in paths]) / 0.3, 0)
        expected = torch.zeros(3, 5, dtype=torch.float64)
        for weight, path in zip(weights, paths, strict=True):
            for cell in path:
                expected[cell] += weight
        torch.testing.assert_close(found, expected)


def test_padding_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(3)
    tables = [torch.rand(n, m, generator=generator) for n, m in ((2, 3), (4, 7), (1, 1))]
    padded = torch.full((3, 4, 7), 1e6)
    for row, table in enumerate(tables):
        padded[row, : table.shape[0], : table.shape[1]] = table
    rows, columns = torch.tensor([2, 4, 1]), torch.tensor([3, 7, 1])
    together = soft_dtw(padded, 0.1, rows, columns)
    alone = torch.cat([soft_dtw(table[None], 0.1) for table in tables])
    torch.testing.assert_close(together, alone)
    likely = soft_alignment(padded, 0.1, rows, columns)
    assert likely[0, 2:].abs().sum() == 0
    assert likely[0, :, 3:].abs().sum() == 0


@pytest.mark.parametrize("gamma", [1e-4, 1e-2, 100.0])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_large_tables_stay_finite_in_16_and_32_bits(gamma: float, scale: float) -> None:
    for kind in (torch.float32, torch.bfloat16):
        cost = (torch.rand(2, 20, 60, generator=torch.Generator().manual_seed(4)) * scale).to(kind)
        leaf = cost.requires_grad_()
        soft_dtw(leaf, gamma, steps="ordered").sum().backward()
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()
        # Every second has exactly one action, so a column's likelihoods sum to one.
        torch.testing.assert_close(leaf.grad.float().sum(1), torch.ones(2, 60), atol=0.03, rtol=0)


def test_ordered_actions_cut_a_video() -> None:
    similarity = torch.tensor(
        [
            [0.9, 0.8, 0.1, 0.1, 0.9, 0.9],  # its later peak comes too late for the order
            [0.0, 0.1, 0.9, 0.2, 0.0, 0.0],
            [0.0, 0.1, 0.1, 0.8, 0.7, 0.9],
        ]
    )
    assert action_spans(similarity) == [(0, 2), (2, 3), (3, 6)]
    assert action_spans(similarity[:1]) == [(0, 6)]
    assert action_spans(torch.zeros(3, 3)) == [(0, 1), (1, 2), (2, 3)]


def test_the_cut_is_the_best_one() -> None:
    similarity = torch.randn(3, 8, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    best = max(
        (sum(similarity[k, a:b].sum().item() for k, (a, b) in enumerate(((0, i), (i, j), (j, 8)))), i, j)
        for i, j in product(range(1, 8), repeat=2)
        if i < j
    )
    assert action_spans(similarity) == [(0, best[1]), (best[1], best[2]), (best[2], 8)]


def test_what_cannot_be_aligned_is_said() -> None:
    with pytest.raises(UsageError, match="more actions than seconds"):
        action_spans(torch.zeros(4, 3))
    with pytest.raises(UsageError, match="positive gamma"):
        soft_dtw(torch.zeros(1, 2, 2), 0.0)
    with pytest.raises(UsageError, match="not empty"):
        dtw(torch.zeros(1, 0, 2))
    with pytest.raises(UsageError, match="lengths from 1 to 2"):
        dtw(torch.zeros(1, 2, 2), rows=torch.tensor([3]))
