"""What is true of a rendered film: the record written beside it as `<film>.truth.json`."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cinescribe.errors import UsageError
from cinescribe.utterance import Utterance, Word


@dataclass(frozen=True, slots=True)
class Person:
    """A character: the name people say, the look the narrator can describe, the voice heard."""

    name: str
    look: str
    voice: str


@dataclass(frozen=True, slots=True)
class Box:
    """Where a character is in the picture at `time` seconds: pixels from the top left, within the frame."""

    time: float
    who: str
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Shot:
    """One run of the camera, [start, end) seconds. The shots of a film tile it.

    Attributes:
        place: where it plays ("title" for the title card).
        framing: "title", "wide", "two" (a medium shot of the group) or "close".
        description: one sentence on what the shot shows.
        boxes: the visible characters, once a second.
    """

    start: float
    end: float
    place: str
    framing: str
    description: str
    boxes: tuple[Box, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Action:
    """Who does what with what, where and when: [start, end) seconds.

    `target` is the other person or "", `feeling` one of `drama_words.FEELINGS` or "".
    """

    start: float
    end: float
    who: str
    verb: str
    object: str
    target: str
    place: str
    feeling: str = ""


@dataclass(frozen=True, slots=True)
class Truth:
    """Everything known of one film. Times are seconds from its first frame, intervals half-open.

    Attributes:
        narrator_voice: name of the narrator's voice; no character has it. "" where nobody narrates.
        utterances: narrator and dialogue in order of time, none overlapping another; start and end
            are those of the audible speech.
        music: the intervals in which music plays.
    """

    seed: int
    title: str
    duration: float
    fps: int
    width: int
    height: int
    narrator_voice: str
    people: tuple[Person, ...]
    utterances: tuple[Utterance, ...]
    shots: tuple[Shot, ...]
    actions: tuple[Action, ...]
    music: tuple[tuple[float, float], ...]

    def to_json(self) -> str:
        """The record as indented JSON, equal for equal films."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Truth":
        """The record back from `to_json`'s text."""
        raw: dict[str, Any] = json.loads(text)
        return cls(
            **{
                **raw,
                "people": tuple(Person(**p) for p in raw["people"]),
                "utterances": tuple(_utterance(u) for u in raw["utterances"]),
                "shots": tuple(
                    Shot(**{**s, "boxes": tuple(Box(**b) for b in s["boxes"])}) for s in raw["shots"]
                ),
                "actions": tuple(Action(**a) for a in raw["actions"]),
                "music": tuple((a, b) for a, b in raw["music"]),
            }
        )


def _utterance(raw: Mapping[str, Any]) -> Utterance:
    return Utterance(**{**raw, "words": tuple(Word(**w) for w in raw["words"])})


def truth_path(film: Path) -> Path:
    """The truth file of a film: `a/b.mp4` has `a/b.truth.json`."""
    return film.with_suffix(".truth.json")


def read_truth(film: Path) -> Truth:
    """The truth of a rendered film.

    Raises:
        UsageError: there is none beside it.
    """
    path = truth_path(film)
    try:
        return Truth.from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"{path}: no such file; only films rendered by Cineworld have a truth file"
        ) from None
