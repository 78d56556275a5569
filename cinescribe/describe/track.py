"""Placed cues as people get them: WebVTT, a described sound track, and the film with both.

The film's sound is lowered under each cue and a synthetic voice speaks there. The sound is read and written
in blocks, and the film's own streams are copied packet by packet, so a long film takes no more memory than a
short one.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cinescribe import zoo
from cinescribe.cineworld import voices
from cinescribe.cineworld.voices import Samples, Voice
from cinescribe.describe.placement import Cue
from cinescribe.errors import MediaError, UsageError
from cinescribe.media.audio import Side, stream_audio
from cinescribe.media.probe import MediaInfo, open_media
from cinescribe.subtitles import to_vtt
from cinescribe.utterance import Utterance

Item = TypeVar("Item")

RATE = 48000  # Hz of the track
LANGUAGE = "eng"  # of all voices, ISO 639-2
TITLE = "Audio description (machine-made)"

_BLOCK = 10.0  # seconds of sound at once
_TOGETHER = 32  # lines of one run of the voice
_ROUNDING = 0.02  # seconds that a line may be longer the next time it is spoken
_MP4 = {  # what an mp4 may hold that players know; other films become Matroska
    "h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "aac", "mp3", "ac3", "eac3", "opus", "flac", "alac",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mix:
    """How voice and film are mixed.

    Attributes:
        duck: dB by which the film's sound is lowered under a cue.
        ramp: seconds in which it goes down before a cue and comes up after it.
        above: dB by which the voice lies above the lowered sound, at least.
    """

    duck: float = 12.0
    ramp: float = 0.2
    above: float = 8.0

    def __post_init__(self) -> None:
        if not (0 <= self.duck <= 60 and 0 <= self.ramp <= 5):
            raise UsageError(f"duck {self.duck:g} dB in {self.ramp:g} s: give 0 to 60 dB and 0 to 5 s")


def vtt(cues: Iterable[Cue], language: str = "en") -> str:
    """WebVTT of kind descriptions."""
    lines = [Utterance(cue.start, cue.end, cue.text, role="narrator") for cue in cues]
    return to_vtt(lines, "descriptions", language)


def voice_named(name: str) -> Voice:
    """One of the voices, which can speak.

    Raises:
        UsageError: there is none of that name, or Piper is not installed.
        WeightsError: it can't be had.
    """
    found = {voice.name: voice for voice in voices.VOICES}
    if name not in found:
        raise UsageError(f"no voice {name!r}; there are: {', '.join(found)}")
    voices.speak([])
    zoo.path(found[name].base)
    return found[name]


def measure(texts: Iterable[str], voice: Voice) -> dict[str, float]:
    """How long the voice takes to speak each text, seconds."""
    lengths: dict[str, float] = {}
    for lines in _some(dict.fromkeys(texts)):
        for line, samples in zip(lines, voices.speak([(voice, line) for line in lines]), strict=True):
            lengths[line] = len(samples) / voices.RATE + _ROUNDING
    return lengths


def _some(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while some := list(islice(rest, _TOGETHER)):
        yield some


def spoken(cues: Iterable[Cue], voice: Voice) -> Iterator[tuple[Cue, Samples]]:
    """Each cue with its speech, float32 at `RATE`.

    Raises:
        UsageError: the voice takes longer than the cue lasts; place cues by `measure`.
    """
    for some in _some(cues):
        for cue, line in zip(some, voices.speak([(voice, cue.text) for cue in some]), strict=True):
            if len(line) / voices.RATE > cue.end - cue.start + _ROUNDING:
                raise UsageError(
                    f"{voice.name} takes {len(line) / voices.RATE:.2f} s for {cue.text!r}, which has "
                    f"{cue.end - cue.start:.2f} s; place the cues by what the voice takes"
                )
            yield cue, voices.resample(line, round(len(line) * RATE / voices.RATE))


def ducking(cues: Sequence[Cue], first: int, count: int, mix: Mix) -> NDArray[np.float32]:
    """Factors on the film's sound, [count] from sample `first` on: straight ramps in dB around each cue."""
    seconds = (first + np.arange(count)) / RATE
    down = np.zeros(count)  # 0 untouched, 1 lowered
    for cue in cues:
        if cue.start - mix.ramp < seconds[-1] and cue.end + mix.ramp > seconds[0]:
            away = np.maximum(np.maximum(cue.start - seconds, seconds - cue.end), 0.0)
            down = np.maximum(down, np.clip(1 - away / max(mix.ramp, 1e-9), 0, 1))
    return (10 ** (-mix.duck * down / 20)).astype(np.float32)


