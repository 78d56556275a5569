"""One decoding of a film for all encoders: the frames any of them needs, in order, handed out in batches.

Memory is bounded by bytes, not by frames. A frame is kept until the last batch it belongs to is full, and a
batch is of at most `BATCH_BYTES` (one feature's frames if those are more, as 16 frames of 4K are). Which
features share a batch depends on the encoder and the picture's size only, not on the other encoders, so an
encoder gives the same alone and in company.
"""

import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cinescribe.encoders.protocol import SOUND_RATE, EncoderSpec
from cinescribe.errors import MediaError
from cinescribe.media.audio import read_audio
from cinescribe.media.frames import FrameReader

BATCH_BYTES = 64 * 2**20
_LARGEST = 32  # features of a batch
_SETTLE = 1.0  # seconds of sound read before the first window: a decoder and a resampler need some to settle

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Features first, first + 1, ... stop - 1 of an encoder."""

    spec: EncoderSpec
    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What an encoder takes in one call.

    Attributes:
        name: the encoder's key among the wanted.
        first: number of the first feature.
        items: of each feature its frames, each uint8 [H, W, 3]; or its sound, one float32 [window * rate].
    """

    name: str
    first: int
    items: list[list[NDArray[Any]]]
    sound: bool = False

    def array(self) -> NDArray[Any]:
        """uint8 [N, len(offsets), H, W, 3], or float32 [N, window * SOUND_RATE]."""
        if self.sound:
            return np.stack([item[0] for item in self.items])
        height, width, channels = self.items[0][0].shape
        array = np.empty((len(self.items), len(self.items[0]), height, width, channels), np.uint8)
        for row, item in zip(array, self.items, strict=True):
            for slot, frame in zip(row, item, strict=True):
                slot[:] = frame
        return array


def frame_times(spec: EncoderSpec, first: int, stop: int) -> NDArray[np.int64]:
    """When the frames of features are shown: int64 [stop - first, len(offsets)], microseconds.

    Whole microseconds, so that times of two encoders that mean the same are the same.
    """
    seconds = np.arange(first, stop)[:, None] / spec.hz + np.asarray(spec.offsets)[None]
    return np.rint(seconds * 1e6).astype(np.int64)


def batch_size(spec: EncoderSpec, frame_bytes: int) -> int:
    """How many features share a batch, for frames of that many bytes."""
    return max(1, min(_LARGEST, BATCH_BYTES // (len(spec.offsets) * frame_bytes)))


def share_frames(reader: FrameReader, wanted: Mapping[str, Wanted]) -> Iterator[Batch]:
    """Decode once what all encoders want, and hand each its batches as they fill.

    Args:
        reader: of the film.
        wanted: by a name, of frame encoders.

    Yields:
        The batches, those of one encoder in order. Where the film's data end before, features whose frames
        are not all there are left out.

    Raises:
        MediaError: no frame can be decoded ("damaged").
    """
    frame_bytes = 3 * reader.size[0] * reader.size[1]
    gatherers = [
        _Gatherer(name, one, batch_size(one.spec, frame_bytes))
        for name, one in wanted.items()
        if one.stop > one.first
    ]
    if not gatherers:
        return
    times = np.unique(np.concatenate([gatherer.times.reshape(-1) for gatherer in gatherers]))
    # One by one: a frame of a larger block would have to be copied, or keep the whole block in memory.
    for part, time in zip(reader.at(times / 1e6, block=1), times.tolist(), strict=False):
        for gatherer in gatherers:
            yield from gatherer.add(time, part.frames[0])
    for gatherer in gatherers:
        yield from gatherer.rest()


class _Gatherer:
    """Collects the frames of one encoder's features until a batch is full."""

    def __init__(self, name: str, wanted: Wanted, size: int) -> None:
        self.name, self.first, self.size = name, wanted.first, size
        self.times = frame_times(wanted.spec, wanted.first, wanted.stop)
        self._needed = set(self.times.reshape(-1).tolist())
        self._held: dict[int, NDArray[np.uint8]] = {}
        self._given = 0  # features that were handed out

    def add(self, time: int, frame: NDArray[np.uint8]) -> Iterator[Batch]:
        """Take the next frame; gives the batch that it completes, if any."""
        if time not in self._needed:
            return
        self._held[time] = frame
        last = min(self._given + self.size, len(self.times)) - 1
        if last >= self._given and time >= self.times[last, -1]:
            yield self._hand_out(last + 1)

    def rest(self) -> Iterator[Batch]:
        """At the film's end: the features that are whole, of a batch that is not."""
        whole = self._given
        while whole < len(self.times) and all(time in self._held for time in self.times[whole].tolist()):
            whole += 1
        if whole > self._given:
            yield self._hand_out(whole)

    def _hand_out(self, stop: int) -> Batch:
        rows = self.times[self._given : stop].tolist()
        batch = Batch(self.name, self.first + self._given, [[self._held[t] for t in row] for row in rows])
        self._given = stop
        earliest = self.times[stop, 0] if stop < len(self.times) else math.inf
        self._held = {time: frame for time, frame in self._held.items() if time >= earliest}
        return batch


def share_sound(path: Path, wanted: Mapping[str, Wanted]) -> Iterator[Batch]:
    """Decode once the sound that all sound encoders want, mono at `SOUND_RATE`.

    Yields:
        The batches. Features whose window reaches beyond the end of the sound are left out.

    Raises:
        MediaError: the film has no sound ("no-audio"), or none of it can be decoded ("damaged").
    """
    some = {name: one for name, one in wanted.items() if one.stop > one.first}
    if not some:
        return
    # From a whole second on, so that the samples lie where those of the whole film lie.
    start = max(0.0, math.floor(min(one.first / one.spec.hz for one in some.values()) - _SETTLE))
    end = max((one.stop - 1) / one.spec.hz + one.spec.window for one in some.values())
    try:
        sound = read_audio(path, rate=SOUND_RATE, start=start, end=end)
    except MediaError as error:
        if error.kind == "too-short":  # it ends before the picture does
            return
        raise
    for name, one in some.items():
        length = round(one.spec.window * SOUND_RATE)
        size = max(1, min(_LARGEST, BATCH_BYTES // (4 * length)))
        begins = [
            round(k / one.spec.hz * SOUND_RATE - start * SOUND_RATE) for k in range(one.first, one.stop)
        ]
        windows = [[sound[at : at + length]] for at in begins if at + length <= len(sound)]
        for at in range(0, len(windows), size):
            yield Batch(name, one.first + at, windows[at : at + size], sound=True)


@contextmanager
def ahead(items: Iterator[T], depth: int = 1) -> Iterator[Iterator[T]]:
    """The same items, made in a thread of their own while the last one is used; at most `depth` wait.

    What their maker raises is raised where they are taken. When the context ends, the maker ends too.
    """
    waiting: Queue[tuple[T | None, BaseException | None]] = Queue(depth)
    ended = threading.Event()

    def put(item: T | None, error: BaseException | None) -> bool:
        while not ended.is_set():
            try:
                waiting.put((item, error), timeout=0.1)
                return True
            except Full:
                continue
        return False

    def make() -> None:
        error: BaseException | None = StopIteration()
        try:
            for item in items:
                if not put(item, None):
                    return
        except BaseException as raised:
            error = raised
        put(None, error)

    def take() -> Iterator[T]:
        while True:
            item, error = waiting.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]

    thread = threading.Thread(target=make, name="ahead", daemon=True)
    thread.start()
    try:
        yield take()
    finally:
        ended.set()
        while True:
            try:
                waiting.get_nowait()
            except Empty:
                break
        thread.join()
