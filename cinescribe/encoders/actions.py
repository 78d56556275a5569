"""Actions: probabilities of the 400 actions of Kinetics-400, by S3D.

Each feature is of the 16 frames of its second, those which `s3d` sees too. The network was trained on 64
frames at 25 a second; 16 frames spread over more time name actions less well (docs/features.md).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe import zoo
from cinescribe.encoders import names
from cinescribe.encoders.preprocessing import Preprocessing
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.errors import UsageError

WEIGHT = "s3d-kinetics400"
FRAMES = 16
RATE = 16.0  # frames per second
# RGB in [-1, 1], as the authors of the weights have it: https://github.com/kylemin/S3D
PREPROCESSING = Preprocessing((224, 224), mean=(0.5,) * 3, std=(0.5,) * 3, interpolation="bilinear")


def labels() -> tuple[str, ...]:
    """Names of the 400 actions, in the order of a feature's probabilities."""
    return names.kinetics400()


def spec(model: str, hz: float | None) -> EncoderSpec:
    """400 probabilities a second, of the second from there on. Raises UsageError on any model."""
    if model:
        raise UsageError(f"actions:{model}: there is one model of this encoder; write `actions`")
    offsets = tuple(k / RATE for k in range(FRAMES))
    return EncoderSpec("actions", hz or 1.0, len(labels()), offsets)


def load(model: str, hz: float | None, *, device: str = "cpu", threads: int = 0) -> "Actions":
    """The loaded encoder. Raises UsageError on any model, WeightsError when its weights can't be had."""
    return Actions(spec(model, hz), device=device, threads=threads)


class Actions:
    """What is done in a second of film (`cinescribe.encoders.protocol.Encoder`)."""

    def __init__(self, spec: EncoderSpec, *, device: str = "cpu", threads: int = 0) -> None:
        import torch

        from cinescribe.encoders import s3d_network

        if threads:
            torch.set_num_threads(threads)
        self.spec = spec
        self.weights: Mapping[str, str] = {"actions": WEIGHT}
        self._device = device
        network = s3d_network.S3D(len(labels()), epsilon=1e-3)
        state = s3d_network.from_kinetics(zoo.load_state(WEIGHT))
        s3d_network.load_network(network, state, WEIGHT)
        self._network = s3d_network.for_inference(network, device)

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float16]:
        """uint8 [N, 16, H, W, 3] -> float16 [N, 400], probabilities that sum to 1 but for rounding."""
        import torch

        from cinescribe.encoders.s3d_network import as_video

        rows = []
        with torch.inference_mode():
            for frames in batch:
                video = as_video(PREPROCESSING(frames, self._device))
                logits = self._network.logits(video)
                rows.append(logits.softmax(1).half().cpu().numpy())
        return np.concatenate(rows) if rows else np.empty((0, self.spec.dim), np.float16)
