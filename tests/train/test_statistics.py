"""Batch norm's running statistics over the parts of a step."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from train.statistics import RunningStatistics


def test_they_follow_all_parts_alike_whatever_their_order() -> None:
    torch.manual_seed(0)
    parts = [torch.randn(8, 3) * 3 + 1, torch.randn(4, 3), torch.randn(6, 3) - 2]
    alone = []
    for part in parts:
        layer = nn.BatchNorm1d(3)
        layer(part)
        assert layer.running_mean is not None
        assert layer.running_var is not None
        alone.append((layer.running_mean, layer.running_var))
    weights = [2.0, 1.0, 3.0]
    for order in ([0, 1, 2], [2, 0, 1]):
        model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
        running = RunningStatistics(model)
        for number in order:
            model[1](parts[number])
            running.add(weights[number])
        running.combine(1)
        for place, found in enumerate((model[1].running_mean, model[1].running_var)):
            values = [weight * pair[place] for weight, pair in zip(weights, alone, strict=True)]
            torch.testing.assert_close(found, sum(values) / 6)


def test_a_model_without_any_is_left_alone() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.BatchNorm1d(3, track_running_stats=False))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    running = RunningStatistics(model)
    running.add(1.0)
    running.combine(1)
    torch.testing.assert_close(model.state_dict(), before)


WORKER = """
import sys, torch, torch.distributed as dist
from safetensors.torch import save_file
from torch import nn
from train.statistics import RunningStatistics
rank, world, port, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
torch.manual_seed(0)
parts = [torch.randn(8, 3) * number for number in range(1, 5)]
layer = nn.BatchNorm1d(3)
for step in range(2):
    running = RunningStatistics(layer)
    for number in range(4 * rank // world, 4 * (rank + 1) // world):
        layer(parts[number] + step)
        running.add(1.0 + number)
    running.combine(world)
save_file(layer.state_dict(), f"{out}/{world}-{rank}.safetensors")
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_all_workers_hold_the_same_whatever_their_number(tmp_path: Path) -> None:
    for world in (1, 2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        commands = [
            [sys.executable, "-c", WORKER, str(rank), str(world), str(port), str(tmp_path)]
            for rank in range(world)
        ]
        processes = [subprocess.Popen(command, cwd=Path(__file__).parents[2]) for command in commands]
        assert [process.wait(120) for process in processes] == [0] * world
    one, first, second = (load_file(tmp_path / f"{name}.safetensors") for name in ("1-0", "2-0", "2-1"))
    for name in ("running_mean", "running_var"):
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], one[name])
    assert [found["num_batches_tracked"].item() for found in (one, first, second)] == [2, 2, 2]
