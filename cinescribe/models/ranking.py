"""Max-margin losses of JSFusion and CT-SAN: the right candidate must lead every other one."""

import torch
from torch import Tensor


def ranking_loss(scores: Tensor, answers: Tensor, margin: float) -> Tensor:
    """Sum of the hinges of each question, mean over the questions (eq. 5.6 of JSFusion's chapter).

    The right candidate's own term, which is the constant margin, is left out.

    Args:
        scores: [questions, candidates].
        answers: [questions] number of the right candidate.
        margin: by which it should lead.
    """
    right = scores.gather(1, answers[:, None])
    hinges = (scores - right + margin).clamp(min=0)
    return (hinges.sum(1) - margin).mean()


def matrix_loss(scores: Tensor, margin: float) -> Tensor:
    """As JSFusion's code: [videos, texts] of a batch, pair k right, the diagonal counted, sum / n^2."""
    hinges = (scores - scores.diagonal()[:, None] + margin).clamp(min=0)
    return hinges.sum() / len(scores) ** 2


def weight_penalty(model: torch.nn.Module, strength: float) -> Tensor:
    """strength * sum of the squares of all learned matrices but the words' vectors, as in the code."""
    squares = [
        value.square().sum()
        for layer in model.modules()
        for value in layer.parameters(recurse=False)
        if not isinstance(layer, torch.nn.Embedding) and value.requires_grad and value.ndim > 1
    ]
    return strength * torch.stack(squares).sum()
