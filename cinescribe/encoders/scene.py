"""The scene expert of Collaborative Experts: DenseNet-161 trained on Places365, 2208-d, once a second.

scene:PATH, where PATH is the published `densenet161_places365.pth.tar` (CC BY). No place was found that gives
it without its authors' server, so there is no default.

Source: Zhou et al. 2018 (Places); Liu et al. 2019, appendix A.5: the middle 224 x 224 of frames, at 1 fps.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe.encoders.preprocessing import Preprocessing
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.errors import UsageError, WeightsError
from cinescribe.zoo import checkpoints

DIM = 2208
PUBLISHED = "densenet161_places365.pth.tar"
_PICTURES = Preprocessing((224, 224), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "bilinear", edge=256)


def spec(model: str = "", hz: float | None = None) -> EncoderSpec:
    """2208 numbers, of the frame in the middle of each 1 / hz seconds."""
    hz = hz or 1.0
    return EncoderSpec("scene", hz, DIM, offsets=(0.5 / hz,))


def load(model: str = "", hz: float | None = None, *, device: str = "cpu", threads: int = 0) -> "Scene":
    """The loaded encoder. Raises UsageError without a file, WeightsError on another network's."""
    import torch

    if not model:
        raise UsageError(
            f"scene: get {PUBLISHED} from the Places365 page of its authors and write scene:PATH; it can't "
            "be fetched by name"
        )
    if threads:
        torch.set_num_threads(threads)
    return Scene(spec(model, hz), Path(model), device)


class Scene:
    """What kind of place a frame shows (`cinescribe.encoders.protocol.Encoder`)."""

    def __init__(self, spec: EncoderSpec, weights: Path, device: str = "cpu") -> None:
        from torchvision.models import densenet161

        self.spec = spec
        self.weights: Mapping[str, str] = {"scene": str(weights)}
        network: Any = densenet161(num_classes=365)
        try:
            network.load_state_dict(_state(weights))
        except RuntimeError as error:
            raise WeightsError(
                f"{weights}: not DenseNet-161 with 365 scenes ({' '.join(str(error).split())[:200]})"
            ) from error
        self._features = network.features.eval().to(device)
        self._device = device

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float16]:
        """uint8 `[N, 1, H, W, 3]` to float16 `[N, 2208]`, what the classifier sees."""
        import torch

        with torch.inference_mode():
            maps = self._features(_PICTURES(batch[:, 0], self._device))
            rows = torch.nn.functional.relu(maps).mean(dim=(2, 3))
        return rows.cpu().numpy().astype(np.float16)


def _state(path: Path) -> dict[str, Any]:
    """The tensors under torchvision's names.

    The published file is of a network spread over GPUs ("module.") and of a torchvision that wrote "norm.1"
    where today's writes "norm1".
    """
    checkpoint = checkpoints.read_checkpoint(path)
    tensors = checkpoint.get("state_dict", checkpoint)
    if not isinstance(tensors, dict):
        raise WeightsError(f"{path}: no table of tensors under 'state_dict'; give {PUBLISHED}")
    return {
        re.sub(r"\b(norm|conv|relu)\.([12])\b", r"\1\2", name.removeprefix("module.")): value
        for name, value in tensors.items()
    }