def described_sound(
    path: Path, info: MediaInfo, cues: Sequence[Cue], speech: Iterable[tuple[Cue, Samples]], mix: Mix
) -> Iterator[NDArray[np.float32]]:
    """The film's sound with the voice over it, from its first to its last frame, in blocks [channels, n].

    The sound is read twice, for the voice's level goes by the sound it is heard over.

    Args:
        path, info: of the film; without sound of its own, only the voice is heard.
        cues: in order.
        speech: each cue with its samples at `RATE`, as `spoken` gives.
        mix: how.

    Raises:
        MediaError: the film's sound can't be read.
    """
    levels = iter(_levels(path, info, cues, mix))
    lines = (
        (round(cue.start * RATE), line, level) for (cue, line), level in zip(speech, levels, strict=True)
    )
    coming = next(lines, None)
    sounding: list[tuple[int, Samples]] = []
    for first, block in _film_sound(path, info):
        count = block.shape[1]
        block = block * ducking(cues, first, count, mix)
        while coming is not None and coming[0] < first + count:
            start, line, (loudness, peak) = coming
            wanted = loudness * 10 ** (mix.above / 20) / max(float(np.sqrt(np.mean(line**2))), 1e-6)
            most = (0.98 - min(peak, 0.5)) / max(float(np.abs(line).max()), 1e-6)  # so that nothing clips
            sounding.append((start, line * np.float32(min(max(wanted, 1.0), most))))
            coming = next(lines, None)
        for start, line in sounding:
            begin, end = max(start, first), min(start + len(line), first + count)
            if begin < end:
                block[:, begin - first : end - first] += line[begin - start : end - start]
        sounding = [(start, line) for start, line in sounding if start + len(line) > first + count]
        yield np.clip(block, -1.0, 1.0)


def _levels(path: Path, info: MediaInfo, cues: Sequence[Cue], mix: Mix) -> list[tuple[float, float]]:
    """Of each cue the root mean square and the peak of the lowered sound under it."""
    energy, peak = np.zeros(len(cues)), np.zeros(len(cues))
    quiet = 10 ** (-mix.duck / 20)
    for first, block in _film_sound(path, info):
        for number, cue in enumerate(cues):
            begin = max(round(cue.start * RATE) - first, 0)
            end = min(round(cue.end * RATE) - first, block.shape[1])
            if begin < end:
                part = block[:, begin:end] * quiet
                energy[number] += float(np.sum(part**2)) / len(block)
                peak[number] = max(peak[number], float(np.abs(part).max()))
    lengths = np.array([max(1.0, (cue.end - cue.start) * RATE) for cue in cues])
    return list(zip(np.sqrt(energy / lengths).tolist(), peak.tolist(), strict=True)) if len(cues) else []


def _film_sound(path: Path, info: MediaInfo) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The number of its first sample and the samples [channels, n] of each block; as long as the film."""
    total, at = round(info.duration * RATE), 0
    track = next((track for track in info.audio if track.default), next(iter(info.audio), None))
    sides: tuple[Side, ...] = ("left", "right") if track and track.channels > 1 else ("",)
    silence = (np.zeros(round(_BLOCK * RATE), np.float32) for _ in iter(int, 1))
    heard = [
        chain(stream_audio(path, rate=RATE, block=_BLOCK, side=side), silence) if track else silence
        for side in sides
    ]
    while at < total:
        parts = [next(stream)[: total - at] for stream in heard]
        yield at, np.stack(parts)
        at += len(parts[0])


def write_track(blocks: Iterable[NDArray[np.float32]], path: Path) -> None:
    """Write sound [channels, n] at `RATE` as AAC into an m4a file, marked as audio description."""
    import av

    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream: Any = None
        at = 0
        for block in blocks:
            layout = "stereo" if len(block) == 2 else "mono"
            if stream is None:
                stream = container.add_stream("aac", rate=RATE, layout=layout, bit_rate=96_000 * len(block))
                _mark(stream)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=layout)
            frame.sample_rate, frame.pts = RATE, at
            at += block.shape[1]
            container.mux(stream.encode(frame))
        if stream is None:
            raise MediaError(
                "too-short", f"{path.name}: the film has no length, so there is no track to write"
            )
        container.mux(stream.encode(None))


def film_ending(info: MediaInfo) -> str:
    """ ".mp4", or ".mkv" where the film holds a codec that mp4 doesn't take."""
    return ".mp4" if {info.video_codec, *(track.codec for track in info.audio)} <= _MP4 else ".mkv"


