"""Encoders that need no weights: plain functions of the pixels and the sound that the films really have.

Run the pipeline with them: `python -m tests.pipelines.encoders ARGUMENTS-OF-EXTRACT...`.
"""

import ctypes
import re
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe.encoders.protocol import SOUND_RATE, EncoderSpec
from cinescribe.errors import UsageError, WeightsError
from pipelines.extract import main
from tests.media.films import read_number


class Measure(ABC):
    """An encoder that is a function of each item of its batch."""

    def __init__(self, spec: EncoderSpec, model: str) -> None:
        self.spec = spec
        self.weights: Mapping[str, str] = {"measure": model or "plain"}

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float16]:
        assert len(batch)
        if self.spec.offsets:
            assert batch.dtype == np.uint8
            assert batch.shape[1] == len(self.spec.offsets)
        else:
            assert batch.shape[1:] == (round(self.spec.window * SOUND_RATE),)
        return np.stack([self.of(item) for item in batch]).astype(np.float16)

    @abstractmethod
    def of(self, item: NDArray[Any]) -> NDArray[Any]:
        """What is measured of an item."""


class Numbers(Measure):
    """The number drawn into each frame: known answers."""

    def of(self, item: NDArray[Any]) -> NDArray[Any]:
        return np.array([read_number(frame) for frame in item])


class Colour(Measure):
    """The mean colour of a frame."""

    def of(self, item: NDArray[Any]) -> NDArray[Any]:
        return item[0].mean((0, 1))


class Change(Measure):
    """How much each frame of a clip differs from the first."""

    def of(self, item: NDArray[Any]) -> NDArray[Any]:
        return np.abs(item.astype(np.int16) - item[:1]).mean((1, 2, 3))


class Loudness(Measure):
    """The level of a window of sound."""

    def of(self, item: NDArray[Any]) -> NDArray[Any]:
        return np.sqrt(np.mean(np.square(item, dtype=np.float64), keepdims=True))


class Slow(Numbers):
    """Takes long enough to be interrupted."""

    def of(self, item: NDArray[Any]) -> NDArray[Any]:
        time.sleep(0.05)
        return super().of(item)


class Troubled(Numbers):
    """Does to its process what the number in the frame says."""

    def of(self, item: NDArray[Any]) -> NDArray[Any]:
        number = read_number(item[0])
        if number == 200:
            ctypes.string_at(0)  # a real one: a signal that is sent may come when the row is written
        if number == 201:
            time.sleep(3600)
        if number == 202:
            raise ZeroDivisionError("a fault of\nthe program")
        return super().of(item)


class Weightless:
    """Has no weights."""

    def __init__(self, *_: object) -> None:
        raise WeightsError("weightless: not there; get it with `cinescribe models pull weightless`")


KINDS: dict[str, tuple[Any, EncoderSpec]] = {
    "numbers": (Numbers, EncoderSpec("numbers", 5.0, 1, (0.0,))),
    "colour": (Colour, EncoderSpec("colour", 1.0, 3, (0.0,))),
    "change": (Change, EncoderSpec("change", 2.0, 4, (0.0, 0.2, 0.5, 1.3))),
    "loudness": (Loudness, EncoderSpec("loudness", 2.0, 1, window=0.75)),
    "slow": (Slow, EncoderSpec("slow", 5.0, 1, (0.0,))),
    "troubled": (Troubled, EncoderSpec("troubled", 1.0, 1, (0.0,))),
    "weightless": (Weightless, EncoderSpec("weightless", 1.0, 1, (0.0,))),
}


def load(written: str, *, device: str = "cpu", threads: int = 0) -> Any:
    """As `cinescribe.encoders.catalogue.load`."""
    match = re.fullmatch(r"(\w+)(?::(\w+))?(?:@([\d.]+))?", written)
    if match is None or match[1] not in KINDS:
        raise UsageError(f"no encoder {written!r}")
    kind, spec = KINDS[match[1]]
    hz = float(match[3]) if match[3] else spec.hz
    return kind(EncoderSpec(spec.name, hz, spec.dim, spec.offsets, spec.window), match[2] or "")


if __name__ == "__main__":
    from tests.pipelines import encoders  # by its own name, so that the workers find the module too

    raise SystemExit(main(sys.argv[1:], encoders))
