"""What chaos works on: films that speak, tables to index, a world to train on; and what differs."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.chaos_machines import BUCKET
from cinescribe import storage, tables

FILMS = f"{BUCKET}/films"
_FILMS, _FILM_SECONDS = 8, 8.0
_INDEXED_FILMS, _UTTERANCES = 40, 30
# The order is that of the films; each is heard by its own voice.
_LINES = (
    "Emma pours boiling water into a red teapot.",
    "Did you lock the front door this morning?",
    "A dog runs across the wooden floor of the kitchen.",
    "I never lock it, and you know that very well.",
    "He opens the letter and reads it by the window.",
    "The last boat leaves the harbour at six tonight.",
    "She climbs the ladder with a lamp in her hand.",
    "Where did you put the map of the old town?",
)
_INDEX_TABLES = ("films", "texts")


def render_films(folder: Path) -> None:
    """Render the short films, each of a spoken sentence, unless they are there."""
    if len(list(folder.glob("*.mp4"))) == _FILMS:
        return
    from benchmarks.scale import render
    from cinescribe.cineworld.voices import RATE, VOICES, resample, speak

    folder.mkdir(parents=True, exist_ok=True)
    spoken = speak([(VOICES[n % 2], line) for n, line in enumerate(_LINES)])
    for n, samples in enumerate(spoken):
        sound = np.zeros(round(_FILM_SECONDS * 16000), np.float32)
        heard = resample(samples, round(len(samples) * 16000 / RATE))[: len(sound) - 16000]
        sound[16000 : 16000 + len(heard)] = heard
        render(folder / f"film {n}.mp4", _FILM_SECONDS, sound)


def upload_films(folder: Path) -> None:
    """Put the films on S3, and one that can't be read."""
    for path in sorted(folder.glob("*.mp4")):
        storage.write_bytes(f"{FILMS}/{path.name}", path.read_bytes())
    storage.write_bytes(f"{FILMS}/broken.mp4", b"no film")


def write_library(root: str) -> None:
    """Tables of made-up speech, to be indexed."""
    from benchmarks.serve import write_tables

    write_tables(root, _INDEXED_FILMS, _UTTERANCES)


def write_training_world(folder: Path) -> None:
    """A world of few how-to videos with the features of experts, as tests train on."""
    if (folder / "complete").exists():
        return
    from cinescribe.cineworld.experts import write_experts
    from cinescribe.cineworld.world import WorldSettings, write_world

    write_world(str(folder), WorldSettings(video_dim=16, film_dim=16), films=0, videos=10)
    write_experts(str(folder))
    (folder / "complete").touch()


# ---- equal or not -----------------------------------------------------------------------------------


def ingest_differences(found: str, wanted: str, names: Sequence[str]) -> list[str]:
    """Where two ingests of the films differ: tables row by row, and the files for people byte by byte."""
    told = [line for table in names for line in _table_differences(table, found, wanted)]
    ours, theirs = (storage.list_names(storage.join(root, "files")) for root in (found, wanted))
    told += [f"files: {name} is only in one" for name in sorted(ours ^ theirs)]
    for name in sorted(ours & theirs):
        if storage.read_bytes(f"{found}/files/{name}") != storage.read_bytes(f"{wanted}/files/{name}"):
            told.append(f"files: {name} differs")
    films = {name.rpartition(".")[0] for name in storage.list_names(FILMS)}
    for table, key in (("films", "film_id"), ("speech", "film_id")):
        rows = [row[key] for row in tables.read_table(found, table).to_pylist()]
        failed = {row["film_id"] for row in tables.read_table(found, "errors").to_pylist()}
        if len(rows) != len(set(rows)) or set(rows) | failed != films or set(rows) & failed:
            told.append(f"{table}: not every film exactly once, there or in errors")
    return told


