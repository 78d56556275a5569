"""Frames of a film at a steady rate, or at any times."""

import itertools
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cinescribe.errors import MediaError
from cinescribe.media.probe import MediaInfo, decodable_frames, frame_seconds, open_media, probe

if TYPE_CHECKING:
    from cinescribe.media.decord_frames import DecordReader

Decoder = Literal["pyav", "decord"]

logger = logging.getLogger(__name__)

# A frame that begins this little after the asked time counts as shown, for containers round to the
# millisecond; no multiple of a usual tick, so that rounding decides no tie.
ROUNDING = 6.18e-4
_FAR = 10.0  # seconds from one asked frame to the next, above which it pays to seek


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames of one film.

    Attributes:
        times: float64 [T], the true presentation time of each frame, seconds from the film's first frame.
        frames: uint8 [T, H, W, 3], RGB, upright.
    """

    times: NDArray[np.float64]
    frames: NDArray[np.uint8]


def read_frames(
    path: Path,
    *,
    rate: float,
    start: float = 0.0,
    end: float | None = None,
    size: tuple[int, int] | None = None,
) -> Frames:
    """Frames shown at the times start + k / rate of [start, end): for each, the last one that began by then.

    YUV becomes RGB by the matrix that the file's tag names, by that of BT.601 where it names none.

    Args:
        path: a local file.
        rate: frames per second of the result.
        start: seconds from the first video frame.
        end: seconds; the film's end when None or later than that.
        size: (width, height) to scale to, bilinear; as displayed (`MediaInfo.width`, `height`) when None.

    Returns:
        Frames; fewer than asked where the film's data end before `end`, which is logged.

    Raises:
        MediaError: the file can't be read (see `probe`), has no video ("no-video"), ends before `start`
            ("too-short"), or none of the asked frames can be decoded ("damaged").
    """
    parts = list(iter_frames(path, rate=rate, start=start, end=end, size=size))
    return Frames(
        np.concatenate([part.times for part in parts]), np.concatenate([part.frames for part in parts])
    )


def iter_frames(
    path: Path,
    *,
    rate: float,
    start: float = 0.0,
    end: float | None = None,
    size: tuple[int, int] | None = None,
    block: int = 32,
) -> Iterator[Frames]:
    """As `read_frames`, in blocks of at most `block` frames, so that memory stays that of one block."""
    reader = FrameReader(path, size=size)
    stop = reader.info.duration if end is None else min(end, reader.info.duration)
    count = math.ceil((stop - start) * rate - 1e-6)
    if start < 0 or count <= 0:
        raise MediaError(
            "too-short",
            f"{path}: lasts {reader.info.duration:.2f} s, frames were asked from {start:.2f} s on.",
        )
    yield from reader.at(start + np.arange(count) / rate, block)


class FrameReader:
    """A film's frames at any times; it is probed once.

    Args:
        path: a local file.
        size: (width, height) to scale to, bilinear; as displayed (`MediaInfo.width`, `height`) when None.
        decoder: by decord only the films that it is known to read rightly (`decord_frames`), PyAV the others.

    Raises:
        MediaError: the file can't be read (see `probe`) or has no video ("no-video").
    """

    def __init__(self, path: Path, *, size: tuple[int, int] | None = None, decoder: Decoder = "pyav") -> None:
        self.path, self.info = path, probe(path)
        if self.info.video_stream < 0:
            raise MediaError("no-video", f"{path}: holds sound only. Frames need a film with a picture.")
        self.size = size or (self.info.width, self.info.height)
        self.decoder = decoder
        self._decord: DecordReader | None = None

    def at(self, times: NDArray[np.float64], block: int = 32) -> Iterator[Frames]:
        """For each time the last frame that began by then, in blocks of at most `block` frames.

        Args:
            times: float64 [T], rising, seconds from the first video frame.
            block: frames that are in memory at once.

        Yields:
            Frames; fewer than asked in all where the film's data end before, which is logged.

        Raises:
            MediaError: none of the asked frames can be decoded ("damaged").
        """
        if not len(times):
            return
        done = 0
        for part in self._parts(times, block):
            done += len(part.times)
            yield part
        if not done:
            raise MediaError(
                "damaged",
                f"{self.path}: no frame of {times[0]:.2f} s to {times[-1]:.2f} s can be decoded. "
                "Copy the file again.",
            )
        if done < len(times):
            logger.warning("%s: the video ends at frame %d of the %d asked", self.path, done, len(times))

    def _parts(self, times: NDArray[np.float64], block: int) -> Iterator[Frames]:
        done = 0
        if self.decoder == "decord":
            for part in self._by_decord(times, block):
                done += len(part.times)
                yield part
        if done < len(times):
            yield from _frames(self.path, self.info, times[done:], self.size, block)

    def _by_decord(self, times: NDArray[np.float64], block: int) -> Iterator[Frames]:
        """As far as decord reads this film rightly."""
        from cinescribe.media.decord_frames import DecordFailed, DecordReader, decord_is_right

        if not decord_is_right(self.info, self.size):
            return
        try:
            self._decord = self._decord or DecordReader(self.path, self.info, self.size)
            yield from self._decord.at(times, block)
        except DecordFailed as reason:
            # Damage shows only on decoding: decord gives up on the film, PyAV on the broken packets. What
            # a call gives must not depend on the calls before it, so the next one tries decord anew.
            self._decord = None
            logger.info("%s: decord stopped (%s); PyAV goes on", self.path, reason)


def _frames(
    path: Path, info: MediaInfo, targets: NDArray[np.float64], size: tuple[int, int], block: int
) -> Iterator[Frames]:
    from av.video.reformatter import VideoReformatter

    shown = _on_screen_by_runs(path, info, targets)
    reformatter = VideoReformatter()
    last: tuple[float, NDArray[np.uint8]] | None = None  # a frame asked for again is converted once
    while chunk := list(itertools.islice(shown, block)):
        images = []
        for frame, time in chunk:
            if last is None or last[0] != time:
                last = time, _upright(frame, info.rotation, size, reformatter)
            images.append(last[1])
        # A block of one frame is that frame: another copy would cost as much as the conversion.
        yield Frames(
            np.array([time for _, time in chunk]), images[0][None] if len(images) == 1 else np.stack(images)
        )


def _on_screen_by_runs(
    path: Path, info: MediaInfo, targets: NDArray[np.float64]
) -> Iterator[tuple[Any, float]]:
    """As `_on_screen`, but what lies between two targets far apart is not decoded."""
    for run in np.split(targets, np.flatnonzero(np.diff(targets) > _FAR) + 1):
        given = 0
        for item in _on_screen(path, info, run):
            given += 1
            yield item
        if given < len(run):
            return


def _on_screen(path: Path, info: MediaInfo, targets: NDArray[np.float64]) -> Iterator[tuple[Any, float]]:
    """For each target the frame on screen and when it came there; ends early where the film's data do."""
    waiting = iter(targets)
    target = next(waiting)
    frame, since = None, 0.0
    for following, time in decoded_frames(path, info, float(targets[0])):
        while frame is not None and target + ROUNDING < time:
            yield frame, since
            if (target := next(waiting, math.inf)) == math.inf:
                return
        frame, since = following, time
    if frame is None:
        return
    # The last frame stays for its own length, and not for what a broken end has lost.
    length = float(frame.duration * frame.time_base) if frame.duration else 1.0 / info.fps
    ends = info.duration if since + length + 1.5 / info.fps > info.duration else since + length
    while target < ends:
        yield frame, since
        target = next(waiting, math.inf)


