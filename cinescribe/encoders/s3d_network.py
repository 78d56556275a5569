"""S3D and S3D-G, video networks of separable 3-D convolutions: the layers, and the names in published files.

Three published networks share the inception blocks and differ in stem, pools, gating and batch norm:

S3DG                  MIL-NCE on HowTo100M: space-to-depth stem, TensorFlow's "SAME" pools, self-gating
S3D()                 CoCLR: separable 7x7x7 stem, symmetric pools, no gating
S3D(400, epsilon=1e-3)   Kinetics-400: the same with a classifier

Sources: Xie et al., Rethinking Spatiotemporal Feature Learning, ECCV 2018; the authors' code of MIL-NCE
(antoine77340/S3D_HowTo100M), CoCLR (TengdaHan/CoCLR) and the Kinetics port (kylemin/S3D).
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from cinescribe.errors import WeightsError

_NetworkT = TypeVar("_NetworkT", bound=nn.Module)

# Outputs of an inception block's convolutions: b0; b1 reduced, b1; b2 reduced, b2; b3.
_INCEPTION = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}
FEATURE_DIM = 1024


class Convolution(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int, int] = (1, 1, 1),
        padding: tuple[int, int, int] = (0, 0, 0),
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, kernel, padding=padding, bias=False)
        self.bn1 = nn.BatchNorm3d(outputs, eps=epsilon)

    def forward(self, video: Tensor) -> Tensor:
        """[batch, inputs, time, height, width] -> [batch, outputs, ...]."""
        return functional.relu(self.bn1(self.conv1(video)), inplace=True)


class SeparableConvolution(nn.Module):
    """A cubic convolution as a spatial one and a temporal one, each with batch norm and ReLU."""

    def __init__(
        self, inputs: int, outputs: int, size: int = 3, stride: int = 1, epsilon: float = 1e-5
    ) -> None:
        super().__init__()
        half = size // 2
        self.conv1 = nn.Conv3d(
            inputs, outputs, (1, size, size), (1, stride, stride), (0, half, half), bias=False
        )
        self.bn1 = nn.BatchNorm3d(outputs, eps=epsilon)
        self.conv2 = nn.Conv3d(outputs, outputs, (size, 1, 1), (stride, 1, 1), (half, 0, 0), bias=False)
        self.bn2 = nn.BatchNorm3d(outputs, eps=epsilon)

    def forward(self, video: Tensor) -> Tensor:
        """[batch, inputs, time, height, width] -> [batch, outputs, time / stride, ...]."""
        video = functional.relu(self.bn1(self.conv1(video)), inplace=True)
        return functional.relu(self.bn2(self.conv2(video)), inplace=True)


class SelfGating(nn.Module):
    """Each channel times the sigmoid of a linear function of all channels' means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, channels)

    def forward(self, video: Tensor) -> Tensor:
        """[batch, channels, time, height, width] -> the same shape."""
        gate = torch.sigmoid(self.fc(video.mean((2, 3, 4))))
        return video * gate[:, :, None, None, None]


