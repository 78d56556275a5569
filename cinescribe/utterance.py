"""Who speaks, what, when: the record that speech, subtitles and the tables share."""

from dataclasses import dataclass, field
from typing import Literal

Role = Literal["narrator", "dialogue", "unknown"]


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word.

    Attributes:
        start, end: seconds from the film's first video frame, start <= end.
        text: the word as written, with its punctuation, without surrounding space.
        probability: of the recogniser, 0..1.
    """

    start: float
    end: float
    text: str
    probability: float = 1.0


@dataclass(frozen=True, slots=True)
class Utterance:
    """One stretch of speech by one voice.

    Attributes:
        start, end: seconds from the film's first video frame.
        text: what is said.
        speaker: label within the film ("SPEAKER_00" or a given name); "" when not known.
        role: narrator (audio description), dialogue or unknown.
        words: the timed words, empty when only the text is known.
        confidence: 0..1, mean word probability of the recogniser.
    """

    start: float
    end: float
    text: str
    speaker: str = ""
    role: Role = "unknown"
    words: tuple[Word, ...] = field(default=())
    confidence: float = 1.0
