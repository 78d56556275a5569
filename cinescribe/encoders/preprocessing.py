"""Frames as image networks want them: Pillow's resizing to the last bit, on the CPU and on the GPU.

Torch's own resizing is another function: Pillow rounds and clips to 8 bits between the horizontal and the
vertical pass, so that on fine patterns torch is up to 27 of 255 levels off, and the networks were trained on
Pillow's. On the CPU Pillow itself does it; on a GPU the same integers are computed on the whole batch.
Source: Pillow's Resample.c; sizes and crops as torchvision and open_clip compute them.

Pillow 13 makes the vertical pass first for some shapes. The passes here go horizontally first, as Pillow does
for all landscape pictures and, up to twice as high as wide, for portrait ones whose aspect is kept; for
other shapes a GPU's pixels may be some levels off, as other versions of Pillow are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Interpolation = Literal["bicubic", "bilinear"]
_BITS = 22  # of Pillow's weights


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a network wants of its pictures.

    Attributes:
        size: (height, width) of its input.
        resize_mode: "shortest": the picture covers the input and is cropped at its centre; "longest": it fits
            into the input and is padded with `fill_color`; "squash": its aspect is changed.
        edge: pixels of the shorter side before the crop, where that is more than the input's; 0: the input's.
        mean, std: of the RGB channels, of values in [0, 1].
        fill_color: grey level in [0, 255] of the padding.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: Interpolation = "bicubic"
    resize_mode: Literal["shortest", "longest", "squash"] = "shortest"
    edge: int = 0
    fill_color: int = 0

    def __call__(self, frames: NDArray[np.uint8], device: str = "cpu") -> "Tensor":
        """The input of the network: frames uint8 [N, H, W, 3] -> float32 [N, 3, height, width]."""
        import torch

        if device == "cpu":
            resized = np.empty((len(frames), *self.size, 3), np.uint8)
            for k, frame in enumerate(frames):
                resized[k] = self.by_pillow(frame)
            pixels = torch.from_numpy(resized).permute(0, 3, 1, 2)
        else:
            pixels = self.by_tensors(torch.from_numpy(np.require(frames, requirements="W")).to(device))
        mean, std = (_per_channel(values).to(device) for values in (self.mean, self.std))
        return pixels.float().div_(255).sub_(mean).div_(std)

    def by_pillow(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """One frame resized, cropped and padded by Pillow: uint8 [H, W, 3] -> uint8 [height, width, 3]."""
        from PIL import Image

        height, width = self._resized_size(*frame.shape[:2])
        method = getattr(Image.Resampling, self.interpolation.upper())
        pixels = np.asarray(Image.fromarray(frame).resize((width, height), method))
        kept = [slice(*_kept(has, wanted)) for has, wanted in zip((height, width), self.size, strict=True)]
        pixels = pixels[kept[0], kept[1]]
        if pixels.shape[:2] == self.size:
            return pixels
        padding = [*_padding(pixels.shape[:2], self.size), (0, 0)]
        return np.pad(pixels, padding, constant_values=self.fill_color)

    def by_tensors(self, frames: "Tensor") -> "Tensor":
        """The same of a batch, on its device: uint8 [N, H, W, 3] -> uint8 [N, 3, height, width]."""
        import torch

        pixels = frames.permute(0, 3, 1, 2).contiguous()
        height, width = self._resized_size(*frames.shape[1:3])
        # Only what the crop keeps is computed.
        pixels = _resample(pixels, 3, width, _kept(width, self.size[1]), self.interpolation)
        pixels = _resample(pixels, 2, height, _kept(height, self.size[0]), self.interpolation)
        (top, bottom), (left, right) = _padding(pixels.shape[2:], self.size)
        return torch.nn.functional.pad(pixels, (left, right, top, bottom), value=self.fill_color)

    def _resized_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the picture before it is cropped or padded."""
        if self.resize_mode == "squash":
            return self.size
        if self.resize_mode == "shortest" and self.size[0] == self.size[1]:  # torchvision rounds down
            edge = self.edge or self.size[0]
            if height <= width:
                return edge, int(edge * width / height)
            return int(edge * height / width), edge
        ratios = (height / self.size[0], width / self.size[1])
        ratio = max(ratios) if self.resize_mode == "longest" else min(ratios)
        return round(height / ratio), round(width / ratio)


def _per_channel(values: Sequence[float]) -> "Tensor":
    """[3, 1, 1], or [] where the channels share the value: on a CPU that takes half the time."""
    import torch

    shared = len(set(values)) == 1
    return torch.tensor(values[0]) if shared else torch.tensor(values).view(3, 1, 1)


def _kept(length: int, wanted: int) -> tuple[int, int]:
    """The part [first, end) of `length` pixels which a crop at the centre keeps."""
    if length <= wanted:
        return 0, length
    first = round((length - wanted) / 2.0)
    return first, first + wanted


def _padding(has: Sequence[int], wanted: Sequence[int]) -> list[tuple[int, int]]:
    """Pixels to add before and after, of each axis."""
    short = [want - have for have, want in zip(has, wanted, strict=True)]
    return [(missing // 2, missing - missing // 2) for missing in short]


def _resample(
    pixels: "Tensor", axis: int, length: int, kept: tuple[int, int], interpolation: Interpolation
) -> "Tensor":
    """One pass of Pillow's resize: that axis to `length` pixels, of which `kept` are computed."""
    import torch

    first, end = kept
    if pixels.shape[axis] == length:
        return pixels.narrow(axis, first, end - first)
    places, weights = _taps(pixels.shape[axis], length, interpolation)
    shape = [1] * pixels.ndim
    shape[axis] = -1
    total: Any = 1 << (_BITS - 1)
    for place, weight in zip(places[:, first:end], weights[:, first:end], strict=True):
        taken = pixels.index_select(axis, torch.from_numpy(place.copy()).to(pixels.device))
        total = total + taken.int() * torch.from_numpy(weight.copy()).to(pixels.device).view(shape)
    return (total >> _BITS).clamp_(0, 255).to(torch.uint8)


@lru_cache(maxsize=64)
def _taps(old: int, new: int, interpolation: Interpolation) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The pixels that make each new pixel, and their weights of `_BITS` bits: both [taps, new]."""
    scale = old / new
    stretch = max(scale, 1.0)
    support = (2.0 if interpolation == "bicubic" else 1.0) * stretch
    places = np.zeros((math.ceil(support) * 2 + 1, new), np.int64)
    weights = np.zeros(places.shape, np.float64)
    for pixel in range(new):
        centre = (pixel + 0.5) * scale
        low, high = max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), old)
        taken = np.arange(low, high)
        weight = _kernel(np.asarray((taken - centre + 0.5) / stretch, np.float64), interpolation)
        places[: len(taken), pixel] = taken
        weights[: len(taken), pixel] = weight / weight.sum()
    rounded = np.trunc(weights * (1 << _BITS) + np.where(weights < 0, -0.5, 0.5))
    return places, rounded.astype(np.int32)


def _kernel(x: NDArray[np.float64], interpolation: Interpolation) -> NDArray[np.float64]:
    x = np.abs(x)
    if interpolation == "bilinear":
        return np.maximum(1.0 - x, 0.0)
    inner = (1.5 * x - 2.5) * x * x + 1.0  # Keys' cubic with a = -0.5
    outer = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1.0, inner, np.where(x < 2.0, outer, 0.0))
