import math

import pytest
import torch

from cinescribe.models.milnce import milnce_loss


def test_one_clip_with_one_caption_costs_ln_2():
    assert milnce_loss(torch.randn(1, 8), torch.randn(1, 8)).item() == pytest.approx(math.log(2), abs=1e-6)


def test_equal_scores_cost_what_counting_says():
    # Of 3 clips with 2 captions the row and the column hold 6 scores each, 2 of them the clip's own.
    loss = milnce_loss(torch.zeros(3, 8), torch.randn(6, 8))
    assert loss.item() == pytest.approx(math.log(12 / 2), abs=1e-6)


def test_against_the_formula():
    torch.manual_seed(0)
    videos, texts = torch.randn(4, 8, dtype=torch.float64), torch.randn(4, 3, 8, dtype=torch.float64)
    scores = torch.einsum("vd,tkd->vtk", videos, texts).exp()
    costs = [-math.log(scores[i, i].sum() / (scores[i].sum() + scores[:, i].sum())) for i in range(4)]
    assert milnce_loss(videos, texts.flatten(0, 1)).item() == pytest.approx(sum(costs) / 4)


def test_large_scores_do_not_overflow():
    loss = milnce_loss(100 * torch.eye(4), 100 * torch.eye(4))  # scores of 10,000
    assert loss.item() == pytest.approx(math.log(2), abs=1e-3)
