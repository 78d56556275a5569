"""An audio-description track from elsewhere, put on the clock of the film's own sound.

Film and track share the film's sound: ducked under a narrator, through another codec, shifted, played at
another speed (PAL) or cut differently. Their log-energy envelopes are cross-correlated (Han, thesis section
8.4, last step: time stamps shifted by comparing audio; how is `cinescribe.speech.placement`'s own).
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe.errors import UsageError
from cinescribe.media.audio import stream_audio
from cinescribe.speech.envelopes import WINDOW, Floats, frame_rate, log_energy, modulations
from cinescribe.speech.placement import SPEEDS, place
from cinescribe.subtitles import read_subtitles, write_jsonl, write_srt, write_vtt
from cinescribe.utterance import Utterance

MIN_SECONDS = 10.0  # of track and of film; less sound says too little


@dataclass(frozen=True, slots=True)
class SyncPiece:
    """A stretch of the track that follows the film without a cut: film time = track time * speed + offset.

    Attributes:
        start, end: seconds on the track's clock, half-open.
        offset: film seconds at track time 0 (also of a piece that starts later).
        speed: film seconds per track second; 25/24 for a track of a PAL-speed film.
    """

    start: float
    end: float
    offset: float
    speed: float

    def film_time(self, track_time: float) -> float:
        """Seconds on the film's clock."""
        return track_time * self.speed + self.offset


@dataclass(frozen=True, slots=True)
class Sync:
    """Where a track lies in a film.

    Attributes:
        pieces: in the track's order, apart; what lies in none (adverts, an announcement) is not in the film.
        confidence: 0..1, one minus the ratio of the second best correlation, 2 s or more away, to the best.
    """

    pieces: tuple[SyncPiece, ...]
    confidence: float


def synchronize(film: NDArray[Any], track: NDArray[Any], rate: int = 16000) -> Sync:
    """Find where `track` lies in `film`.

    Args:
        film: the film's own sound, mono, int16 or float32 [N].
        track: the sound to place, likewise, at the same rate; it may hold more, less or other sound.
        rate: Hz, 8000 or more.

    Returns:
        The pieces, whose film times are right to 20 ms, and the confidence.

    Raises:
        UsageError: under `MIN_SECONDS` of sound, silence, or sounds that are not of the same film.
    """
    heard, placed = (log_energy(_minutes(sound, rate), rate) for sound in (film, track))
    return _synchronize(heard, placed, rate)


def sync_files(film: Path, track: Path, *, rate: int = 16000) -> Sync:
    """As `synchronize`, of the default sound of two files, in bounded memory: only envelopes are held.

    Raises:
        MediaError: a file can't be read or has no sound.
        UsageError: as `synchronize`, naming the files.
    """
    heard, placed = (log_energy(stream_audio(path, rate=rate), rate) for path in (film, track))
    try:
        return _synchronize(heard, placed, rate)
    except UsageError as error:
        raise UsageError(f"{track} on {film}: {error}") from error


def shift(utterances: Iterable[Utterance], sync: Sync) -> tuple[list[Utterance], list[Utterance]]:
    """Move utterances with their words from the track's clock to the film's.

    An utterance moves as a whole, with the piece that holds most of it; what would begin before the film's
    first frame is cut there.

    Returns:
        The moved ones, by film time, and those that lie in no piece or before the film, as they were.
    """
    moved, outside = [], []
    for utterance in utterances:
        piece = max(sync.pieces, key=lambda piece: _shared(utterance, piece), default=None)
        if piece is None or _shared(utterance, piece) < 0 or piece.film_time(utterance.end) <= 0:
            outside.append(utterance)
            continue
        words = tuple(
            replace(
                word, start=max(0.0, piece.film_time(word.start)), end=max(0.0, piece.film_time(word.end))
            )
            for word in utterance.words
        )
        start, end = max(0.0, piece.film_time(utterance.start)), piece.film_time(utterance.end)
        moved.append(replace(utterance, start=start, end=end, words=words))
    return sorted(moved, key=lambda utterance: (utterance.start, utterance.end)), outside