def _table_differences(table: str, found: str, wanted: str) -> list[str]:
    ours, theirs = (_keyed(tables.read_table(root, table).to_pylist()) for root in (found, wanted))
    told = [f"{table}: {key} is only in one" for key in sorted(ours.keys() ^ theirs.keys())]
    return told + [
        f"{table}: {key}, {_what_differs(ours[key], theirs[key])}"
        for key in sorted(ours.keys() & theirs.keys())
        if not _same(ours[key], theirs[key])
    ]


def _keyed(rows: Sequence[tables.Row]) -> dict[str, Any]:
    """Rows by what names them; a second one of a name is told apart."""
    keyed: dict[str, Any] = {}
    for row in rows:
        key = "/".join(str(row[name]) for name in ("film_id", "chunk", "stage", "id") if name in row)
        keyed[key if key not in keyed else f"{key} again"] = row
    return keyed


def _same(one: Any, other: Any) -> bool:
    """Equal exactly, NaN to NaN too."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def _what_differs(one: dict[str, Any], other: dict[str, Any]) -> str:
    names = [name for name in one if not _same(one[name], other.get(name))]
    return ", ".join(
        f"{name} {str(one[name])[:60]!r} for {str(other.get(name))[:60]!r}"
        if not isinstance(one[name], list)
        else name
        for name in names
    )


def index_differences(found: str, wanted: str) -> list[str]:
    """Where two indexes differ: rows and vectors exactly, and what a search gives."""
    from cinescribe.search.searcher import Searcher
    from cinescribe.search.store import Store

    told = []
    for table in _INDEX_TABLES:
        ours, theirs = (_keyed(Store(root).open(table).to_arrow().to_pylist()) for root in (found, wanted))
        told += [f"{table}: {key} is only in one" for key in sorted(ours.keys() ^ theirs.keys())]
        told += [
            f"{table}: {key}, {_what_differs(ours[key], theirs[key])}"
            for key in ours.keys() & theirs.keys()
            if not _same(ours[key], theirs[key])
        ]
    one, other = Searcher(found, threads=1), Searcher(wanted, threads=1)
    for text in questions(10):
        if moments(one, text) != moments(other, text):
            told.append(f"a search for {text!r} finds something else")
    return told


def moments(searcher: Any, text: str) -> list[tuple[str, float, float]]:
    """What is found: film, start and end in seconds, best first."""
    from cinescribe.search.query import Query

    return [(m.film_id, m.start, m.end) for m in searcher.search(Query(text=text, limit=10)).moments]


def questions(count: int) -> list[str]:
    """Texts to search for."""
    import random

    from benchmarks.serve import sentence

    chance = random.Random(11)
    return [sentence(chance) for _ in range(count)]


def curves(out: str) -> tuple[dict[int, float], dict[int, dict[str, float]], int]:
    """Of a training: the loss by step, the evaluations by step, and how many lines are of a step twice."""
    try:
        text = storage.read_bytes(storage.join(out, "metrics.jsonl")).decode()
    except FileNotFoundError:
        return {}, {}, 0
    lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    losses = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    evaluations = {line["step"]: line["evaluation"] for line in lines if "evaluation" in line}
    return dict(losses), evaluations, len(losses) - len(dict(losses))


def training_differences(found: str, wanted: str) -> tuple[list[str], float]:
    """Where two trainings differ, and the largest difference of the loss of a step."""
    (ours, our_evaluations, doubled), (theirs, their_evaluations, _) = curves(found), curves(wanted)
    told = [f"{doubled} steps are there twice"] if doubled else []
    if ours.keys() != theirs.keys():
        told.append(f"steps: {len(ours)} to {max(ours, default=0)}, not {len(theirs)} to {max(theirs)}")
    largest = max((abs(ours[step] - theirs[step]) for step in ours.keys() & theirs.keys()), default=0.0)
    if largest > 0:
        told.append(f"losses differ by up to {largest:.3g}")
    if our_evaluations != their_evaluations:
        told.append("evaluations differ")
    return told, largest
