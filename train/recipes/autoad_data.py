"""What AutoAD learns from: films as clips in order, each with its description; or descriptions alone.

A film's clips stay in order and its contexts come from its own past: an example is a run of consecutive
clips, and the descriptions before the run belong to it as well.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from cinescribe import storage, tables
from cinescribe.errors import UsageError
from cinescribe.feature_store import FeatureStore
from cinescribe.models.autoad import Example
from cinescribe.models.autoad_film import Clip, frames_between, names_alone, recent_lines
from train.recipe import Pick, Split
from train.splits import divide, read_json, told

Subtitles = Literal["lines", "names"]
_TEXT_COLUMNS, _FILM_COLUMNS = ("sentence", "text", "ad", "caption"), ("movie", "film", "film_id", "imdb")


@dataclass(frozen=True, slots=True)
class Description:
    """A description and when it is spoken, seconds; and the dialogue before it."""

    start: float
    end: float
    text: str
    subtitles: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """How clips are read.

    Attributes:
        features: of the frames, or None without pictures.
        frames: of a clip.
        sentences: descriptions before a clip that it may know.
        consecutive: clips of an example.
    """

    features: FeatureStore | None
    frames: int
    sentences: int
    consecutive: int


class Films:
    """Films of a split, as runs of consecutive clips in training, whole in evaluation.

    Args:
        films: descriptions by film, in order.
        reading: how their clips are read.
        whole: an example is a film, else a run of it.
    """

    def __init__(
        self, films: Mapping[str, Sequence[Description]], reading: Reading, whole: bool = False
    ) -> None:
        self.films, self.reading = films, reading
        self.runs = [
            (film, first, len(films[film]) if whole else first + reading.consecutive)
            for film in sorted(films)
            for first in range(0, len(films[film]), len(films[film]) if whole else reading.consecutive)
        ]

    def __len__(self) -> int:
        return len(self.runs)

    def texts(self) -> list[str]:
        """All descriptions."""
        return [cue.text for film in sorted(self.films) for cue in self.films[film]]

    def batch(self, picks: Sequence[Pick]) -> list[Example]:
        """The clips of the runs picked, one run after the other, each with its own film's past."""
        examples = []
        for pick in picks:
            film, first, last = self.runs[pick.index]
            cues = self.films[film]
            for number, clip in enumerate(self.clips(film, first, last), first):
                past = [cue.text for cue in cues[max(0, number - self.reading.sentences) : number]]
                examples.append(Example(clip.frames, past, clip.subtitles, clip.text))
        return examples

    def clips(self, film: str, first: int = 0, last: int | None = None) -> list[Clip]:
        """Some of a film's clips, in order."""
        return [
            Clip(self._frames(film, cue), cue.subtitles, cue.text) for cue in self.films[film][first:last]
        ]

    def _frames(self, film: str, cue: Description) -> torch.Tensor | None:
        """[frames, width] float32, evenly from the seconds of the cue; the nearest one if it holds none."""
        store = self.reading.features
        if store is None:
            return None
        found = store.read(film)
        return frames_between(found.array, found.hz, cue.start, cue.end, self.reading.frames)


