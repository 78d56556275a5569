"""What the claims benchmark trains AutoAD on: films of one world, each set of them with other numbers.

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
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from cinescribe import tables
from cinescribe.cineworld.mishearing import mishear
from cinescribe.cineworld.script import Film
from cinescribe.cineworld.world import World, WorldSettings, write_world
from cinescribe.utterance import Utterance

# Numbers that films of each set begin with, so that none is in two of them.
_VISUAL, _TEXT, _GENERAL = 10_000, 20_000, 30_000


def write_films(
    root: Path, settings: WorldSettings, films: int, visual: int, text: int, general: int
) -> None:
    """Write all sets, once.

    Args:
        root: folder for them.
        settings: of the world.
        films: described films, 8 : 1 : 1.
        visual: films of `visual/`.
        text: films of `ad.csv`.
        general: films, and as many how-to videos, of `general.csv`.
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
    _write_noisy(root / "films", root / "films-noisy")
    _write_visual(root / "visual", world, visual)
    described = ((n, world.film(n).utterances()) for n in range(_TEXT, _TEXT + text))
    write_texts(
        root / "ad.csv",
        ((f"film-{n}", line.text) for n, said in described for line in said if line.role == "narrator"),
    )
    write_texts(root / "general.csv", _general(world, general))
    done.touch()


def write_texts(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """A CSV file of sentences by film, as `autoad-text` reads it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("movie", "sentence"))
        writer.writerows(rows)


def nameless(text: str, film: Film) -> str:
    """A description as one who knows no names would write it."""
    for person in film.story.characters:
        gender = person.look.gender
        text = re.sub(rf"\b{person.name}, (an? {gender}[^,]*),", r"\1", text)
        text = re.sub(rf"\b{person.name}\b", f"the {gender}", text)
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
            for line in _read(root, name)
        ]
        _rewrite(root, name, said)
    splits = {"films": {"train": names[1:], "val": names[:1], "test": []}}
    (root / "splits.json").write_text(json.dumps(splits))


def _general(world: World, count: int) -> Iterable[tuple[str, str]]:
    for number in range(_GENERAL, _GENERAL + count):
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
