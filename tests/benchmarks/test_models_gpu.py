"""The benchmark of models, small, on this machine: what it counts must be what a step computes."""

import dataclasses

import pytest
import torch

from benchmarks import models_gpu
from benchmarks.models_gpu import Machine, Measured, Size


def test_a_step_counts_the_products_of_both_directions_and_learns() -> None:
    machine = Machine("cpu", "float32", 1e9, 1)
    layer = torch.nn.Linear(32, 16, bias=False)
    before = layer.weight.detach().clone()
    x = torch.randn(8, 32)
    step = models_gpu._step(layer, lambda: layer(x).square().mean(), machine)
    got = machine.measure("line", 8, step, counted=True)
    # forward, and backward to the weights: the input needs no gradient
    assert got.operations == 2 * (2 * 8 * 32 * 16)
    assert not torch.equal(layer.weight, before)
    assert Measured("", 2.0, 1, 6.0, 12.0, 0).share == pytest.approx(0.25)


def test_the_paper_size_is_the_papers() -> None:
    from cinescribe.models.tan import TAN, TANConfig

    size = Size()
    tan = TAN(TANConfig(width=size.width, dual_layers=size.layers, joint_layers=size.layers, head="none"))
    # what is trained of AutoAD depends on the width of the frozen language model alone
    autoad = models_gpu._autoad(dataclasses.replace(size, gpt_layers=1, words=300))
    assert sum(value.numel() for value in tan.parameters()) == 39_931_392
    assert sum(value.numel() for value in autoad.parameters() if value.requires_grad) == 6_970_880


def test_it_prints_a_row_for_each_kind_of_work(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "--device cpu --size small --matrix 64 --repeats 1 --tokens 4"
    assert models_gpu.main(arguments.split()) == 0
    told = capsys.readouterr().out
    for name in ("TAN, step of stage 1", "TAN, step of stage 2", "AutoAD, step", "greedy", "5 beams"):
        assert name in told