def decoded_frames(path: Path, info: MediaInfo, since: float) -> Iterator[tuple[Any, float]]:
    """Frames with their times, in order, from at or before `since` on, without those that don't decode."""
    for margin in (1.0, 10.0, since):  # containers seek by decoding time, and some only roughly
        with open_media(path) as container:
            stream: Any = container.streams[info.video_stream]
            stream.thread_type = "AUTO"
            if since > margin:
                # x264 names its version in the first packet only, and the decoder works round the faults of
                # some (4:4:4 before version 151) only after it has read that.
                next(decodable_frames(container, stream), None)
                container.seek(round((info.start + since - margin) / stream.time_base), stream=stream)
            last = -math.inf
            for frame in decodable_frames(container, stream):
                time = max(frame_seconds(frame, info.container) - info.start, last)
                if last == -math.inf and time > since + ROUNDING and since > margin:
                    break
                if time > -ROUNDING:
                    yield frame, max(time, 0.0)
                last = time
            else:
                if last > -math.inf or since <= margin:
                    return


def _upright(frame: Any, rotation: int, size: tuple[int, int], reformatter: Any) -> NDArray[np.uint8]:
    """RGB picture [H, W, 3] of `size` (width, height), turned for display."""
    width, height = size if rotation in (0, 180) else size[::-1]
    scaled = reformatter.reformat(frame, width=width, height=height, format="rgb24", interpolation="BILINEAR")
    image: NDArray[np.uint8] = np.rot90(scaled.to_ndarray(), -rotation // 90)
    return image
