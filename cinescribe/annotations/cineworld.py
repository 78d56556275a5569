"""Cineworld as a captioned data set: what the describer says of films, and the steps of how-to videos.

A described film's clip is what its sentence tells: the actions, when they are done; where it tells of the
place, the time it is spoken in. A how-to's clip is a step; its captions are the sentences that speak of it.
The films' actions are also there as classes, each named by its verb and its thing.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cinescribe.annotations.types import Annotations, CaptionedClip
from cinescribe.errors import UsageError

_SPLITS = {"train": "train", "val": "validation", "test": "test"}


def read_films(folder: Path) -> Annotations:
    """The films' described clips; the splits are of whole films.

    Args:
        folder: that `cinescribe world` wrote.

    Raises:
        UsageError: it is not one; names the file.
    """
    return Annotations("cineworld-films", _read(folder, "films", _film))


def read_howtos(folder: Path) -> Annotations:
    """The how-to videos' steps that a sentence speaks of; the splits are of whole videos.

    Raises:
        UsageError: as `read_films`.
    """
    return Annotations("cineworld-howtos", _read(folder, "howtos", _howto))


def read_actions(folder: Path) -> Annotations:
    """The films' actions; the one caption of each is its class, such as "pick up letter".

    Raises:
        UsageError: as `read_films`.
    """
    return Annotations("cineworld-actions", _read(folder, "films", _actions))


def _read(
    folder: Path, kind: str, clips_of: Callable[[Path, str], list[CaptionedClip]]
) -> dict[str, tuple[CaptionedClip, ...]]:
    listed = _json(folder / "splits.json")
    try:
        return {
            name: tuple(clip for film in listed[kind][split] for clip in clips_of(folder, film))
            for split, name in _SPLITS.items()
        }
    except (KeyError, TypeError, IndexError, ValueError, OverflowError) as error:
        raise UsageError(f"{folder}: not a world of `cinescribe world` ({error}); make it anew") from error


def _film(folder: Path, film: str) -> list[CaptionedClip]:
    from cinescribe import tables

    truth = _json(folder / "truth" / f"{film}.json")
    row = tables.read_row(str(folder), "speech", film)
    if row is None:
        raise UsageError(f"{folder}: {film} has no row in the table speech; make the world anew")
    said = tables.utterances_of(row)
    clips = []
    for description in truth["descriptions"]:
        sentence = said[description["utterance"]]
        told = [truth["actions"][number] for number in description["actions"]]
        start = min((action["start"] for action in told), default=sentence.start)
        end = max((action["end"] for action in told), default=sentence.end)
        clips.append(CaptionedClip(film, float(start), float(end), (sentence.text,)))
    return clips


def _howto(folder: Path, film: str) -> list[CaptionedClip]:
    truth: Mapping[str, Any] = _json(folder / "truth" / f"{film}.json")
    clips = []
    for number, step in enumerate(truth["steps"]):
        said = tuple(s["text"] for s in truth["sentences"] if s["step"] == number)
        if said:
            clips.append(CaptionedClip(film, float(step["start"]), float(step["end"]), said))
    return clips


def _actions(folder: Path, film: str) -> list[CaptionedClip]:
    truth: Mapping[str, Any] = _json(folder / "truth" / f"{film}.json")
    return [
        CaptionedClip(
            film,
            float(action["start"]),
            float(action["end"]),
            (f"{action['verb']} {action['object']}".replace("_", " ").strip(),),
        )
        for action in truth["actions"]
    ]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file; make a world with `cinescribe world --out DIR`") from error
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); make the world anew") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}, line {getattr(error, 'lineno', 1)}: not JSON ({error})") from error
