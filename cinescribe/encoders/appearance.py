"""The object experts of Collaborative Experts: what a classifier of ImageNet sees before it decides.

appearance              EfficientNet-Lite0, 1280-d, on the weights that `objects` uses
appearance:NAME         any classifier timm knows, with its weights from the hub. The paper's two, of 2048-d:
                        appearance:legacy_senet154.in1k (SENet-154) and
                        appearance:resnext101_32x8d.fb_wsl_ig1b_ft_in1k (ResNeXt-101, Instagram)
appearance:NAME=PATH    the same on a file of its weights

Features are those after the global average pooling (Liu et al. 2019, appendix A.5). The paper averages 25
frames a second; here it is one a second, `appearance@25` is the paper's.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe.encoders import objects
from cinescribe.encoders.preprocessing import Interpolation, Preprocessing
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.errors import UsageError, WeightsError
from cinescribe.zoo import checkpoints

_SMALL_DIM = 1280


def spec(model: str = "", hz: float | None = None) -> EncoderSpec:
    """Of the frame in the middle of each 1 / hz seconds. Raises UsageError on a name timm does not know."""
    hz = hz or 1.0
    if not model:
        return EncoderSpec("appearance", hz, _SMALL_DIM, offsets=(0.5 / hz,))
    import torch

    name = model.partition("=")[0]
    with torch.device("meta"):  # its shape, without its memory
        dim = int(_create(name).num_features)
    return EncoderSpec(f"appearance-{name}", hz, dim, offsets=(0.5 / hz,))


def load(model: str = "", hz: float | None = None, *, device: str = "cpu", threads: int = 0) -> "Appearance":
    """The loaded encoder; see `cinescribe.encoders.catalogue.load`."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    if not model:
        return Appearance(spec(model, hz), objects.network(), objects.PREPROCESSING, objects.WEIGHT, device)
    name, _, path = model.partition("=")
    network = _from_file(name, Path(path)) if path else _from_hub(name)
    return Appearance(spec(model, hz), network, _preprocessing(network), path or name, device)


class Appearance:
    """What a frame shows, undecided (`cinescribe.encoders.protocol.Encoder`)."""

    def __init__(
        self, spec: EncoderSpec, network: Any, preprocessing: Preprocessing, weight: str, device: str
    ) -> None:
        self.spec = spec
        self.weights: Mapping[str, str] = {"objects": weight}
        self._network = network.eval().to(device)
        self._preprocessing = preprocessing
        self._device = device

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float16]:
        """uint8 `[N, 1, H, W, 3]` to float16 `[N, dim]`."""
        import torch

        with torch.inference_mode():
            maps = self._network.forward_features(self._preprocessing(batch[:, 0], self._device))
            rows = self._network.forward_head(maps, pre_logits=True)
        return rows.float().cpu().numpy().astype(np.float16)


def _create(name: str, pretrained: bool = False) -> Any:
    import timm

    if not timm.is_model(name):
        raise UsageError(f"appearance:{name}: timm knows no such model; `timm.list_models()` names them")
    return timm.create_model(name, pretrained=pretrained)


def _from_hub(name: str) -> Any:
    try:
        return _create(name, pretrained=True)
    except (OSError, RuntimeError) as error:  # the hub's client raises its own kinds of both
        raise WeightsError(
            f"appearance:{name}: its weights can't be had from the hub ({type(error).__name__}); fetch them "
            f"on a machine that reaches it and write appearance:{name}=PATH"
        ) from error


def _from_file(name: str, path: Path) -> Any:
    network = _create(name)
    state = checkpoints.read_state(path)
    if set(state) == {"state_dict"}:
        state = checkpoints.read_state(path, "state_dict")
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(
            f"{path}: not the weights of timm's {name} ({' '.join(str(error).split())[:200]})"
        ) from error
    return network


def _preprocessing(network: Any) -> Preprocessing:
    """As timm says the network wants its pictures."""
    from timm.data import resolve_model_data_config

    wanted = resolve_model_data_config(network)
    size = tuple(wanted["input_size"][1:])
    interpolation: Interpolation = "bilinear" if wanted["interpolation"] == "bilinear" else "bicubic"
    return Preprocessing(
        (size[0], size[1]),
        tuple(wanted["mean"]),
        tuple(wanted["std"]),
        interpolation,
        edge=int(size[0] / wanted["crop_pct"]),
    )