def _shared(utterance: Utterance, piece: SyncPiece) -> float:
    """Seconds of the utterance in the piece; negative: how far away it is."""
    return min(utterance.end, piece.end) - max(utterance.start, piece.start)


def _synchronize(film: Floats, track: Floats, rate: int) -> Sync:
    """`synchronize` of log energies."""
    per_second = frame_rate(rate)
    if min(len(film), len(track)) < MIN_SECONDS * per_second:
        raise UsageError(f"film and track need {MIN_SECONDS:.0f} s of sound each to be compared.")
    places, confidence = place(modulations(film, per_second), modulations(track, per_second))
    if not places:
        raise UsageError(
            f"these are not sounds of the same film, or too short to tell (confidence {confidence:.2f}). "
            "Give a longer track that has the film's own sound under the narrator."
        )
    pieces = []
    for found in places:
        speed = found.line.speed
        # A frame's time is the middle of its window; a speed other than 1 scales that half window too.
        offset = found.line.offset / per_second + (1 - speed) * WINDOW / 2
        pieces.append(SyncPiece(found.start / per_second, found.end / per_second, offset, speed))
    return Sync(tuple(pieces), confidence)


def _minutes(sound: NDArray[Any], rate: int) -> Iterator[Floats]:
    """A minute at a time; the level does not matter."""
    if sound.ndim != 1:
        raise UsageError(f"sound must be mono, [N]; it is {list(sound.shape)}.")
    for at in range(0, len(sound), 60 * rate):
        yield sound[at : at + 60 * rate].astype(np.float32)


def main(argv: Sequence[str] | None = None) -> int:
    """The command `cinescribe sync`: where the track lies in the film, and subtitles moved to its clock."""
    parser = argparse.ArgumentParser(
        prog="cinescribe sync", description="Put an audio-description track on a film's clock."
    )
    parser.add_argument("film", type=Path, metavar="FILM", help="the film, with its own sound")
    parser.add_argument(
        "track", type=Path, metavar="TRACK", help="film sound with a narrator, any media file"
    )
    parser.add_argument(
        "--subtitles", type=Path, metavar="FILE", help="timed on the track: .vtt, .srt or .jsonl"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="where to write them on the film's clock: .vtt, .srt or .jsonl",
    )
    arguments = parser.parse_args(argv)
    utterances: list[Utterance] = []
    if (arguments.subtitles is None) != (arguments.out is None):
        raise UsageError("give --subtitles and --out together, or neither.")
    if arguments.out is not None:
        if arguments.out.suffix.lower() not in (".vtt", ".srt", ".jsonl"):
            raise UsageError(f"{arguments.out}: the name must end in .vtt, .srt or .jsonl.")
        utterances = read_subtitles(arguments.subtitles)

    sync = sync_files(arguments.film, arguments.track)
    print("track start\ttrack end\toffset s\tspeed\tdrift ppm")
    for piece in sync.pieces:
        standard = min(SPEEDS, key=lambda speed: abs(piece.speed / speed - 1))
        drift = (piece.speed / standard - 1) * 1e6
        times = f"{_clock(piece.start)}\t{_clock(piece.end)}\t{round(piece.offset, 3) + 0.0:+.3f}"
        print(f"{times}\t{standard:.6f}\t{drift:+.0f}")
    print(f"confidence {sync.confidence:.2f}")

    if arguments.out is not None:
        moved, outside = shift(utterances, sync)
        _write(moved, arguments.out)
        print(f"{len(moved)} of {len(utterances)} cues written to {arguments.out}")
        for utterance in outside:
            where = f"{_clock(utterance.start)} in the track"
            print(f"left out, not in the film: {where}: {utterance.text}", file=sys.stderr)
    return 0


def _write(utterances: Sequence[Utterance], out: Path) -> None:
    if out.suffix.lower() == ".vtt":
        described = all(utterance.role == "narrator" for utterance in utterances)
        write_vtt(utterances, out, "descriptions" if described else "captions")
    elif out.suffix.lower() == ".srt":
        write_srt(utterances, out)
    else:
        write_jsonl(utterances, out)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 100), 6000)
    return f"{minutes // 60}:{minutes % 60:02}:{rest / 100:05.2f}"
