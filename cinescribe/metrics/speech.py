"""How well speech was cleaned: word error rate, diarization error rate, and shares of time.

The counting is done by kept libraries: jiwer aligns words, pyannote.metrics maps speakers. All results can
be added, so that rates over several films are pooled and not averaged.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf, nan
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pyannote.core import Annotation

Span = tuple[float, float]  # start, end in seconds


class SpeakerTurn(Protocol):
    """What a diarizer's turns and utterances (`cinescribe.subtitles.read_rttm`) have in common."""

    @property
    def start(self) -> float:
        """Seconds."""
        ...

    @property
    def end(self) -> float:
        """Seconds."""
        ...

    @property
    def speaker(self) -> str:
        """Label within the film."""
        ...


@dataclass(frozen=True, slots=True)
class WordErrors:
    """Word errors of the best alignment; `words` are those of the reference."""

    substitutions: int
    deletions: int
    insertions: int
    words: int

    @property
    def rate(self) -> float:
        """Word error rate, 1 = as many errors as words; without words 0 or, with insertions, infinite."""
        return _rate(self.substitutions + self.deletions + self.insertions, self.words)

    @property
    def hits(self) -> int:
        """Words of the reference that the hypothesis has in their place."""
        return self.words - self.substitutions - self.deletions

    def __add__(self, other: "WordErrors") -> "WordErrors":
        return WordErrors(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.words + other.words,
        )


@dataclass(frozen=True, slots=True)
class DiarizationErrors:
    """Seconds of speaker time missed, falsely alarmed, given to the wrong speaker, and in the reference."""

    missed: float
    false_alarm: float
    confusion: float
    total: float

    @property
    def rate(self) -> float:
        """Diarization error rate (DER); without reference speech 0 or, with false alarms, infinite."""
        return _rate(self.missed + self.false_alarm + self.confusion, self.total)

    def __add__(self, other: "DiarizationErrors") -> "DiarizationErrors":
        return DiarizationErrors(
            self.missed + other.missed,
            self.false_alarm + other.false_alarm,
            self.confusion + other.confusion,
            self.total + other.total,
        )


@dataclass(frozen=True, slots=True)
class TimeShares:
    """Seconds in both, in the reference and claimed: recall and precision of time."""

    both: float
    reference: float
    claimed: float

    @property
    def found(self) -> float:
        """Share of the reference's time that was claimed; NaN without any."""
        return self.both / self.reference if self.reference else nan

    @property
    def right(self) -> float:
        """Share of the claimed time that is in the reference; NaN without any."""
        return self.both / self.claimed if self.claimed else nan

    def __add__(self, other: "TimeShares") -> "TimeShares":
        return TimeShares(
            self.both + other.both, self.reference + other.reference, self.claimed + other.claimed
        )


def word_errors(reference: str, hypothesis: str, language: str = "en") -> WordErrors:
    """Count word errors after Whisper's text normalisation (Radford et al. 2022, appendix C).

    English is brought to one spelling, numbers to digits, contractions to full words, and "hmm" and text in
    brackets are dropped. Other languages only lose case, punctuation and symbols.

    Args:
        reference: what was said.
        hypothesis: what was recognised.
        language: of both, ISO 639-1.
    """
    import jiwer

    normalise = _normaliser(language)
    counts = jiwer.process_words(normalise(reference).strip(), normalise(hypothesis).strip())
    words = counts.hits + counts.substitutions + counts.deletions
    return WordErrors(counts.substitutions, counts.deletions, counts.insertions, words)


def diarization_error(
    reference: Iterable[SpeakerTurn], hypothesis: Iterable[SpeakerTurn], scored: Sequence[Span]
) -> DiarizationErrors:
    """Diarization errors as NIST's md-eval and pyannote.metrics count them.

    No collar is left out around turns, and overlapped speech is scored. Speakers are mapped one to one so
    that the confusion is least. Overlapping turns of one speaker are one turn.

    Args:
        reference: true turns.
        hypothesis: turns to be judged.
        scored: spans (seconds) outside of which nothing counts, as in a UEM file.
    """
    from pyannote.core import Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    uem = Timeline([Segment(start, end) for start, end in scored])
    counts = DiarizationErrorRate().compute_components(
        _annotation(reference), _annotation(hypothesis), uem=uem
    )
    return DiarizationErrors(
        float(counts["missed detection"]),
        float(counts["false alarm"]),
        float(counts["confusion"]),
        float(counts["total"]),
    )


def time_overlap(reference: Iterable[Span], claimed: Iterable[Span]) -> TimeShares:
    """How much of the reference's time was claimed and how much of the claimed is right.

    Spans are half-open, in seconds; those of one side may overlap each other and count once.
    """
    true, said = unite(reference), unite(claimed)
    both = sum(
        max(0.0, min(a_end, b_end) - max(a_start, b_start))
        for a_start, a_end in true
        for b_start, b_end in said
    )
    return TimeShares(both, _length(true), _length(said))


def unite(spans: Iterable[Span], gap: float = 0.0) -> list[Span]:
    """Spans ascending and apart: those that overlap, touch, or are less than `gap` seconds apart are one."""
    united: list[Span] = []
    for start, end in sorted(spans):
        if united and (start <= united[-1][1] or start - united[-1][1] < gap):
            united[-1] = (united[-1][0], max(united[-1][1], end))
        elif end > start:
            united.append((start, end))
    return united


@cache
def _normaliser(language: str) -> Callable[[str], str]:
    from whisper_normalizer.basic import BasicTextNormalizer
    from whisper_normalizer.english import EnglishTextNormalizer

    normaliser: Callable[[str], str]
    normaliser = EnglishTextNormalizer() if language == "en" else BasicTextNormalizer()
    return normaliser


def _annotation(turns: Iterable[SpeakerTurn]) -> "Annotation":
    from pyannote.core import Annotation, Segment

    spans: dict[str, list[Span]] = {}
    for turn in turns:
        spans.setdefault(turn.speaker, []).append((turn.start, turn.end))
    annotation = Annotation()
    for speaker, of_speaker in spans.items():
        for start, end in unite(of_speaker):
            annotation[Segment(start, end), speaker] = speaker
    return annotation


def _length(spans: Iterable[Span]) -> float:
    return sum(end - start for start, end in spans)


def _rate(errors: float, total: float) -> float:
    return errors / total if total else (inf if errors else 0.0)
