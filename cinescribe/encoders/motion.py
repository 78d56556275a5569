"""The action experts of Collaborative Experts: I3D (Kinetics) and R(2+1)D (Instagram, IG-65M).

motion                          I3D on the weights that can be had without an account
motion:PATH                     I3D on a file of the torch port (`rgb_imagenet.pt`)
motion:r2plus1d_34=PATH         R(2+1)D-34 on a file of the ig65m-pytorch models
motion:r2plus1d_18=PATH         R(2+1)D-18 on a file of torchvision

I3D sees 64 frames at 25 fps every second, the shorter side at 256 pixels, the middle 224 x 224 (Liu et al.
2019, appendix A.5: a stride of 25 frames); its seven positions in time are averaged, as that paper's average
expert is. R(2+1)D sees 8 frames of 112 x 112 at 30 fps.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cinescribe import zoo
from cinescribe.encoders.preprocessing import Preprocessing
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.errors import UsageError, WeightsError
from cinescribe.zoo import checkpoints

if TYPE_CHECKING:
    from torch import Tensor, nn

I3D_WEIGHT = "i3d-kinetics-400"
I3D_OFFSETS = tuple(frame / 25 for frame in range(64))
R2PLUS1D_OFFSETS = tuple(frame / 30 for frame in range(8))
_R2PLUS1D = ("r2plus1d_34", "r2plus1d_18")
_I3D_PICTURES = Preprocessing((224, 224), (0.5,) * 3, (0.5,) * 3, "bilinear", edge=256)
_R2PLUS1D_PICTURES = Preprocessing(  # of the colours in Kinetics-400, as both families of weights have it
    (112, 112), (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989), "bilinear", edge=128
)


def spec(model: str = "", hz: float | None = None) -> EncoderSpec:
    """What the encoder is. Raises UsageError on an unknown network."""
    network, _ = _named(model)
    if network == "i3d":
        return EncoderSpec("motion", hz or 1.0, 1024, offsets=I3D_OFFSETS)
    return EncoderSpec(f"motion-{network}", hz or 1.0, 512, offsets=R2PLUS1D_OFFSETS)


def load(model: str = "", hz: float | None = None, *, device: str = "cpu", threads: int = 0) -> "Motion":
    """The encoder with its weights. Raises UsageError and WeightsError."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    network, path = _named(model)
    build = _i3d if network == "i3d" else _r2plus1d
    return Motion(spec(model, hz), build(network, path).eval().to(device), str(path or I3D_WEIGHT), device)


class Motion:
    """Features of short clips; see `cinescribe.encoders.protocol.Encoder`."""

    def __init__(self, spec: EncoderSpec, network: Any, weight: str, device: str) -> None:
        self.spec = spec
        self.weights: Mapping[str, str] = {"actions": weight}
        self.network = network
        self._preprocessing = _I3D_PICTURES if spec.dim == 1024 else _R2PLUS1D_PICTURES
        self._device = device

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float16]:
        """uint8 `[N, frames, H, W, 3]` to float16 `[N, 1024]` (R(2+1)D: 512)."""
        import torch

        rows = np.empty((len(batch), self.spec.dim), np.float16)
        with torch.inference_mode():
            for row, clip in zip(rows, batch, strict=True):  # one at a time: a clip is 64 frames
                row[:] = self._features(clip).cpu().numpy()
        return rows

    def _features(self, clip: NDArray[Any]) -> "Tensor":
        pictures = self._preprocessing(clip, self._device).transpose(0, 1)[None]  # [1, 3, frames, H, W]
        if self._preprocessing is _I3D_PICTURES:
            return self.network.features(pictures).mean(dim=2)[0]
        return self.network(pictures)[0]


def _named(model: str) -> tuple[str, Path | None]:
    """The network and the file of its weights, None for I3D's published ones."""
    network, equals, path = model.partition("=")
    if not equals:
        if model in _R2PLUS1D:
            raise UsageError(
                f"motion:{model}=PATH: name the file of its weights; none can be had without one"
            )
        return "i3d", Path(model) if model else None
    if network not in ("i3d", *_R2PLUS1D) or not path:
        raise UsageError(
            f"no motion network {model!r}; there are: i3d=PATH, {'=PATH, '.join(_R2PLUS1D)}=PATH"
        )
    return network, Path(path)


def _i3d(_: str, path: Path | None) -> "nn.Module":
    from cinescribe.encoders.i3d_network import I3D, from_flax

    try:
        if path is None:
            return I3D.from_state(from_flax(checkpoints.read_arrays(zoo.path(I3D_WEIGHT))))
        return I3D.from_state(checkpoints.read_state(path))
    except (RuntimeError, KeyError) as error:
        raise WeightsError(f"{path or I3D_WEIGHT}: not the weights of I3D ({_short(error)})") from error


def _r2plus1d(network: str, path: Path | None) -> "nn.Module":
    """R(2+1)D without its classifier, [N, 512]."""
    from torch import nn
    from torchvision.models.video.resnet import BasicBlock, Conv2Plus1D, R2Plus1dStem, VideoResNet

    assert path is not None
    deep = network == "r2plus1d_34"
    layers = [3, 4, 6, 3] if deep else [2, 2, 2, 2]
    built = VideoResNet(BasicBlock, [Conv2Plus1D] * 4, layers, R2Plus1dStem)
    built.fc = nn.Identity()
    if deep:  # Caffe2, which these were trained with, sizes three inner convolutions by the block's outputs
        for layer, channels, inner in (
            (built.layer2, 128, 288),
            (built.layer3, 256, 576),
            (built.layer4, 512, 1152),
        ):
            layer[0].conv2[0] = Conv2Plus1D(channels, channels, inner)
        for module in built.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.eps = 1e-3
    state = {
        name: value for name, value in checkpoints.read_state(path).items() if not name.startswith("fc.")
    }
    try:
        built.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"{path}: not the weights of {network} ({_short(error)})") from error
    return built


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
