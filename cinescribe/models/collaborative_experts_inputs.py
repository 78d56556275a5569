"""From what experts saw in clips to the tensors that Collaborative Experts takes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from cinescribe.encoders.experts import Expert

if TYPE_CHECKING:
    from torch import Tensor


def stack_inputs(
    clips: Sequence[Mapping[str, NDArray[np.float32] | None]], experts: Sequence[Expert]
) -> "tuple[dict[str, Tensor], Tensor]":
    """Clips put together.

    Args:
        clips: of each its inputs by expert, as `cinescribe.encoders.experts.expert_inputs` gives them.
        experts: in the model's order.

    Returns:
        By expert [clips, dim] or [clips, tokens, dim] float32, zeros behind a sequence, NaN where missing;
        and [clips, experts] bool, which there are.
    """
    available = torch.zeros(len(clips), len(experts), dtype=torch.bool)
    stacked = {}
    for number, expert in enumerate(experts):
        shape = (expert.tokens, expert.dim) if expert.tokens else (expert.dim,)
        values = np.full((len(clips), *shape), np.nan, np.float32)
        for row, clip in enumerate(clips):
            found = clip[expert.name]
            if found is None:
                continue
            available[row, number] = True
            if expert.tokens:
                values[row] = 0
                values[row, : len(found)] = found
            else:
                values[row] = found
        stacked[expert.name] = torch.from_numpy(values)
    return stacked, available
