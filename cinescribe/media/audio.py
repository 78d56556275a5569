"""The sound of a film as mono samples on the film's clock."""

import logging
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cinescribe.errors import MediaError, UsageError
from cinescribe.media.probe import MediaInfo, open_media, probe

logger = logging.getLogger(__name__)

Side = Literal["", "left", "right"]  # of stereo; "" is everything in one

_TOLERANCE = 0.008  # seconds a sample may lie off its time before silence is put in or samples are cut
_PREROLL = 1.0  # seconds decoded before `start`: codecs need some packets to settle after a seek
_STRAY = 60.0  # seconds beyond the film's end: a time stamp later than that is broken, not a gap
_CHUNK = 1.0  # seconds handed to the resampler at once


@dataclass(slots=True)
class AudioReport:
    """What became of a stream's sound; filled in while it is read.

    Attributes:
        stream: index of the stream read, -1 before.
        damaged: seconds whose packets could not be decoded, now silence.
        gaps: seconds that no packet covers, now silence (before the first packet not counted).
    """

    stream: int = -1
    damaged: float = 0.0
    gaps: float = 0.0


def read_audio(
    path: Path,
    *,
    rate: int = 16000,
    start: float = 0.0,
    end: float | None = None,
    stream: int | None = None,
    report: AudioReport | None = None,
) -> NDArray[np.float32]:
    """Mono sound of [start, end), whole in memory: sample n is at `start` + n / rate.

    Every sample lies within 10 ms of its time by the container's clock. Channels are mixed as ITU-R BS.775
    says, the centre (dialogue) at full weight, scaled so that nothing clips; the low-frequency channel is
    left out. Where the film has no sound (before a late stream, in a gap, at a damaged packet) there is
    silence; after the stream's last packet there is nothing.

    Args:
        path: a local file.
        rate: Hz of the result.
        start, end: seconds from the first video frame; `end` None for all.
        stream: index of an audio stream (`AudioTrack.index`); None takes the default one, else the first.
        report: filled with what was silenced; damage is logged in any case.

    Returns:
        float32 [N] in [-1, 1]; fewer samples than asked where the sound ends before `end`.

    Raises:
        MediaError: the file can't be read (see `probe`), has no sound ("no-audio"), its sound ends before
            `start` ("too-short"), or nothing of it can be decoded ("damaged").
        UsageError: `stream` is not an audio stream.
    """
    parts = list(_samples(path, rate, start, end, stream, report))
    return np.concatenate(parts)


def stream_audio(
    path: Path,
    *,
    rate: int = 16000,
    block: float = 60.0,
    stream: int | None = None,
    side: Side = "",
    report: AudioReport | None = None,
) -> Iterator[NDArray[np.float32]]:
    """As `read_audio`, the whole film in blocks of `block` seconds (the last shorter), in bounded memory.

    With a `side` it is the left or the right of a stereo mix in place of mono.
    """
    size = max(1, round(block * rate))
    held: list[NDArray[np.float32]] = []
    have = 0
    for part in _samples(path, rate, 0.0, None, stream, report, side):
        held.append(part)
        have += len(part)
        if have >= size:
            whole = np.concatenate(held)
            for at in range(0, have - size + 1, size):
                yield whole[at : at + size]
            held = [whole[have - have % size :]]
            have %= size
    if have:
        yield np.concatenate(held)


def spool_audio(
    path: Path,
    folder: Path,
    *,
    rate: int = 16000,
    stream: int | None = None,
    report: AudioReport | None = None,
) -> "np.memmap[Any, np.dtype[np.int16]]":
    """As `read_audio`, the whole film in a file that only this process sees: memory stays flat for hours.

    The file has no name: its space is free again when the array is gone or the process dies.

    Args:
        path: a local file.
        folder: on a local disk with room for 2 bytes a sample (115 MB an hour at 16 kHz); made when absent.
        rate, stream, report: as `read_audio`.

    Returns:
        int16 [N]; sample / 32768 is the float in [-1, 1].
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder, prefix="sound-") as file:
        count = 0
        for part in _samples(path, rate, 0.0, None, stream, report):
            file.write(np.clip(np.rint(part * 32768.0), -32768, 32767).astype(np.int16).tobytes())
            count += len(part)
        file.flush()
        return np.memmap(file, np.int16, "r+", shape=(count,))


def _samples(
    path: Path,
    rate: int,
    start: float,
    end: float | None,
    stream: int | None,
    report: AudioReport | None,
    side: Side = "",
) -> Iterator[NDArray[np.float32]]:
    """Resampled sound of [start, end) in chunks."""
    info = probe(path)
    report = report if report is not None else AudioReport()
    report.stream, report.damaged, report.gaps = _chosen(path, info, stream), 0.0, 0.0
    source = next(track.rate for track in info.audio if track.index == report.stream)
    if not source:
        raise MediaError("damaged", f"{path}: the codec of audio stream {report.stream} is not known.")
    limit = math.inf if end is None else round((end - start) * rate)
    if start < 0 or limit <= 0:
        raise MediaError("too-short", f"{path}: no sound lies between {start} s and {end} s.")
    done = 0
    sound = _timeline(path, info, report, start, end, source, side)
    for part in _resample(_chunked(sound, round(_CHUNK * source)), source, rate):
        part = part[: int(min(len(part), limit - done))]
        done += len(part)
        if len(part):
            yield np.clip(part, -1.0, 1.0)
        if done >= limit:
            break
    if report.damaged:
        logger.warning(
            "%s: %.2f s of sound are damaged and silent in stream %d", path, report.damaged, report.stream
        )
    if not done and start > 0:
        raise MediaError("too-short", f"{path}: its sound ends before {start:.2f} s.")
    if not done:
        raise MediaError("damaged", f"{path}: its audio stream holds no sound. Copy the file again.")


def _chosen(path: Path, info: MediaInfo, stream: int | None) -> int:
    if not info.audio:
        raise MediaError("no-audio", f"{path}: has no sound. Give a film with an audio stream.")
    indices = [track.index for track in info.audio]
    if stream is not None:
        if stream not in indices:
            raise UsageError(f"{path}: stream {stream} is not sound; its audio streams are {indices}.")
        return stream
    return next((track.index for track in info.audio if track.default), indices[0])


def _timeline(
    path: Path, info: MediaInfo, report: AudioReport, start: float, end: float | None, source: int, side: Side
) -> Iterator[NDArray[np.float32]]:
    """Mono sound at the stream's own rate without holes, from `start` on, in pieces of any length."""
    stop = math.inf if end is None else math.ceil((end - start) * source) + source // 10  # the filter's tail
    at = 0  # samples given since `start`
    heard = failed = False  # any frame decoded; a packet damaged since the last one
    lost = 0.0  # length of the damaged packets since the last frame, seconds
    for piece in _pieces(path, info, report.stream, start, source, side):
        if isinstance(piece, float):
            failed, lost = True, lost + piece
            continue
        samples, position = piece
        drift = 0 if position is None else position - at
        if at == 0 or abs(drift) > _TOLERANCE * source:  # the first sample is placed exactly
            if drift > 0:
                if failed:
                    report.damaged += drift / source
                elif heard:
                    report.gaps += drift / source
                while drift > 0 and at < stop:
                    silence = np.zeros(min(drift, source), np.float32)
                    drift -= len(silence)
                    at += len(silence)
                    yield silence
            else:
                samples = samples[-drift:]
        heard, failed, lost = True, False, 0.0
        at += len(samples)
        yield samples
        if at >= stop:
            return
    if failed:
        report.damaged += lost
    if not heard and (failed or start == 0):
        raise MediaError(
            "damaged", f"{path}: no sound of stream {report.stream} can be decoded. Copy the file again."
        )
    if failed and lost:
        yield np.zeros(round(lost * source), np.float32)


