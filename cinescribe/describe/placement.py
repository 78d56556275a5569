"""Where generated descriptions are spoken: in the gaps of the dialogue, near what they describe.

The film is gone through in order. Each sentence takes the longest of its forms (`phrases.forms`) that can be
spoken within a gap near its interval, after the cue before; of several places the one nearest to the
interval's start. What finds no place is dropped, and the reason is told. Nothing is ever spoken over a line.

All is counted in whole milliseconds, which is what subtitle files hold, so the laws hold in them too.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from cinescribe.describe.phrases import forms
from cinescribe.errors import UsageError

Reason = Literal[
    "",  # placed
    "empty",  # there is nothing to say
    "repeated",  # the words of the cue before
    "no-gap",  # someone speaks all the time near the interval
    "too-long",  # no form of it can be spoken in a gap near the interval
    "taken",  # it would fit, but another cue is spoken then
    "removed",  # a person took it out
]
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A generated description of [start, end) seconds of the film; `score` is the model's, 0..1."""

    start: float
    end: float
    text: str
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Cue:
    """What is spoken, and when: seconds, whole milliseconds."""

    start: float
    end: float
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of a sentence: its cue, or the reason that there is none."""

    sentence: Sentence
    cue: Cue | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class PlacementSettings:
    """How sentences are placed. No guideline gives a rate; 160 is in the middle of conversation's 140 to 180.

    Attributes:
        words_per_minute: how fast they are spoken, where nobody measured it.
        shortest_gap: seconds of a pause in the dialogue that is used at all (WCAG's failure F113: under 2 s
            it may not be usable).
        apart: seconds between a cue and a line, and between two cues.
        early: seconds a cue may begin before its interval.
        late: seconds a cue may end after its interval.
    """

    words_per_minute: float = 160.0
    shortest_gap: float = 2.0
    apart: float = 0.2
    early: float = 2.0
    late: float = 4.0

    def __post_init__(self) -> None:
        if not self.words_per_minute > 0:
            raise UsageError(f"words per minute: {self.words_per_minute:g}; give a number above 0")
        for name in ("shortest_gap", "apart", "early", "late"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"{name.replace('_', ' ')}: {getattr(self, name)}; give seconds from 0 on")

    def seconds(self, text: str) -> float:
        """How long a text takes to speak."""
        return 60.0 * len(text.split()) / self.words_per_minute


def place(
    sentences: Iterable[Sentence],
    dialogue: Iterable[Span],
    duration: float,
    settings: PlacementSettings | None = None,
    seconds: Callable[[str], float] | None = None,
) -> list[Placed]:
    """Place the sentences of a film.

    Args:
        sentences: in any order.
        dialogue: (start, end) of all lines, seconds, in any order; they may overlap.
        duration: of the film, seconds.
        settings: the pace, and what is near.
        seconds: how long a text takes to speak; by default by its words.

    Returns:
        All sentences in the order of their intervals. Their cues are in order and `apart`, begin at most
        `early` before and end at most `late` after their interval, and lie in gaps of the dialogue.
    """
    settings = settings or PlacementSettings()
    seconds = seconds or settings.seconds
    places, apart = Places(dialogue, duration, settings), round(1000 * settings.apart)
    free = 0  # from here on no cue speaks
    said = ""
    placed: list[Placed] = []
    for sentence in sorted(sentences, key=lambda one: (one.start, one.end)):
        texts = forms(sentence.text)
        begin, near = math.ceil(1000 * sentence.start), places.near(sentence)
        if not texts:
            placed.append(Placed(sentence, None, "empty"))
        elif texts[0] == said:
            placed.append(Placed(sentence, None, "repeated"))
        elif not near:
            placed.append(Placed(sentence, None, "no-gap"))
        else:
            lengths = [(text, math.ceil(1000 * seconds(text) - 1e-6)) for text in texts]
            found = _nearest(lengths, [(max(first, free), last) for first, last in near], begin)
            if found is None:
                fits = _nearest(lengths, near, begin) is not None
                placed.append(Placed(sentence, None, "taken" if fits else "too-long"))
                continue
            start, stop, text = found
            cue = Cue(start / 1000, stop / 1000, text, sentence.score)
            placed.append(Placed(sentence, cue, ""))
            free, said = stop + apart, texts[0]
    return placed


class Places:
    """Where a text may be spoken among cues that stay where they are.

    Args:
        dialogue, duration, settings: as of `place`.
    """

    def __init__(self, dialogue: Iterable[Span], duration: float, settings: PlacementSettings) -> None:
        self._gaps = _gaps(dialogue, duration, settings)
        self._apart, self._early, self._late = (
            round(1000 * seconds) for seconds in (settings.apart, settings.early, settings.late)
        )

    def near(self, sentence: Sentence) -> list[tuple[int, int]]:
        """The gaps of the dialogue near the sentence's interval, milliseconds."""
        first, last = self._bounds(sentence)
        return [
            (max(start, first), min(end, last)) for start, end in self._gaps if start < last and end > first
        ]

    def free(self, sentence: Sentence, cues: Iterable[Cue]) -> list[tuple[int, int]]:
        """What other cues leave of these gaps, milliseconds."""
        first, last = self._bounds(sentence)
        left = self.near(sentence)
        for cue in cues:
            start, end = round(1000 * cue.start) - self._apart, round(1000 * cue.end) + self._apart
            if start < last and end > first:
                sides = [
                    side
                    for one in left
                    for side in ((one[0], min(one[1], start)), (max(one[0], end), one[1]))
                ]
                left = [side for side in sides if side[1] > side[0]]
        return left

    def put(self, sentence: Sentence, cues: Iterable[Cue], seconds: float) -> Placed:
        """The whole text as a cue as near to its interval's start as it can be, or the reason there is none.

        Args:
            sentence: with a text.
            cues: the others, in any order.
            seconds: that the text takes to speak.
        """
        lengths = [(sentence.text, math.ceil(1000 * seconds - 1e-6))]
        begin, near = math.ceil(1000 * sentence.start), self.near(sentence)
        if not near:
            return Placed(sentence, None, "no-gap")
        if (found := _nearest(lengths, self.free(sentence, cues), begin)) is None:
            return Placed(sentence, None, "taken" if _nearest(lengths, near, begin) else "too-long")
        start, end, text = found
        return Placed(sentence, Cue(start / 1000, end / 1000, text, sentence.score), "")

    def _bounds(self, sentence: Sentence) -> tuple[int, int]:
        first, last = math.ceil(1000 * sentence.start), math.floor(1000 * sentence.end)
        return first - self._early, last + self._late


def _gaps(dialogue: Iterable[Span], duration: float, settings: PlacementSettings) -> list[tuple[int, int]]:
    """Where a cue may be, milliseconds: pauses long enough, without the margin to the lines."""
    apart, shortest = math.ceil(1000 * settings.apart), math.ceil(1000 * settings.shortest_gap)
    found, at, margin = [], 0, 0
    lines = sorted((math.floor(1000 * start), math.ceil(1000 * end)) for start, end in dialogue)
    film = math.floor(1000 * duration)
    for start, end in [*lines, (film, film)]:
        start = min(start, film)
        if start - at >= shortest:
            last = start if end == start == film else start - apart
            if last > at + margin:
                found.append((at + margin, last))
        if end > at:
            at, margin = end, apart
    return found


def _nearest(
    lengths: Sequence[tuple[str, int]], gaps: Sequence[tuple[int, int]], begin: int
) -> tuple[int, int, str] | None:
    """Start, end and text of the first of the texts that fits a gap, as near to `begin` as it can."""
    for text, length in lengths:
        starts = [
            min(max(begin, first), last - length) for first, last in gaps if last - first >= max(length, 1)
        ]
        if starts:
            start = min(starts, key=lambda at: (abs(at - begin), at))
            return start, start + length, text
    return None
