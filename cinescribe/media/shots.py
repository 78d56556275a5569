"""Shots: where the camera's picture is cut."""

import re
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe.errors import MediaError
from cinescribe.media.frames import decoded_frames
from cinescribe.media.probe import probe

_WIDTH = 160  # pixels of the pictures compared
_SHORTEST = 0.5  # seconds of a shot
_PLANAR = re.compile(r"yuvj?4(20|22|44)p(10le|12le)?")


def find_shots(path: Path) -> list[tuple[float, float]]:
    """The shots of a film: (start, end) in seconds, without holes from 0 to the film's duration.

    PySceneDetect's AdaptiveDetector with its published thresholds: a cut is a change of the HSV picture at
    least 3 times that of the two frames on either side. It is taken over ContentDetector because that one's
    fixed threshold cuts moving shots to pieces (354 against 117 cuts in the ten minutes of "Elephants Dream",
    both without a shortest shot). All frames are decoded: without the non-reference frames it takes half the
    time but finds 112 of 116 cuts there.

    Raises:
        MediaError: the file can't be read (see `probe`) or has no video ("no-video").
    """
    from scenedetect import FrameTimecode
    from scenedetect.detectors import AdaptiveDetector

    info = probe(path)
    if info.video_stream < 0:
        raise MediaError("no-video", f"{path}: holds sound only. Shots need a film with a picture.")
    detector = AdaptiveDetector(min_scene_len=_SHORTEST)
    recent: deque[float] = deque(maxlen=detector.event_buffer_length + 1)
    cuts = [0.0]
    for number, (frame, time) in enumerate(decoded_frames(path, info, 0.0)):
        recent.append(time)
        for event in detector.process_frame(FrameTimecode(number, info.fps), _small(frame)):
            cuts.append(recent[event.frame_num - number - 1])
    ends = [*cuts[1:], max(info.duration, cuts[-1])]
    return list(zip(cuts, ends, strict=True))


def _small(frame: Any) -> NDArray[np.uint8]:
    """BGR picture [h, about 160, 3]: every n-th pixel of the planes.

    A copy scaled by libswscale costs more than decoding (60 s of 720p HEVC in all: 3.7 s against 1.7 s).
    """
    import cv2

    kind = _PLANAR.fullmatch(frame.format.name)
    step = frame.width // _WIDTH & ~1
    if kind is None or step < 2:
        height = max(1, round(frame.height * _WIDTH / frame.width))
        small: NDArray[np.uint8] = frame.to_ndarray(
            format="bgr24", width=_WIDTH, height=height, interpolation="POINT"
        )
        return small
    across, down = {"20": (2, 2), "22": (2, 1), "44": (1, 1)}[kind[1]]
    depth = int(kind[2][:2]) if kind[2] else 8
    planes: list[NDArray[Any]] = [
        np.frombuffer(plane, np.uint8 if depth == 8 else np.uint16).reshape(plane.height, -1)[
            :, : plane.width
        ]
        for plane in frame.planes
    ]
    luma = planes[0][::step, ::step]
    blue, red = (plane[:: step // down, :: step // across] for plane in planes[1:])
    height, width = (min(sizes) for sizes in zip(luma.shape, blue.shape, strict=True))
    picture = np.empty((height, width, 3), np.uint8)
    for channel, plane in enumerate((luma, red, blue)):
        kept = plane[:height, :width]
        picture[:, :, channel] = kept if depth == 8 else kept >> (depth - 8)
    bgr: NDArray[np.uint8] = cv2.cvtColor(picture, cv2.COLOR_YCrCb2BGR).astype(np.uint8, copy=False)
    return bgr