def write_film(path: Path, info: MediaInfo, track: Path, out: Path) -> None:
    """Write picture and sound of a film, copied, and a described track beside them.

    Args:
        path, info: of the film.
        track: as `write_track` wrote it.
        out: to write, with the ending that `film_ending` tells.

    Raises:
        MediaError: the film holds no picture, or what it holds can't be put into the new file.
    """
    import av

    if not info.width:
        raise MediaError("no-video", f"{path}: has no picture; give a film")
    options = {"movflags": "+faststart"} if out.suffix == ".mp4" else {}
    with (
        open_media(path) as film,
        open_media(track) as described,
        av.open(str(out), "w", options=options) as container,
    ):
        chosen = [info.video_stream, *(track.index for track in info.audio)]
        try:
            streams = {index: _copy_of(film.streams[index], container) for index in chosen}
            voice = _copy_of(described.streams.audio[0], container)
            _mark(voice)
            packets = _packets(film, streams, 0.0), _packets(described, {0: voice}, info.start)
            for _, packet in heapq.merge(*packets, key=lambda timed: timed[0]):
                container.mux(packet)
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(
                "damaged",
                f"{path}: can't be copied into {out.suffix} ({error}). Convert it to H.264 and AAC.",
            ) from error


def _copy_of(stream: Any, container: Any) -> Any:
    copy = container.add_stream_from_template(stream)
    copy.time_base = stream.time_base
    copy.disposition = stream.disposition
    kept: Mapping[str, str] = {
        name: value
        for name, value in stream.metadata.items()
        if name in ("language", "title", "handler_name")
    }
    copy.metadata.update(kept)
    return copy


def _mark(stream: Any) -> None:
    from av.stream import Disposition

    stream.disposition = Disposition.visual_impaired | Disposition.descriptions
    stream.metadata.update({"language": LANGUAGE, "title": TITLE, "handler_name": TITLE})


def _packets(container: Any, streams: Mapping[int, Any], later: float) -> Iterator[tuple[float, Any]]:
    """Packets of the streams with their times, for the streams that copy them, `later` by some seconds."""
    for packet in _dated(container.demux([container.streams[index] for index in streams])):
        shift = round(later / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts + shift
        packet.dts += shift
        time = float(packet.dts * packet.time_base)
        packet.stream = streams[packet.stream.index]
        yield time, packet


def _dated(packets: Iterable[Any]) -> Iterator[Any]:
    """Packets that all have a decoding time; Matroska and others have none for the first before B-frames."""
    waiting: dict[int, list[Any]] = {}
    last: dict[int, int] = {}
    for packet in packets:
        if not packet.size:
            continue
        index, step = packet.stream.index, packet.duration or 1
        if packet.dts is None and index not in last:
            waiting.setdefault(index, []).append(packet)
            continue
        if packet.dts is None:
            packet.dts = last[index] + step
        early = waiting.pop(index, [])
        for back, earlier in enumerate(early):
            earlier.dts = packet.dts - step * (len(early) - back)
            yield earlier
        last[index] = packet.dts
        yield packet
    for early in waiting.values():  # none of the stream's has one: they are in the order of their showing
        for number, earlier in enumerate(early):
            earlier.dts = earlier.pts if earlier.pts is not None else number
            yield earlier
