"""Many short films and very long ones for little: rendered films, cut into pieces or joined."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream


def render(folder: Path, seeds: Sequence[int], scenes: int = 3) -> list[Path]:
    """Films (`cinescribe film`) of half a minute a scene in `folder`; those that are there are kept."""
    from cinescribe.cineworld.film import render_film

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{seed}.mp4" for seed in seeds]
    for seed, path in zip(seeds, paths, strict=True):
        if not path.exists():
            render_film(seed, path, scenes=scenes)
    return paths


def cut(films: Sequence[Path], count: int, seconds: float, folder: Path) -> None:
    """`count` different pieces into `folder`, each of two thirds of `seconds` to `seconds`.

    Nothing is encoded anew: a piece begins at a picture that stands by itself, and where those run out,
    others that begin there have another length. Those that are there are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    starts = [(film, start) for film in films for start in _whole_pictures(film, seconds)]
    lengths = math.ceil(count / len(starts))
    for number in range(count):
        path = folder / f"piece-{number:04}.mp4"
        film, start = starts[number % len(starts)]
        longer = (number // len(starts) + 1) / lengths
        if not path.exists():
            with _new(path, film) as (made, video, audio):
                _append(
                    film,
                    -start,
                    made,
                    video,
                    audio,
                    {},
                    (start, start + Fraction(seconds * (2 + longer) / 3)),
                )


def _whole_pictures(film: Path, before: float) -> list[Fraction]:
    """When pictures come that can be shown without those before, up to `before` the end; exact seconds."""
    with av.open(str(film)) as source:
        stream = source.streams.video[0]
        times = [
            packet.pts * packet.time_base
            for packet in source.demux(stream)
            if packet.is_keyframe and packet.pts is not None
        ]
    return [time for time in times if time < _seconds(film) - before]


def join(films: Sequence[Path], seconds: float, path: Path) -> None:
    """The films one after the other, again and again, until `seconds` are full; nothing is encoded anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _new(path, films[0]) as (made, video, audio):
        offset, number, written = Fraction(0), 0, dict[int, int]()
        while offset < seconds:
            film = films[number % len(films)]
            end = min(_seconds(film), Fraction(seconds) - offset)
            _append(film, offset, made, video, audio, written, (Fraction(0), end))
            offset, number = offset + _seconds(film), number + 1


@contextmanager
def _new(path: Path, like: Path) -> Iterator[tuple[OutputContainer, VideoStream, AudioStream]]:
    """A film to be, with the streams of another; it is at `path` when it is whole."""
    unfinished = path.with_name(f".{path.name}")
    with av.open(str(like)) as first, av.open(str(unfinished), "w", format="mp4") as made:
        yield (
            made,
            made.add_stream_from_template(first.streams.video[0]),
            made.add_stream_from_template(first.streams.audio[0]),
        )
    unfinished.replace(path)


def _append(
    film: Path,
    offset: Fraction,
    made: OutputContainer,
    video: VideoStream,
    audio: AudioStream,
    written: dict[int, int],
    span: tuple[Fraction, Fraction],
) -> None:
    """Put packets of a span of seconds behind the others; `written`: each stream's last time stamp."""
    with av.open(str(film)) as source:
        shown, heard = source.streams.video[0], source.streams.audio[0]
        source.seek(int(span[0] * 1_000_000))  # to the picture there, or the one before it
        for packet in source.demux(shown, heard):
            if packet.dts is None or packet.pts is None:
                continue
            if not span[0] <= packet.pts * packet.time_base < span[1]:
                continue
            shift = round(offset / packet.time_base)
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            packet.stream = video if packet.stream.type == "video" else audio
            # Sound comes in blocks: the last one of a film may reach into the next.
            if packet.dts > written.get(packet.stream.index, packet.dts - 1):
                written[packet.stream.index] = packet.dts
                made.mux(packet)


def _seconds(film: Path) -> Fraction:
    """Length of the picture."""
    with av.open(str(film)) as source:
        stream = source.streams.video[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        return stream.duration * stream.time_base
