"""MAD as it is published, as training data of AutoAD: films as CLIP features, descriptions with their times.

    features/CLIP_B32_frames_features_5fps.h5    a data set [frames, 512] a film (`--features`, without .h5)
    mad-v2-ad-named.csv                          movie, start, end, text: MAD-v2 (section 8.4 of the thesis)
    MAD_train.json, MAD_val.json                 {number: {movie, timestamps, sentence, ...}}: MAD-v1
    mad-v2-subs.csv                              movie, start, end, text: the dialogue
    mad_split.json                               {"TRAIN": [movie], "EVAL": [movie]}: AutoAD's split

The annotation lies beside `features/`, or in `annotations/` or its folders `MAD-v1/` and `MAD-v2/`. Only the
names of the columns were known when this was written, not the files themselves.
"""

import csv
import io
import json
import logging
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cinescribe import storage
from cinescribe.annotations.files import span_of
from cinescribe.errors import UsageError
from cinescribe.models.autoad_film import recent_lines
from cinescribe.utterance import Utterance
from train.recipe import Split
from train.recipes.autoad_data import Description, Films, Reading, decoded, films_of_split
from train.splits import read_json, told

logger = logging.getLogger(__name__)

SUBTITLES, SPLIT = "mad-v2-subs.csv", "mad_split.json"
# What is read where --annotations does not say: the first of these that is there, and what is for validation.
_DEFAULTS = ("mad-v2-ad-named.csv", "mad-v2-ad-unnamed.csv", "MAD_train.json")
_VALIDATION = ("madeval_anno.csv", "MAD_val.json")
_FOLDERS = ("", "annotations/", "annotations/MAD-v2/", "annotations/MAD-v1/")
_TEXTS = ("text", "sentence")


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sentence of a film, seconds."""

    film: str
    start: float
    end: float
    text: str


def is_mad(root: str, annotations: str = "") -> bool:
    """Whether a folder is in MAD's form: files of descriptions are named, or one of MAD's names is there."""
    return bool(annotations) or any(_find(root, name) for name in _DEFAULTS)


def read(
    root: str,
    split: Split,
    reading: Reading,
    *,
    annotations: str,
    lines: int,
    seconds: float,
    share: float,
    most: int = 0,
) -> Films:
    """Films of MAD with descriptions and features.

    A split is of whole films: what `mad_split.json` or `splits.json` says; else a file whose name holds "val"
    is for validation; else the first `share` of the sorted films is held out. Films without features, and
    descriptions after the end of the features (some films of MAD are cut short), are left out with a warning.

    Args:
        root: folder or `s3://` prefix.
        split: which films.
        reading: how their clips are read.
        annotations: names of the files of descriptions, with commas; "" for MAD's own.
        lines, seconds: of dialogue that a clip knows: so many, said so long before.
        share: of the films that is held out where nothing else tells.
        most: films of the split, 0 for all.

    Raises:
        UsageError: a file is missing or not of that form, or no film has both.
    """
    names = [name.strip() for name in annotations.split(",") if name.strip()]
    if annotations and not names:
        raise UsageError(f"--annotations {annotations!r}: names no file")
    if not names:
        names = [next(name for name in _DEFAULTS if _find(root, name))]
        of_json = names[0].endswith(".json")
        names += [name for name in _VALIDATION if name.endswith(".json") == of_json and _find(root, name)]
    spoken: dict[str, list[Spoken]] = {}
    held_out: set[str] = set()
    for name in names:
        address = _find(root, name)
        if address is None:
            places = ", ".join(storage.join(root, folder) for folder in _FOLDERS[1:])
            raise UsageError(f"{name}: neither in {root} nor in {places}; name it with --annotations")
        for sentence in _sentences(address):
            spoken.setdefault(sentence.film, []).append(sentence)
            if "val" in name.lower():
                held_out.add(sentence.film)
    dialogue = _dialogue(root)
    films: dict[str, list[Description]] = {}
    missing, late = [], 0
    for film, sentences in spoken.items():
        if reading.features is None:
            seen = sentences
        elif film in reading.features:
            seen = [said for said in sentences if said.end <= reading.features.seconds(film)]
        else:
            missing.append(film)
            continue
        late += len(sentences) - len(seen)
        if seen:
            films[film] = _descriptions(seen, dialogue.get(film, []), lines, seconds)
    if missing or late:
        logger.warning(
            "left out of %s: %d of %d films, which have no features (%s), and %d descriptions after the end "
            "of the features",
            ", ".join(names),
            len(missing),
            len(spoken),
            ", ".join(sorted(missing)[:3]) or "-",
            late,
        )
    if not films:
        raise UsageError(f"{root}: no film of {', '.join(names)} has the features asked for (--features)")
    return films_of_split(films, split, _chosen(root, split, set(films), held_out), reading, share, most)


def _chosen(root: str, split: Split, films: set[str], held_out: set[str]) -> set[str] | None:
    """The films of a split, None where nothing tells."""
    address = _find(root, SPLIT)
    if address is not None:
        try:
            listed = json.loads(storage.read_bytes(address))
            training, evaluated = set(listed["TRAIN"]), set(listed["EVAL"])
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f'{address}: should be {{"TRAIN": [movie], "EVAL": [movie]}} ({error})'
            ) from error
        return training - evaluated if split == "train" else evaluated
    named = told(root, split)
    if named is None and held_out:
        return films - held_out if split == "train" else held_out
    return named


def _descriptions(
    sentences: Sequence[Spoken], dialogue: Sequence[Utterance], lines: int, seconds: float
) -> list[Description]:
    """In the order of time, each with the dialogue before it."""
    dialogue = sorted(dialogue, key=lambda line: line.start)
    starts = [line.start for line in dialogue]
    found = []
    for said in sorted(sentences, key=lambda said: said.start):
        near = dialogue[bisect_left(starts, said.start - seconds) : bisect_right(starts, said.start)]
        found.append(
            Description(said.start, said.end, said.text, recent_lines(near, said.start, lines, seconds))
        )
    return found


def _dialogue(root: str) -> dict[str, list[Utterance]]:
    address = _find(root, SUBTITLES)
    found: dict[str, list[Utterance]] = {}
    for said in _sentences(address) if address is not None else ():
        found.setdefault(said.film, []).append(Utterance(said.start, said.end, said.text, role="dialogue"))
    return found


def _find(root: str, name: str) -> str | None:
    """Where a file of the annotation is."""
    addresses = (storage.join(root, folder + name) for folder in _FOLDERS)
    return next((address for address in addresses if storage.exists(address)), None)


def _sentences(address: str) -> Iterator[Spoken]:
    """The sentences of a CSV or JSON file; those without words are left out.

    Raises:
        UsageError: it has another form; the message names the line or the entry.
    """
    if address.endswith(".json"):
        root, _, name = address.rpartition("/")
        entries: Any = read_json(root, name)
        if not isinstance(entries, Mapping):
            raise UsageError(f"{address}: should be {{number: {{movie, timestamps, sentence}}}}")
        for number, entry in entries.items():
            try:
                span = span_of(entry["timestamps"], f"{address}, entry {number}")
                said = Spoken(str(entry["movie"]), *span, str(entry["sentence"]).strip())
            except (KeyError, TypeError) as error:
                raise UsageError(
                    f"{address}: entry {number} needs movie, timestamps and sentence ({error!r})"
                ) from error
            if said.text:
                yield said
        return
    table = csv.DictReader(io.StringIO(decoded(storage.read_bytes(address))))
    try:
        yield from _rows(table, address)
    except csv.Error as error:
        raise UsageError(f"{address}, line {table.reader.line_num}: not CSV ({error})") from error


def _rows(table: "csv.DictReader[str]", address: str) -> Iterator[Spoken]:
    columns = table.fieldnames or ()
    text = next((name for name in _TEXTS if name in columns), None)
    if text is None or not {"movie", "start", "end"} <= set(columns):
        raise UsageError(f"{address}: columns {', '.join(columns)}; needed are movie, start, end and text")
    for row in table:
        words = (row[text] or "").strip()
        if not words:
            continue
        span = span_of((row["start"], row["end"]), f"{address}, line {table.line_num}")
        yield Spoken(row["movie"], *span, words)
