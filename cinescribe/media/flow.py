"""TV-L1 optical flow, and pictures of it as the two-stream video networks read them.

OpenCV's Dual TV-L1 with its own defaults, as the authors of MemDPC and CoCLR ran it (TengdaHan/MemDPC
process_data/src/extract_ff.py): grey frames, both components clamped to 20 pixels a frame either way, then
[-20, 20] mapped to [0, 255]; the third channel is 128, which is what no motion maps to.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe.errors import MediaError, UsageError
from cinescribe.media.frames import Frames, iter_frames

BOUND = 20.0  # pixels a frame
NO_MOTION = 128  # 127.5 rounded, as NumPy rounds: to even
_JPEG_QUALITY = 100


def tvl1_flow(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Motion from each frame to the next.

    Args:
        frames: uint8 [N, H, W, 3], RGB, or [N, H, W], grey.

    Returns:
        float32 [N - 1, H, W, 2]: pixels to the right and down.

    Raises:
        UsageError: this OpenCV is built without its optical-flow module.
    """
    import cv2

    if not hasattr(cv2, "optflow"):
        raise UsageError(
            "TV-L1 flow is in OpenCV's contrib modules, and the OpenCV here has none: install the locked "
            "dependencies (make setup), with opencv-contrib-python-headless alone of OpenCV's packages"
        )
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) if frame.ndim == 3 else frame for frame in frames]
    method: Any = cv2.optflow.DualTVL1OpticalFlow_create()  # type: ignore[attr-defined]
    flows = np.zeros((max(0, len(grey) - 1), *frames.shape[1:3], 2), np.float32)
    for flow, now, following in zip(flows, grey, grey[1:], strict=False):
        flow[:] = method.calc(now, following, None)
    return flows


def to_pictures(flow: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Flow [..., H, W, 2] in pixels -> uint8 [..., H, W, 3]: right, down, and 128."""
    levels = np.round((np.clip(flow, -BOUND, BOUND) + BOUND) * (255.0 / (2 * BOUND)))
    pictures = np.full((*flow.shape[:-1], 3), NO_MOTION, np.uint8)
    pictures[..., :2] = levels
    return pictures


def from_pictures(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The flow [..., H, W, 2] in pixels which a picture stands for, to 0.08 pixels, and clamped."""
    return pictures[..., :2].astype(np.float32) * (2 * BOUND / 255.0) - BOUND


def write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write one picture [H, W, 3] as JPEG of quality 100.

    Blue holds the motion to the right, green that down, red 128, as the authors' files do: what reads a file
    as RGB sees (128, down, right), and so did the published flow networks.
    """
    import cv2

    if not cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]):
        raise UsageError(f"{path}: can't be written; is there room, and a folder of that name?")


def read_picture(path: Path) -> NDArray[np.uint8]:
    """A picture as `write_picture` took it: right, down, 128; [H, W, 3]."""
    import cv2

    picture: NDArray[np.uint8] | None = cv2.imread(str(path), cv2.IMREAD_COLOR_BGR)
    if picture is None:
        raise MediaError(
            "not-media" if path.is_file() else "missing", f"{path}: no picture can be read there"
        )
    return picture


def write_flow(
    film: Path,
    folder: Path,
    *,
    rate: float,
    start: float = 0.0,
    end: float | None = None,
    size: tuple[int, int] | None = None,
) -> int:
    """Write the flow of a film's frames as `flow_00001.jpg` and so on; memory stays that of a few frames.

    Args:
        film: a local file.
        folder: of the pictures; made if need be.
        rate, start, end, size: which frames, as `iter_frames` takes them.

    Returns:
        How many were written: one less than there are frames.

    Raises:
        MediaError: the film can't be read.
        UsageError: this OpenCV is built without its optical-flow module.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    parts = iter_frames(film, rate=rate, start=start, end=end, size=size, block=8)
    for frames in _overlapping(parts):
        for picture in to_pictures(tvl1_flow(frames)):
            written += 1
            write_picture(folder / f"flow_{written:05d}.jpg", picture)
    return written


def _overlapping(parts: Iterable[Frames]) -> Iterator[NDArray[np.uint8]]:
    """Blocks of frames, each with the last frame of the block before in front."""
    last: NDArray[np.uint8] | None = None
    for part in parts:
        yield part.frames if last is None else np.concatenate((last, part.frames))
        last = part.frames[-1:]
