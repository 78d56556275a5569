"""The face expert of Collaborative Experts: the mean of the faces in a frame, 128-d, once a second.

face        dlib's frontal detector (histograms of gradients): frontal faces, fast on a CPU
face:cnn    dlib's convolutional detector: profiles too, more than ten times slower on a CPU

Each face is turned upright by five landmarks and embedded by dlib's ResNet; two embeddings nearer than 0.6
are of one person (99.38% right on Labeled Faces in the Wild, says its author). The paper used an SSD detector
and a ResNet-50 of VGGFace2, 512-d. A frame without a face is a row of NaN.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe import zoo
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.errors import UsageError, WeightsError

WEIGHT = "dlib-faces"
DIM = 128
EDGE = (
    960  # pixels a frame's longer side has at most when faces are looked for; from 40 pixels on they are seen
)
SAME_PERSON = 0.6  # Euclidean distance, as published with the weights


def spec(model: str = "", hz: float | None = None) -> EncoderSpec:
    """128 numbers, of the frame in the middle of each 1 / hz seconds. Raises UsageError on another model."""
    if model not in ("", "cnn"):
        raise UsageError(f"face:{model}: no such detector; write face or face:cnn")
    hz = hz or 1.0
    return EncoderSpec("face", hz, DIM, offsets=(0.5 / hz,))


def load(model: str = "", hz: float | None = None, *, device: str = "cpu", threads: int = 0) -> "Faces":
    """The loaded encoder, on the CPU: dlib's wheel knows no other. Raises WeightsError without dlib."""
    return Faces(spec(model, hz), convolutional=model == "cnn")


class Faces:
    """Who is seen (`cinescribe.encoders.protocol.Encoder`)."""

    def __init__(self, spec: EncoderSpec, *, convolutional: bool = False) -> None:
        try:
            import dlib
        except ImportError as error:
            raise WeightsError(
                "face: the package dlib-bin is missing; install cinescribe[experts]"
            ) from error
        self.spec = spec
        detector = "mmod" if convolutional else "frontal"
        self.weights: Mapping[str, str] = {"face": WEIGHT, "detector": f"dlib {detector}"}
        folder = zoo.path(WEIGHT)
        self._frontal = None if convolutional else dlib.get_frontal_face_detector()
        self._convolutional = (
            dlib.cnn_face_detection_model_v1(str(folder / "mmod_human_face_detector.dat"))
            if convolutional
            else None
        )
        self._landmarks = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
        self._network = dlib.face_recognition_model_v1(
            str(folder / "dlib_face_recognition_resnet_model_v1.dat")
        )

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float16]:
        """uint8 `[N, 1, H, W, 3]` to float16 `[N, 128]`; NaN where no face is found."""
        rows = np.full((len(batch), DIM), np.nan, np.float16)
        for row, frame in zip(rows, batch[:, 0], strict=True):
            faces = self.embed(frame)
            if len(faces):
                row[:] = faces.mean(axis=0)
        return rows

    def embed(self, frame: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Each face of a frame, uint8 `[H, W, 3]`: `[faces, 128]`."""
        from PIL import Image

        picture = Image.fromarray(frame)
        picture.thumbnail((EDGE, EDGE))
        pixels = np.asarray(picture)
        if self._frontal is not None:
            boxes = self._frontal(pixels, 1)
        else:
            assert self._convolutional is not None
            boxes = [found.rect for found in self._convolutional(pixels, 0)]
        faces = [self._network.compute_face_descriptor(pixels, self._landmarks(pixels, box)) for box in boxes]
        return np.array(faces, np.float64).reshape(-1, DIM)
