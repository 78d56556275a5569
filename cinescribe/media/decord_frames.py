"""Frames by decord, taken in PyAV's place where a run asks for it (`cinescribe extract --decoder decord`).

It takes several times the CPU, and where groups of pictures lean on the one before (x265 writes them so) a
film read now and then has wrong pictures: docs/speed.md.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cinescribe.media.frames import ROUNDING, Frames
from cinescribe.media.probe import MediaInfo

_CODECS = {"h264", "hevc", "mpeg4", "vp8", "vp9", "prores", "ffv1", "mjpeg", "png", "qtrle"}
_CONTAINERS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flv"}
_WIDTH = 80


def decord_is_right(info: MediaInfo, size: tuple[int, int]) -> bool:
    """Whether decord gives the right frames of this film, by what was measured against PyAV on real files."""
    return (
        # decord carries FFmpeg 4.1 without an AV1 decoder; other codecs than these were not compared.
        info.video_codec in _CODECS
        # AVI has no presentation times, and decord's come out as -1.5e16 s; in transport streams it loses the
        # first frames and shifts the rest.
        and info.container in _CONTAINERS
        # It takes the largest video stream, players the default one.
        and info.video_streams == 1
        # It counts the frames that an edit list hides but does not decode them: all times are off by those.
        and info.hidden_frames == 0
        # Without a duration or a frame count in the header (live WebM) it refuses the film.
        and info.length_declared
        # Rows of its own padded buffers don't fit (seen at 1 to 72 pixels): "The size must exactly match".
        and size[0] >= _WIDTH
    )


class DecordFailed(Exception):
    """decord raised, or lists frames the container does not have."""


class DecordReader:
    """The film opened by decord, and when each of its frames is shown."""

    def __init__(self, path: Path, info: MediaInfo, size: tuple[int, int]) -> None:
        import decord

        decord.logging.set_level(decord.logging.QUIET)
        self._errors = (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError, AssertionError)
        try:
            # Any frame it would replace by a copy of another is an error here.
            self._reader = decord.VideoReader(str(path), width=size[0], height=size[1], fault_tol=1e-9)
            times = self._reader.get_frame_timestamp(np.arange(len(self._reader)))
            self._shown = times[:, 0].astype(np.float64)
            self._reader.get_batch([0])  # see decoded_frames: the first packet names the encoder
        except self._errors as error:
            raise DecordFailed(_first_line(error)) from error
        first, last = self._shown[0], self._shown[-1]
        if abs(first) > ROUNDING or abs(last - info.duration) > 1.0 + 2.0 / info.fps:
            raise DecordFailed(f"its clock runs from {first:.3f} to {last:.3f} s")

    def at(self, times: NDArray[np.float64], block: int) -> Iterator[Frames]:
        """As `FrameReader.at`. Raises DecordFailed."""
        index = np.maximum(np.searchsorted(self._shown, times + ROUNDING, side="right") - 1, 0)
        for begin in range(0, len(times), block):
            chosen = index[begin : begin + block]
            try:
                frames = self._reader.get_batch(chosen).asnumpy()
            except self._errors as error:
                raise DecordFailed(_first_line(error)) from error
            yield Frames(self._shown[chosen].round(6), frames)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
