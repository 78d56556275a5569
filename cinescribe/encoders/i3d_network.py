"""I3D: Inception inflated to three dimensions (Carreira and Zisserman 2017), the RGB network in plain torch.

The state's names are those of the widely used torch port (`Mixed_3b.b1b.conv3d.weight`), so its files load as
they are; `from_flax` renames the variables of the Flax port, which hold the same published numbers.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 400  # of Kinetics-400, in the order of its sorted names
DIM = 1024
STRIDE = 8  # frames of the film for one position of the last feature map

# Of each mixed block: channels in, then those of its six convolutions (the paper's figure 3).
_MIXED = {
    "Mixed_3b": (192, 64, 96, 128, 16, 32, 32),
    "Mixed_3c": (256, 128, 128, 192, 32, 96, 64),
    "Mixed_4b": (480, 192, 96, 208, 16, 48, 64),
    "Mixed_4c": (512, 160, 112, 224, 24, 64, 64),
    "Mixed_4d": (512, 128, 128, 256, 24, 64, 64),
    "Mixed_4e": (512, 112, 144, 288, 32, 64, 64),
    "Mixed_4f": (528, 256, 160, 320, 32, 128, 128),
    "Mixed_5b": (832, 256, 160, 320, 32, 128, 128),
    "Mixed_5c": (832, 384, 192, 384, 48, 128, 128),
}
_FLAX_BRANCHES = {
    "b0": "Branch_0/Conv3d_0a_1x1",
    "b1a": "Branch_1/Conv3d_0a_1x1",
    "b1b": "Branch_1/Conv3d_0b_3x3",
    "b2a": "Branch_2/Conv3d_0a_1x1",
    "b2b": "Branch_2/Conv3d_0b_3x3",
    "b3b": "Branch_3/Conv3d_0b_1x1",
}

Triple = tuple[int, int, int]


def _pad_same(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """Zeros around x, as TensorFlow's SAME puts them: the smaller half first."""
    padding: list[int] = []
    for size, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        padding += [total // 2, total - total // 2]
    return F.pad(x, padding)


class _Unit(nn.Module):
    """Convolution, batch norm and ReLU; the last of the network is a convolution with bias alone."""

    def __init__(
        self,
        channels: int,
        out: int,
        kernel: Triple = (1, 1, 1),
        stride: Triple = (1, 1, 1),
        last: bool = False,
    ) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(channels, out, kernel, stride, bias=last)
        self.bn = None if last else nn.BatchNorm3d(out, eps=1e-3)
        self._kernel, self._stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv3d(_pad_same(x, self._kernel, self._stride))
        return x if self.bn is None else F.relu(self.bn(x))


class _Pool(nn.Module):
    def __init__(self, kernel: Triple, stride: Triple) -> None:
        super().__init__()
        self._kernel, self._stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool3d(_pad_same(x, self._kernel, self._stride), self._kernel, self._stride)


class _Mixed(nn.Module):
    def __init__(self, channels: int, a: int, b: int, c: int, d: int, e: int, f: int) -> None:
        super().__init__()
        self.b0 = _Unit(channels, a)
        self.b1a = _Unit(channels, b)
        self.b1b = _Unit(b, c, (3, 3, 3))
        self.b2a = _Unit(channels, d)
        self.b2b = _Unit(d, e, (3, 3, 3))
        self.b3a = _Pool((3, 3, 3), (1, 1, 1))
        self.b3b = _Unit(channels, f)

    def forward(self, x: Tensor) -> Tensor:
        branches = [self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))]
        return torch.cat(branches, dim=1)


class I3D(nn.Module):
    """Clips to features and class scores; 12,697,264 parameters without the scale that batch norm has not."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = _Unit(3, 64, (7, 7, 7), (2, 2, 2))
        self.MaxPool3d_2a_3x3 = _Pool((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1 = _Unit(64, 64)
        self.Conv3d_2c_3x3 = _Unit(64, 192, (3, 3, 3))
        self.MaxPool3d_3a_3x3 = _Pool((1, 3, 3), (1, 2, 2))
        for name, channels in _MIXED.items():
            if name == "Mixed_4b":
                self.MaxPool3d_4a_3x3 = _Pool((3, 3, 3), (2, 2, 2))
            if name == "Mixed_5b":
                self.MaxPool3d_5a_2x2 = _Pool((2, 2, 2), (2, 2, 2))
            self.add_module(name, _Mixed(*channels))
        self.logits = _Unit(DIM, classes, last=True)

    def features(self, clips: Tensor) -> Tensor:
        """What the classifier sees, `[batch, 1024, time / 8 - 1]`.

        Args:
            clips: float `[batch, 3, time, 224, 224]` in [-1, 1]; time is at least 16.
        """
        x = clips
        for name, part in self.named_children():
            if name != "logits":
                x = part(x)
        return F.avg_pool3d(x, (2, 7, 7), stride=1).flatten(2)

    def forward(self, clips: Tensor) -> Tensor:
        """Class scores `[batch, 400]` before the softmax, the mean over time."""
        return self.logits(self.features(clips)[..., None, None]).mean(dim=2).flatten(1)

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> "I3D":
        """Build it from a state in the torch port's names. Raises RuntimeError on another network's."""
        network = cls(classes=len(state["logits.conv3d.bias"]))
        network.load_state_dict(dict(state))
        return network.eval()


def from_flax(variables: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state of `I3D` from the Flax variables {"params", "batch_stats"}; KeyError on another network."""
    params, statistics = variables["params"], variables["batch_stats"]
    state: dict[str, Tensor] = {}

    def unit(ours: str, weights: Mapping[str, Any], stats: Mapping[str, Any] | None) -> None:
        kernel = np.asarray(weights["Conv_0"]["kernel"])  # [time, height, width, in, out]
        state[f"{ours}.conv3d.weight"] = torch.from_numpy(
            np.ascontiguousarray(kernel.transpose(4, 3, 0, 1, 2))
        )
        if stats is None:
            state[f"{ours}.conv3d.bias"] = _vector(weights["Conv_0"]["bias"])
            return
        mean, variance = _vector(stats["BatchNorm_0"]["mean"]), _vector(stats["BatchNorm_0"]["var"])
        state.update({f"{ours}.bn.running_mean": mean, f"{ours}.bn.running_var": variance})
        state[f"{ours}.bn.bias"] = _vector(weights["BatchNorm_0"]["bias"])
        state[f"{ours}.bn.weight"] = torch.ones(len(mean))  # Sonnet's batch norm has no scale
        state[f"{ours}.bn.num_batches_tracked"] = torch.tensor(0)

    for name in ("Conv3d_1a_7x7", "Conv3d_2b_1x1", "Conv3d_2c_3x3"):
        unit(name, params[name], statistics[name])
    for block in _MIXED:
        for branch, theirs in _FLAX_BRANCHES.items():
            unit(f"{block}.{branch}", params[block][theirs], statistics[block][theirs])
    unit("logits", params["Logits/Conv3d_0c_1x1"], None)
    return state


def _vector(values: Any) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32).reshape(-1).copy())