class SamePool(nn.Module):
    """Max pool with TensorFlow's "SAME" padding: kernel - stride zeros a dimension, the odd one behind.

    Zeros pad as well as minus infinity would, since what is pooled has passed a ReLU.
    """

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        totals = [max(size - step, 0) for size, step in zip(kernel, stride, strict=True)]
        # functional.pad takes the last dimension first
        self.padding = [side for total in reversed(totals) for side in (total // 2, total - total // 2)]

    def forward(self, video: Tensor) -> Tensor:
        """[batch, channels, time, height, width] -> each dimension over its stride, rounded up."""
        if any(self.padding):
            video = functional.pad(video, self.padding)
        return functional.max_pool3d(video, self.kernel, self.stride, ceil_mode=True)


class Inception(nn.Module):
    """Four branches side by side: 1x1, 1x1 and separable 3x3 (twice), pool and 1x1; each gated if asked."""

    def __init__(self, inputs: int, outputs: tuple[int, ...], *, gated: bool, epsilon: float) -> None:
        super().__init__()
        b0, b1_a, b1_b, b2_a, b2_b, b3_b = outputs
        self.conv_b0 = Convolution(inputs, b0, epsilon=epsilon)
        self.conv_b1_a = Convolution(inputs, b1_a, epsilon=epsilon)
        self.conv_b1_b = SeparableConvolution(b1_a, b1_b, epsilon=epsilon)
        self.conv_b2_a = Convolution(inputs, b2_a, epsilon=epsilon)
        self.conv_b2_b = SeparableConvolution(b2_a, b2_b, epsilon=epsilon)
        self.conv_b3_b = Convolution(inputs, b3_b, epsilon=epsilon)
        self.outputs = b0 + b1_b + b2_b + b3_b
        self.gated = gated
        if gated:
            self.gating_b0 = SelfGating(b0)
            self.gating_b1 = SelfGating(b1_b)
            self.gating_b2 = SelfGating(b2_b)
            self.gating_b3 = SelfGating(b3_b)

    def forward(self, video: Tensor) -> Tensor:
        """[batch, inputs, time, height, width] -> [batch, outputs, time, height, width]."""
        b0 = self.conv_b0(video)
        b1 = self.conv_b1_b(self.conv_b1_a(video))
        b2 = self.conv_b2_b(self.conv_b2_a(video))
        b3 = self.conv_b3_b(functional.max_pool3d(video, 3, stride=1, padding=1))
        if self.gated:
            b0, b1 = self.gating_b0(b0), self.gating_b1(b1)
            b2, b3 = self.gating_b2(b2), self.gating_b3(b3)
        return torch.cat((b0, b1, b2, b3), dim=1)


class _Trunk(nn.Module, ABC):
    """What both networks have behind their stems, with the pools and the gating of each."""

    conv1: nn.Module

    def __init__(self, pools: tuple[nn.Module, ...], *, gated: bool, epsilon: float) -> None:
        super().__init__()
        self.maxpool_2a, self.maxpool_3a, self.maxpool_4a, self.maxpool_5a = pools
        self.conv_2b = Convolution(64, 64, epsilon=epsilon)
        self.conv_2c = SeparableConvolution(64, 192, epsilon=epsilon)
        self.gating = SelfGating(192) if gated else nn.Identity()
        width = 192
        for name, outputs in _INCEPTION.items():
            block = Inception(width, outputs, gated=gated, epsilon=epsilon)
            self.add_module(f"mixed_{name}", block)
            width = block.outputs

    @abstractmethod
    def stem(self, video: Tensor) -> Tensor:
        """[batch, 3, time, height, width] -> [batch, 64, time / 2, height / 2, width / 2]."""

    def features(self, video: Tensor) -> Tensor:
        """[batch, 3, time, height, width] -> [batch, 1024, time / 8, height / 32, width / 32]."""
        video = self.maxpool_2a(self.stem(video))
        video = self.maxpool_3a(self.gating(self.conv_2c(self.conv_2b(video))))
        for name in _INCEPTION:
            if name == "4b":
                video = self.maxpool_4a(video)
            elif name == "5b":
                video = self.maxpool_5a(video)
            video = self.get_submodule(f"mixed_{name}")(video)
        return video


class S3DG(_Trunk):
    """The video tower of MIL-NCE: RGB in [0, 1], even time and size; 16 or 32 frames of 200 to 256 pixels.

    9,670,800 parameters with `fc`. Names of the state are those of the published file.
    """

    def __init__(self, joint_dim: int = 512) -> None:
        pools = (
            SamePool((1, 3, 3), (1, 2, 2)),
            SamePool((1, 3, 3), (1, 2, 2)),
            SamePool((3, 3, 3), (2, 2, 2)),
            SamePool((2, 2, 2), (2, 2, 2)),
        )
        super().__init__(pools, gated=True, epsilon=1e-5)
        self.conv1 = Convolution(24, 64, (2, 4, 4), (1, 2, 2))
        self.fc = nn.Linear(FEATURE_DIM, joint_dim)

    def stem(self, video: Tensor) -> Tensor:
        """Space to depth, then a 2x4x4 convolution without the first row it makes along each dimension."""
        return self.conv1(space_to_depth(video))[:, :, 1:, 1:, 1:]

    def forward(self, video: Tensor) -> Tensor:
        """[batch, 3, time, height, width] -> `mixed_5c` [batch, 1024], averaged over time and space."""
        return self.features(video).float().mean((2, 3, 4))

    def joint(self, mixed_5c: Tensor) -> Tensor:
        """`mixed_5c` [batch, 1024] -> [batch, 512], to be multiplied with the text tower's."""
        return self.fc(mixed_5c)


def space_to_depth(video: Tensor) -> Tensor:
    """[batch, c, time, height, width] -> [batch, 8c, time / 2, ...], channels ordered (dt, dh, dw, c)."""
    batch, channels, time, height, width = video.shape
    video = video.reshape(batch, channels, time // 2, 2, height // 2, 2, width // 2, 2)
    return video.permute(0, 3, 5, 7, 1, 2, 4, 6).reshape(
        batch, 8 * channels, time // 2, height // 2, width // 2
    )


class S3D(_Trunk):
    """S3D without gating: 7,910,048 parameters, and a classifier's if `classes` is not 0."""

    def __init__(self, classes: int = 0, *, epsilon: float = 1e-5) -> None:
        pools = (
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            nn.MaxPool3d(3, 2, 1),
            nn.MaxPool3d(2, 2),
        )
        super().__init__(pools, gated=False, epsilon=epsilon)
        self.conv1 = SeparableConvolution(3, 64, size=7, stride=2, epsilon=epsilon)
        if classes:
            self.fc = nn.Linear(FEATURE_DIM, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.normal_(module.weight, std=0.01)

    def stem(self, video: Tensor) -> Tensor:
        """A separable 7x7x7 convolution of stride 2."""
        return self.conv1(video)

    def forward(self, video: Tensor) -> Tensor:
        """[batch, 3, time, height, width] -> [batch, 1024, time / 8, height / 32, width / 32]."""
        return self.features(video)

    def logits(self, video: Tensor) -> Tensor:
        """[batch, 3, time >= 16, height, width] -> [batch, classes]; averages pairs of times, then those."""
        found = self.features(video).float().mean((3, 4))
        return self.fc((found[..., :-1] + found[..., 1:]).mean(2) / 2)


_BRANCHES = {
    "branch0.0": "conv_b0",
    "branch1.0": "conv_b1_a",
    "branch1.1": "conv_b1_b",
    "branch2.0": "conv_b2_a",
    "branch2.1": "conv_b2_b",
    "branch3.1": "conv_b3_b",
}
_LAYERS = {"conv": "conv1", "bn": "bn1", "conv_s": "conv1", "bn_s": "bn1", "conv_t": "conv2", "bn_t": "bn2"}
_MIXED = tuple(f"mixed_{name}" for name in _INCEPTION)
_KINETICS_PLACES = dict(
    zip(
        (f"base.{place}" for place in (0, 2, 3, 5, 6, 8, 9, 10, 11, 12, 14, 15)),
        ("conv1", "conv_2b", "conv_2c", *_MIXED),
        strict=True,
    )
) | {"fc.0": "fc"}
_COCLR_PLACES = dict(
    zip(
        "block1.0 block2.1 block2.2 block3.1 block3.2 block4.1 block4.2 block4.3 block4.4 block4.5 "
        "block5.1 block5.2".split(),
        ("conv1", "conv_2b", "conv_2c", *_MIXED),
        strict=True,
    )
)


def from_kinetics(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of the Kinetics-400 port (`base.0.conv_s.weight`, ...) under the names of `S3D(400)`."""
    renamed = {_renamed(name, _KINETICS_PLACES): values for name, values in state.items()}
    if "fc.weight" in renamed:
        renamed["fc.weight"] = renamed["fc.weight"].flatten(1)  # a 1x1x1 convolution there
    return renamed


def from_coclr(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of a CoCLR backbone (`block1.0.conv1.weight`, ...) under the names of `S3D()`.

    Each tensor is there twice, as `block2.1...` and as `Conv_2b...`; the first set is taken. What stands
    before "block" (`module.encoder_q.0.`) is dropped; of several towers hand in one.
    """
    found = {}
    for name, values in state.items():
        at = re.search(r"(?:^|\.)(block\d\.)", name)
        if at:
            found[_renamed(name[at.start(1) :], _COCLR_PLACES)] = values
    return found


def _renamed(name: str, places: Mapping[str, str]) -> str:
    """A name with its place, branch and layer in the terms used here; unknown parts stay."""
    parts = name.split(".")
    place = places.get(".".join(parts[:2]), ".".join(parts[:2]))
    rest = parts[2:]
    if ".".join(rest[:2]) in _BRANCHES:
        place, rest = f"{place}.{_BRANCHES['.'.join(rest[:2])]}", rest[2:]
    return ".".join((place, *(_LAYERS.get(part, part) for part in rest)))


def load_network(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Fill a network; batch-norm counters may be missing, as in files older than the counters.

    Args:
        network: what is filled, in place.
        state: tensors under the network's names.
        source: file or weight the state comes from, for messages.

    Raises:
        WeightsError: names the missing, the unknown and the ill-shaped tensors.
    """
    own = network.state_dict()
    counters = {name: values for name, values in own.items() if name.endswith("num_batches_tracked")}
    state = counters | dict(state)
    faults = {
        "missing": sorted(own.keys() - state.keys()),
        "unknown": sorted(state.keys() - own.keys()),
        "of another shape": sorted(
            f"{name} {tuple(state[name].shape)}, expected {tuple(own[name].shape)}"
            for name in own.keys() & state.keys()
            if state[name].shape != own[name].shape
        ),
    }
    if any(faults.values()):
        listed = "; ".join(
            f"{kind}: {', '.join(names[:5])}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            for kind, names in faults.items()
            if names
        )
        raise WeightsError(f"{source}: not the weights of this {type(network).__name__} ({listed})")
    network.load_state_dict(state)


def precision(device: str) -> torch.dtype:
    """What the encoders compute in: float16 on a GPU, bfloat16 on a CPU with matrix units, else float32."""
    if device != "cpu":
        return torch.float16
    # four times as fast there; on real clips the features' cosine to those in float32 is above 0.999
    return torch.bfloat16 if torch.cpu._is_amx_tile_supported() else torch.float32


def for_inference(network: _NetworkT, device: str) -> _NetworkT:
    """The network as the encoders run it: batch norms folded in, in `precision`, the last layer float32."""
    network.eval().requires_grad_(False)
    fold_batch_norms(network)
    network.to(device, precision(device))
    network.get_submodule("fc").float()
    return channels_last(network)


def channels_last(network: _NetworkT) -> _NetworkT:
    """The network with its kernels laid out as oneDNN and cuDNN want them; in bfloat16 four times as fast."""
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return network


def as_video(frames: Tensor) -> Tensor:
    """Frames of one clip, [time, 3, height, width], as a batch of one: [1, 3, time, height, width]."""
    video = frames.transpose(0, 1)[None].to(precision(frames.device.type))
    return video.contiguous(memory_format=torch.channels_last_3d)


def fold_batch_norms(network: nn.Module) -> None:
    """Multiply each batch norm into the convolution before it; for inference only, the results stay."""
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for module in network.modules():
        for number in (1, 2):
            conv, norm = getattr(module, f"conv{number}", None), getattr(module, f"bn{number}", None)
            if isinstance(conv, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d):
                setattr(module, f"conv{number}", fuse_conv_bn_eval(conv, norm))
                setattr(module, f"bn{number}", nn.Identity())
