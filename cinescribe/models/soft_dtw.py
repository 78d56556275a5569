"""Dynamic time warping, exact and soft: an ordered list of actions against the seconds of a video.

Soft-DTW (Cuturi and Blondel 2017) replaces the minimum by a smooth one and can be trained through; TAN is
finetuned on Breakfast with it, and its alignment matrix becomes action boundaries by DTW (seed thesis,
section 7.6).

Both fill the table of costs one anti-diagonal at a time, all cells of a diagonal and all of the batch at
once.
"""

from typing import TYPE_CHECKING, Literal

from cinescribe.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

# How a path may go on: "any" = next row, next column or both; "ordered" = next column, in this row or the
# next, so that each second has exactly one action and no action is skipped.
Steps = Literal["any", "ordered"]
_NEVER = 1e10  # stands for infinity, whose differences would not be numbers in the gradient


def soft_dtw(
    cost: "Tensor",
    gamma: float = 1.0,
    rows: "Tensor | None" = None,
    columns: "Tensor | None" = None,
    steps: Steps = "any",
) -> "Tensor":
    """The smooth minimum of the cost of all paths from the first to the last cell.

    Computed in 64-bit floats, returned in the type of `cost`; differentiable, also twice.

    Args:
        cost: [batch, rows, columns].
        gamma: smoothness; towards 0 the result goes to `dtw`'s. It is below `dtw`'s, and may be negative.
        rows: [batch] how many rows count of each, by default all.
        columns: [batch] how many columns count of each, by default all.
        steps: how a path may go on.

    Returns:
        [batch]

    Raises:
        UsageError: shapes or lengths don't fit, gamma is not positive, or "ordered" with fewer columns than
            rows.
    """
    if gamma <= 0:
        raise UsageError(f"soft-DTW needs a positive gamma, not {gamma}; use dtw for the exact minimum")
    return _fill(cost, gamma, rows, columns, steps)


def dtw(
    cost: "Tensor", rows: "Tensor | None" = None, columns: "Tensor | None" = None, steps: Steps = "any"
) -> "Tensor":
    """The least cost of a path from the first to the last cell; arguments and errors as of `soft_dtw`."""
    return _fill(cost, 0.0, rows, columns, steps)


def soft_alignment(
    cost: "Tensor",
    gamma: float = 1.0,
    rows: "Tensor | None" = None,
    columns: "Tensor | None" = None,
    steps: Steps = "any",
) -> "Tensor":
    """[batch, rows, columns] how likely a path passes each cell: the gradient of `soft_dtw`."""
    import torch

    with torch.enable_grad():
        leaf = cost.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(soft_dtw(leaf, gamma, rows, columns, steps).sum(), leaf)
    return gradient


def dtw_path(cost: "Tensor", steps: Steps = "any") -> "NDArray[np.int64]":
    """The cells (row, column) of a cheapest path, in order; of equally cheap ones the more diagonal one.

    Args:
        cost: [rows, columns] of one pair.
        steps: how a path may go on.

    Returns:
        [cells, 2]

    Raises:
        UsageError: as of `soft_dtw`.
    """
    import numpy as np

    table = _table(cost[None], 0.0, *_lengths(cost[None], None, None, steps), steps)[0].cpu().numpy()
    row, column = cost.shape[0] - 1, cost.shape[1] - 1
    path = [(row, column)]
    moves = [(1, 1), (0, 1), (1, 0)] if steps == "any" else [(1, 1), (0, 1)]
    while row or column:
        before = [(row - i, column - j) for i, j in moves if row >= i and column >= j]
        row, column = min(before, key=lambda cell: table[cell])
        path.append((row, column))
    return np.asarray(path[::-1])


def action_spans(similarity: "Tensor") -> list[tuple[int, int]]:
    """Where each action of an ordered list is: the best cut of a video into as many parts.

    Args:
        similarity: [actions, seconds], such as TAN's alignment matrix.

    Returns:
        For each action its half-open span of seconds; together they cover the video.

    Raises:
        UsageError: more actions than seconds.
    """
    path = dtw_path(-similarity.detach().double(), "ordered")
    bounds = [int(path[path[:, 0] == action, 1][0]) for action in range(similarity.shape[0])]
    return list(zip(bounds, [*bounds[1:], similarity.shape[1]], strict=True))


def _fill(
    cost: "Tensor", gamma: float, rows: "Tensor | None", columns: "Tensor | None", steps: Steps
) -> "Tensor":
    import torch

    rows, columns = _lengths(cost, rows, columns, steps)
    table = _table(cost, gamma, rows, columns, steps)
    ends = table[torch.arange(cost.shape[0], device=cost.device), rows - 1, columns - 1]
    return ends.to(cost.dtype)


def _lengths(
    cost: "Tensor", rows: "Tensor | None", columns: "Tensor | None", steps: Steps
) -> "tuple[Tensor, Tensor]":
    import torch

    if cost.ndim != 3 or 0 in cost.shape:
        raise UsageError(f"costs must be [batch, rows, columns] and not empty, not {tuple(cost.shape)}")
    batch, height, width = cost.shape
    full = torch.ones(batch, dtype=torch.long, device=cost.device)
    rows = full * height if rows is None else rows.to(full)
    columns = full * width if columns is None else columns.to(full)
    for lengths, most in ((rows, height), (columns, width)):
        if lengths.shape != (batch,) or bool((lengths < 1).any()) or bool((lengths > most).any()):
            raise UsageError(f"{batch} lengths from 1 to {most} are needed, not {lengths.tolist()}")
    if steps == "ordered" and bool((rows > columns).any()):
        raise UsageError("there are more actions than seconds: an ordered alignment needs a second for each")
    return rows, columns


def _table(cost: "Tensor", gamma: float, rows: "Tensor", columns: "Tensor", steps: Steps) -> "Tensor":
    """[batch, rows, columns] the (smooth) least cost from the first cell to each.

    Diagonal d holds the cells with row + column = d, by row; a row's neighbours on the diagonals before are
    the left cell (d - 1, same row), the upper (d - 1, row - 1) and the diagonal one (d - 2, row - 1).
    """
    import torch

    batch, height, width = cost.shape
    wide = cost.double()
    number = torch.arange(height, device=cost.device)
    inside = [(number <= d) & (d - number < width) for d in range(height + width - 1)]
    never = wide.new_full((batch, height), _NEVER)
    outside = wide.new_full((batch, 1), _NEVER)
    diagonals: list[Tensor] = []
    for d, cells in enumerate(inside):
        here = torch.where(cells, wide[:, number, (d - number).clamp(0, width - 1)], never)
        if d == 0:
            diagonals.append(here)
            continue
        last = diagonals[-1]
        before = torch.cat([outside, diagonals[-2][:, :-1]], 1) if d > 1 else never
        options = (
            [last, before] if steps == "ordered" else [last, before, torch.cat([outside, last[:, :-1]], 1)]
        )
        least = _soft_minimum(torch.stack(options), gamma)
        diagonals.append(torch.where(cells, here + least, never))
    stacked = torch.stack(diagonals, 1)  # [batch, diagonals, rows]
    column = torch.arange(width, device=cost.device)
    return stacked[:, number[:, None] + column, number[:, None].expand(height, width)]


def _soft_minimum(options: "Tensor", gamma: float) -> "Tensor":
    """-gamma log sum exp(-x / gamma) over the first dimension; the minimum for gamma 0."""
    import torch

    if gamma == 0:
        return options.amin(0)
    return -gamma * torch.logsumexp(-options / gamma, 0)
