"""The benchmark of encoders, small, on this machine: what it counts must be what was computed."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks import encoders_gpu
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.errors import WeightsError


class Projection:
    """Mean of a clip's frames at 8 x 8 pixels, through one matrix: 2 * 192 * 256 operations a feature."""

    weights = {"matrix": "of this test"}  # noqa: RUF012

    def __init__(self) -> None:
        self.spec = EncoderSpec("projection", 1.0, 256, (0.0, 0.5))
        self.layer = torch.nn.Linear(192, 256, bias=False)

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float16]:
        step = batch.shape[2] // 8, batch.shape[3] // 8
        small = batch[:, :, :: step[0], :: step[1]][:, :, :8, :8].mean(1).reshape(len(batch), 192)
        with torch.inference_mode():
            return self.layer(torch.from_numpy(small).float()).half().numpy()


def load(written: str, *, device: str = "cpu", threads: int = 0) -> Any:
    if written == "none":
        raise WeightsError("none: its weights can't be had")
    return Projection()


def test_operations_and_rates_are_those_of_the_encoder() -> None:
    got = encoders_gpu.measure(Projection(), "cpu", batch=4, frame_size=(64, 48), size=64, repeats=2)
    assert got.operations == 2 * 192 * 256
    assert got.precision == "float32"
    assert got.frames == pytest.approx(2 * got.features)
    assert got.share == pytest.approx(got.features * got.operations / got.peak)


def test_it_prints_a_row_a_batch_and_tells_what_it_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    from tests.benchmarks import test_encoders_gpu as here

    arguments = "--device cpu --encoders projection,none --batch 1 3 --frame 64 48 --matrix 64 --repeats 1"
    assert encoders_gpu.main(arguments.split(), here) == 0
    told = capsys.readouterr().out
    assert told.count("projection") == 2
    assert "left out: none: its weights can't be had" in told