def read_films(
    root: str,
    split: Split,
    reading: Reading,
    *,
    subtitles: Subtitles,
    lines: int,
    seconds: float,
    share: float,
    most: int = 0,
) -> Films:
    """Films of the tables `speech` and `features/<encoder>`: what a narrator says, of films that have both.

    Args:
        root: folder or `s3://` prefix of the tables.
        split: whole films; after `splits.json`, else the first `share` of the sorted films is held out.
        reading: how their clips are read.
        subtitles: the lines of dialogue, or only the names in them that `cast.json` ({film: [names]}) lists.
        lines, seconds: of dialogue that a clip knows: so many, said so long before.
        share: of the films that is held out where `splits.json` doesn't say.
        most: films of the split, 0 for all.

    Raises:
        UsageError: no film has narration, features, or both.
    """
    cast = read_json(root, "cast.json") if subtitles == "names" else None
    if subtitles == "names" and cast is None:
        raise UsageError(f"{storage.join(root, 'cast.json')}: needed for names alone, {{film: [names]}}")
    films: dict[str, list[Description]] = {}
    for row in tables.read_table(root, "speech").to_pylist():
        film = row["film_id"]
        if reading.features is not None and film not in reading.features:
            continue
        spoken = tables.utterances_of(row)
        cues = []
        for line in sorted(spoken, key=lambda line: line.start):
            if line.role == "narrator" and line.text:
                before = recent_lines(spoken, line.start, lines, seconds)
                if cast is not None:
                    before = names_alone(before, cast.get(film, []))
                cues.append(Description(line.start, line.end, line.text, before))
        if cues:
            films[film] = cues
    if not films:
        raise UsageError(
            f"{root}: no film has both a narrator in its table speech and the features asked for"
        )
    return films_of_split(films, split, told(root, split), reading, share, most)


def read_texts(
    path: str, split: Split, reading: Reading, share: float, films: Sequence[str] = (), most: int = 0
) -> Films:
    """Descriptions alone, of a CSV file with a column of films and one of sentences, in their order.

    Args:
        path: of the file, local or `s3://`; a `start` column, if there is one, orders a film's sentences.
        split: whole films; the first `share` of the sorted films is held out, or `films`.
        reading: how they are read.
        share: of the films.
        films: those held out, by name.
        most: films of the split, 0 for all.

    Raises:
        UsageError: the file isn't there or lacks the columns.
    """
    try:
        table = csv.DictReader(io.StringIO(decoded(storage.read_bytes(path))))
        rows = list(table)
    except (FileNotFoundError, csv.Error) as error:
        raise UsageError(f"{path}: no CSV file of descriptions ({error})") from error
    names = table.fieldnames or ()
    text = next((name for name in _TEXT_COLUMNS if name in names), None)
    film = next((name for name in _FILM_COLUMNS if name in names), None)
    if text is None or film is None:
        raise UsageError(
            f"{path}: columns {', '.join(names)}; needed are one of {', '.join(_FILM_COLUMNS)} and one of "
            f"{', '.join(_TEXT_COLUMNS)}"
        )
    found: dict[str, list[Description]] = {}
    for number, row in enumerate(rows):
        if row[text] and row[text].strip():
            try:
                at = float(row.get("start") or number)
            except ValueError as error:
                raise UsageError(f"{path}, row {number + 1}: start should be seconds ({error})") from error
            found.setdefault(row[film], []).append(Description(at, at, row[text].strip()))
    ordered = {name: sorted(cues, key=lambda cue: cue.start) for name, cues in found.items()}
    if unknown := set(films) - ordered.keys():
        raise UsageError(f"{path}: no film {sorted(unknown)[0]!r} to hold out")
    chosen = None
    if films:
        chosen = set(films) if split == "validation" else ordered.keys() - set(films)
    return films_of_split(ordered, split, chosen, reading, share, most)


def decoded(data: bytes) -> str:
    """The text of a file: UTF-8, or where it isn't, as the published AD of MAD, what Windows writes."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def films_of_split(
    films: Mapping[str, Sequence[Description]],
    split: Split,
    chosen: set[str] | None,
    reading: Reading,
    share: float,
    most: int,
) -> Films:
    """The films of a split, whole for validation.

    Args:
        films: descriptions by film, in order.
        split: which films.
        chosen: those of the split; None holds out the first `share` of the sorted films.
        reading: how their clips are read.
        share: of the films.
        most: films, 0 for all.
    """
    kept = sorted(divide(films, share, len(films), split) if chosen is None else chosen & films.keys())
    return Films({film: films[film] for film in kept[: most or None]}, reading, whole=split == "validation")
