"""What the claims benchmark trains AutoAD on: films of one world for the pictures, of another for language.

All descriptions are in plain sentences (`cinescribe.cineworld.plain`).

films/         described films with features and dialogue, as MAD
films-noisy/   the same, what is trained on described as a poor transcript has it, as MAD-v1
visual/        other films whose descriptions name nobody, as WebVid's captions

Their frames are features/aligned, which stand for CLIP's: a linear map of the world's own features to the
words of nameless descriptions, learned from still other films.

ad.csv         descriptions of many more films, without pictures, as AudioVault
general.csv    dialogue and how-to narration: English, but no description, as what GPT-2 was trained on
"""

import csv
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from benchmarks.cineworld import Bags, Ridge, mean_over
from cinescribe import tables
from cinescribe.cineworld.mishearing import mishear
from cinescribe.cineworld.plain import plain_utterances
from cinescribe.cineworld.world import World, WorldSettings, write_world
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.media.library import FilmRef
from cinescribe.utterance import Utterance

# Numbers of the first film of `visual/`, and of those that the aligned features are learned from.
_VISUAL, _SEEN = 10_000, 20_000
ALIGNED = "aligned"
LANGUAGE_WORLD = 1000  # seed of the world of the texts, which no table is of


def write_films(root: Path, settings: WorldSettings, films: int, visual: int, seen: int) -> None:
    """Write the three sets with pictures, once.

    Args:
        root: folder for them.
        settings: of the world.
        films: described films, 8 : 1 : 1.
        visual: films of `visual/`.
        seen: films that the aligned features are learned from.
    """
    done = root / "done"
    if done.exists():
        return
    for name in ("films", "films-noisy", "visual"):  # of a run that was stopped while it wrote them
        shutil.rmtree(root / name, ignore_errors=True)
    world, bare = (World(replace(settings, words=words)) for words in ("plain", "nameless"))
    write_world(str(root / "films"), world.settings, films, 0)
    cast = {f"film-{n:05}": [person.name for person in world.film(n).story.characters] for n in range(films)}
    (root / "films" / "cast.json").write_text(json.dumps(cast))
    align = _learn_features(bare, seen)
    _write_aligned(root / "films", world, {name: number for number, name in enumerate(cast)}, align)
    _write_noisy(root / "films", root / "films-noisy")
    visuals = range(_VISUAL, _VISUAL + visual)
    write_training_films(root / "visual", bare, visuals)
    numbers = {f"film-{number:05}": number for number in visuals}
    _write_aligned(root / "visual", world, numbers, align)
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


def write_training_films(root: Path, world: World, numbers: Iterable[int]) -> None:
    """Write films of these numbers to train on: the first for validation, none to test by."""
    names = [world.write_film(str(root), number) for number in numbers]
    splits = {"films": {"train": names[1:], "val": names[:1], "test": []}}
    (root / "splits.json").write_text(json.dumps(splits))


def _write_noisy(clean: Path, noisy: Path) -> None:
    """A copy whose films for training are described with faults; files that stay the same are linked."""
    shutil.copytree(clean, noisy, copy_function=os.link)
    for number, film in enumerate(json.loads((clean / "splits.json").read_text())["films"]["train"]):
        _rewrite(noisy, film, mishear(_read(noisy, film), number))


def _learn_features(world: World, films: int) -> Ridge:
    """From the features of a clip to its description without names, as a bag of words."""
    clips, texts = [], []
    for number in range(_SEEN, _SEEN + films):
        film, features = world.film(number), world.film_features(number).astype(np.float32)
        for line in world.utterances(film):
            if line.role == "narrator":
                clips.append(mean_over(features, world.film_spec.hz, line.start, line.end))
                texts.append(line.text)
    return Ridge(np.stack(clips), Bags(texts)(texts), 10.0)


def _write_aligned(root: Path, world: World, films: Mapping[str, int], align: Ridge) -> None:
    """`features/aligned` of films by their numbers, as wide as a multiple of 32, the rest 0."""
    for name, number in films.items():
        row = tables.read_row(str(root), "films", name)
        assert row is not None
        words = align.raw(world.film_features(number).astype(np.float32))
        array = np.pad(words, ((0, 0), (0, -words.shape[1] % 32))).astype(np.float16)
        spec = EncoderSpec(ALIGNED, world.film_spec.hz, array.shape[1])
        ref = FilmRef(name, row["uri"], 0, row["etag"])
        chunk = tables.feature_row(ref, (0, 0.0, row["duration"]), spec, 0, array, {"map": "ridge"})
        tables.write_row(str(root), f"features/{ALIGNED}", name, chunk, chunk=0)


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
