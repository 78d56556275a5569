"""LSMDC's two tests, of a world, by rule and with truth: which description is the clip's, which word lacks.

Multiple choice: beside a clip's own sentence four of other clips of the split, of which none is true of
the clip: a sentence's deeds (verb and thing; the place, where it tells of no deed) are not among those done
in the clip. LSMDC's are drawn likewise, of sentences with other activity labels.

Fill in: a content word of the clip's sentence (not a function word, a name or a number) is left out, at most
three of a sentence, one a question.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

from cinescribe.annotations.cineworld import read_films, read_howtos
from cinescribe.annotations.types import BLANK, CaptionedClip, FillIn, MultipleChoice
from cinescribe.errors import UsageError
from cinescribe.models.concepts import FUNCTION_WORDS

Kind = Literal["films", "howtos"]
_WRONG, _BLANKS = 4, 3
_DRAWS = 20  # for each clip there is, before it is said that there are too few


@dataclass(frozen=True, slots=True)
class _Told:
    """A clip, what its sentences tell, and all that is true of it."""

    clip: CaptionedClip
    tells: frozenset[tuple[str, str]]
    true: frozenset[tuple[str, str]]
    names: frozenset[str]


def multiple_choice(folder: Path, kind: Kind, split: str, seed: int = 0) -> tuple[MultipleChoice, ...]:
    """A question for each clip, five candidates each; equal seeds give equal questions.

    Args:
        folder: that `cinescribe world` wrote.
        kind: of its videos.
        split: train, validation or test.
        seed: of the draw.

    Raises:
        UsageError: there is no such world or split, or a clip has fewer than four wrong candidates.
    """
    told = _read(folder, kind, split)
    questions = []
    for number, one in enumerate(told):
        random = Random(f"choice {seed} {split} {number}")
        right = random.choice(one.clip.captions)
        wrong: list[str] = []
        for other in (random.choice(told) for _ in range(_DRAWS * len(told))):
            text = random.choice(other.clip.captions)
            if not other.tells & one.true and text != right and text not in wrong:
                wrong.append(text)
            if len(wrong) == _WRONG:
                break
        if len(wrong) < _WRONG:
            raise UsageError(
                f"{folder}, {split}: {one.clip.video_id} at {one.clip.start:g} s has {len(wrong)} wrong "
                f"candidates, {_WRONG} are needed; make a larger world"
            )
        answer = random.randrange(_WRONG + 1)
        candidates = (*wrong[:answer], right, *wrong[answer:])
        clip = one.clip
        questions.append(MultipleChoice(clip.video_id, clip.start, clip.end, candidates, answer))
    return tuple(questions)


def fill_in(folder: Path, kind: Kind, split: str, seed: int = 0) -> tuple[FillIn, ...]:
    """Up to three blanks for each caption; arguments and errors as of `multiple_choice`."""
    questions = []
    for number, one in enumerate(_read(folder, kind, split)):
        for caption in one.clip.captions:
            random = Random(f"blank {seed} {split} {number} {caption}")
            places = _content(caption, one.names)
            for start, end in sorted(random.sample(places, min(_BLANKS, len(places)))):
                sentence = caption[:start] + BLANK + caption[end:]
                clip = one.clip
                questions.append(
                    FillIn(clip.video_id, clip.start, clip.end, sentence, caption[start:end].lower())
                )
    return tuple(questions)


def _content(caption: str, names: Iterable[str]) -> list[tuple[int, int]]:
    """Where the content words stand."""
    known = set(names)
    found = []
    for match in re.finditer(r"[\w']+", caption):
        word = match[0]
        if word.lower() not in FUNCTION_WORDS and word not in known and not word.isdigit():
            found.append(match.span())
    return found


def _read(folder: Path, kind: Kind, split: str) -> list[_Told]:
    annotations = read_films(folder) if kind == "films" else read_howtos(folder)
    by_film: dict[str, list[CaptionedClip]] = {}
    for clip in annotations.clips(split):
        by_film.setdefault(clip.video_id, []).append(clip)
    told = []
    for film, clips in by_film.items():
        truth = json.loads((folder / "truth" / f"{film}.json").read_text(encoding="utf-8"))
        told += _films(clips, truth) if kind == "films" else _howtos(clips, truth)
    return told


def _films(clips: list[CaptionedClip], truth: dict[str, Any]) -> list[_Told]:
    names = frozenset(person["name"] for person in truth["people"])
    found = []
    for clip, description in zip(clips, truth["descriptions"], strict=True):
        place = {("place", shot["place"]) for shot in truth["shots"] if _overlap(clip, shot)}
        done = {(a["verb"], a["object"]) for a in truth["actions"] if _overlap(clip, a)}
        chosen = [truth["actions"][number] for number in description["actions"]]
        tells = {(action["verb"], action["object"]) for action in chosen} or place
        found.append(_Told(clip, frozenset(tells), frozenset(done | place), names))
    return found


def _howtos(clips: list[CaptionedClip], truth: dict[str, Any]) -> list[_Told]:
    found = []
    for clip in clips:
        done = frozenset((step["deed"], step["thing"]) for step in truth["steps"] if _overlap(clip, step))
        found.append(_Told(clip, done, done, frozenset()))
    return found


def _overlap(clip: CaptionedClip, span: dict[str, Any]) -> bool:
    return bool(span["start"] < (clip.end or 0.0) and span["end"] > (clip.start or 0.0))