def _pieces(
    path: Path, info: MediaInfo, stream: int, start: float, source: int, side: Side
) -> Iterator[tuple[NDArray[np.float32], int | None] | float]:
    """Each decoded frame as mono samples with its position after `start`; a damaged packet as its seconds."""
    import av

    for seek in (start > _PREROLL, False):
        with open_media(path) as container:
            track = container.streams[stream]
            base = float(track.time_base or 1)
            known = max(info.duration, (container.duration or 0) / 1e6) + _STRAY
            if seek:
                container.seek(round((info.start + start - _PREROLL) / base), stream=track)
            mix = _Mixer(source, side)
            first = True
            packets = container.demux(track)
            while True:
                try:
                    packet = next(packets, None)
                except av.FFmpegError as error:
                    logger.warning("%s: the file breaks off in its sound: %s", path, error.strerror)
                    packet = None
                try:
                    frames = track.codec_context.decode(packet)
                except av.EOFError:
                    return
                except av.FFmpegError:
                    frames = []
                    if packet is not None:
                        yield (packet.duration or 0) * base
                for frame in frames:
                    time = None if frame.pts is None else float(frame.pts * frame.time_base) - info.start
                    if time is not None and time > known:
                        time = None  # a broken time stamp: the sound goes on where it was
                    if first and seek and (time is None or time > start):
                        break  # the container seeks badly: read from the beginning
                    first = False
                    samples = mix(frame)
                    if len(samples):
                        yield samples, None if time is None else round((time - start) * source)
                else:
                    if packet is None or packet.size == 0:
                        return
                    continue
                break


class _Mixer:
    """Decoded frames of any layout, format and rate to float samples at `rate`, mono or a side of stereo."""

    def __init__(self, rate: int, side: Side) -> None:
        self.rate = rate
        self.layout = "stereo" if side else "mono"
        self.first, self.step = int(side == "right"), 2 if side else 1
        self.kind: tuple[str, str, int] | None = None
        self.resampler: Any = None

    def __call__(self, frame: Any) -> NDArray[np.float32]:
        import av

        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self.kind:  # a broadcast may change from stereo to 5.1 between two packets
            # Weights scaled to a sum of at most 1, so that no mix of full channels clips.
            options = {"rematrix_maxval": "1.0"}
            self.resampler = av.AudioResampler(
                format="flt", layout=self.layout, rate=self.rate, options=options
            )
            self.kind = kind
        frame.pts = None
        mixed = [
            part.to_ndarray().reshape(-1)[self.first :: self.step] for part in self.resampler.resample(frame)
        ]
        return np.concatenate(mixed) if mixed else np.zeros(0, np.float32)


def _chunked(pieces: Iterator[NDArray[np.float32]], size: int) -> Iterator[NDArray[np.float32]]:
    held: list[NDArray[np.float32]] = []
    have = 0
    for piece in pieces:
        held.append(piece)
        have += len(piece)
        if have >= size:
            yield np.concatenate(held)
            held, have = [], 0
    if have:
        yield np.concatenate(held)


def _resample(chunks: Iterator[NDArray[np.float32]], source: int, rate: int) -> Iterator[NDArray[np.float32]]:
    """Band-limited resampling (libswresample) of a mono stream; sample n stays at n / rate."""
    import av

    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    for chunk in chunks:
        frame = av.AudioFrame.from_ndarray(chunk[None], format="flt", layout="mono")
        frame.sample_rate = source
        for part in resampler.resample(frame):
            yield part.to_ndarray().reshape(-1)
    for part in resampler.resample(None) if source != rate else ():
        yield part.to_ndarray().reshape(-1)
