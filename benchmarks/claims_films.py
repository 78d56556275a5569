"""What the claims benchmark trains AutoAD on: films of one world for the pictures, of another for language.

All descriptions are in plain sentences (`cinescribe.cineworld.plain`).

films/         described films with features and dialogue, as MAD
films-noisy/   the same, what is trained on described as a poor transcript has it, as MAD-v1
visual/        other films whose descriptions name nobody, as WebVid's captions

ad.csv         descriptions of many more films, without pictures, as AudioVault
general.csv    dialogue and how-to narration: English, but no description, as what GPT-2 was trained on
"""

import csv
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from cinescribe import tables
from cinescribe.cineworld.mishearing import mishear
from cinescribe.cineworld.plain import plain_utterances
from cinescribe.cineworld.script import Film
from cinescribe.cineworld.world import World, WorldSettings, write_world
from cinescribe.utterance import Utterance

_VISUAL = 10_000  # number of the first film of `visual/`
LANGUAGE_WORLD = 1000  # seed of the world of the texts, which no table is of


def write_films(root: Path, settings: WorldSettings, films: int, visual: int) -> None:
    """Write the three sets with pictures, once.

    Args:
        root: folder for them.
        settings: of the world.
        films: described films, 8 : 1 : 1.
        visual: films of `visual/`, other ones.
    """
    done = root / "done"
    if done.exists():
        return
    for name in ("films", "films-noisy", "visual"):  # of a run that was stopped while it wrote them
        shutil.rmtree(root / name, ignore_errors=True)
    world = World(settings)
    write_world(str(root / "films"), settings, films, 0)
    cast = {f"film-{n:05}": [person.name for person in world.film(n).story.characters] for n in range(films)}
    (root / "films" / "cast.json").write_text(json.dumps(cast))
    for number, name in enumerate(cast):
        _rewrite(root / "films", name, plain_utterances(world.film(number)))
    _write_noisy(root / "films", root / "films-noisy")
    _write_visual(root / "visual", world, visual)
    done.touch()


def write_language(root: Path, films: int, general: int) -> None:
    """Write both sets of texts, once.

    Args:
        root: folder for them.
        films: of `ad.csv`.
        general: films, other ones, and as many how-to videos, of `general.csv`.
    """
    done = root / "done"
    if done.exists():
        return
    root.mkdir(parents=True, exist_ok=True)
    world = World(WorldSettings(LANGUAGE_WORLD))
    write_texts(root / "ad.csv", _described(world, range(films)))
    write_texts(root / "general.csv", _general(world, range(films, films + general)))
    done.touch()


def write_texts(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """A CSV file of sentences by film, as `autoad-text` reads it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("movie", "sentence"))
        writer.writerows(rows)


def nameless(text: str, film: Film) -> str:
    """A plain description as one who knows no names would write it."""
    for person in film.story.characters:
        text = re.sub(rf"\b{person.name}\b", f"the {person.look.gender}", text)
    return text[:1].upper() + text[1:]


def _write_noisy(clean: Path, noisy: Path) -> None:
    """A copy whose films for training are described with faults; files that stay the same are linked."""
    shutil.copytree(clean, noisy, copy_function=os.link)
    for number, film in enumerate(json.loads((clean / "splits.json").read_text())["films"]["train"]):
        _rewrite(noisy, film, mishear(_read(noisy, film), number))


def _write_visual(root: Path, world: World, films: int) -> None:
    names = []
    for number in range(_VISUAL, _VISUAL + films):
        name, film = world.write_film(str(root), number), world.film(number)
        names.append(name)
        said = [
            replace(line, text=nameless(line.text, film)) if line.role == "narrator" else line
            for line in plain_utterances(film)
        ]
        _rewrite(root, name, said)
    splits = {"films": {"train": names[1:], "val": names[:1], "test": []}}
    (root / "splits.json").write_text(json.dumps(splits))


def _described(world: World, numbers: Iterable[int]) -> Iterator[tuple[str, str]]:
    for number in numbers:
        for line in plain_utterances(world.film(number)):
            if line.role == "narrator":
                yield f"film-{number}", line.text


def _general(world: World, numbers: Iterable[int]) -> Iterator[tuple[str, str]]:
    for number in numbers:
        for line in world.film(number).utterances():
            if line.role != "narrator":
                yield f"film-{number}", line.text
        for sentence in world.howto(number).sentences:
            yield f"howto-{number}", sentence.text


def _read(root: Path, film: str) -> list[Utterance]:
    row = tables.read_row(str(root), "speech", film)
    assert row is not None
    return tables.utterances_of(row)


def _rewrite(root: Path, film: str, said: Sequence[Utterance]) -> None:
    row = tables.read_row(str(root), "speech", film)
    assert row is not None
    row["utterances"] = [asdict(line) for line in said]
    tables.write_row(str(root), "speech", film, row)
