"""A whole data set of films and how-to videos with exact truth, in the tables that the pipelines write.

python -m cinescribe.cineworld.world --out DIR --films 40 --videos 200 --seed 0
"""

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cinescribe import storage, tables
from cinescribe.cineworld.blocking import FPS
from cinescribe.cineworld.drama import tell_drama
from cinescribe.cineworld.film import render_story
from cinescribe.cineworld.howto import HowTo, Narration, action_of, tell_howto
from cinescribe.cineworld.plain import plain_utterances
from cinescribe.cineworld.script import Film, on_paper
from cinescribe.cineworld.seen import see_film, see_howto
from cinescribe.cineworld.shots import HEIGHT, WIDTH
from cinescribe.cineworld.vision import Eye, number
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.errors import CinescribeError, UsageError
from cinescribe.media.library import FilmRef
from cinescribe.tables import Row
from cinescribe.utterance import Utterance

Split = Literal["train", "val", "test"]
Stories = Literal["short", "long"]
Words = Literal["rich", "plain", "nameless"]
VERSION = "1"  # of what a seed makes
_BLOCK = 10  # films of which one is val, one test


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """What a world is like.

    Attributes:
        seed: of the world; all else equal, the same seed gives the same bytes.
        noise: of the features; 1 adds to each number as much as it has of its own.
        stories: "short" films (2 or 3 scenes, about 3 minutes), or "long" ones (8 to 14, about 11).
        narration: of the how-to videos.
        video_dim: of `features/world-s3d`.
        film_dim: of `features/world-clip`.
        words: of the films' descriptions: "rich" English, the same few ("plain"), or those without names
            ("nameless").
    """

    seed: int = 0
    noise: float = 1.0
    stories: Stories = "short"
    narration: Narration = field(default_factory=Narration)
    video_dim: int = 1024
    film_dim: int = 512
    words: Words = "rich"

    def __post_init__(self) -> None:
        if self.noise < 0:
            raise UsageError(f"noise {self.noise:g}: give 0 or more")


def split_of(seed: int, kind: str, index: int) -> Split:
    """Which split a film belongs to: of each ten films one is for validation, one for the test."""
    order = Random(f"split {seed} {kind} {index // _BLOCK}").sample(range(_BLOCK), 2)
    return "val" if index % _BLOCK == order[0] else "test" if index % _BLOCK == order[1] else "train"


class World:
    """Makes films and how-to videos by their number; none depends on how many others there are."""

    def __init__(self, settings: WorldSettings) -> None:
        self.settings = settings
        self.video_spec = EncoderSpec("world-s3d", 1.0, settings.video_dim)
        self.film_spec = EncoderSpec("world-clip", 5.0, settings.film_dim)
        self._video_eye = Eye(settings.seed, "world-s3d", settings.video_dim, settings.noise)
        self._film_eye = Eye(settings.seed, "world-clip", settings.film_dim, settings.noise)

    def howto(self, index: int) -> HowTo:
        """How-to video number `index`, on paper."""
        return tell_howto(number("howto", self.settings.seed, index), self.settings.narration)

    def video_features(self, index: int) -> NDArray[np.float16]:
        """[seconds, video_dim] of how-to video number `index`."""
        video = self.howto(index)
        return self._video_eye.features(*see_howto(self._video_eye, video), video.seed)

    def film_features(self, index: int) -> NDArray[np.float16]:
        """[seconds * 5, film_dim] of film number `index`."""
        return self.features_of(self.film(index))

    def features_of(self, film: Film) -> NDArray[np.float16]:
        """[seconds * 5, film_dim] of a film, at the times it has."""
        seen = see_film(self._film_eye, film.scenes, film.shots, film.story.characters, self.film_spec.hz)
        return self._film_eye.features(*seen, film.story.seed)

    def film(self, index: int) -> Film:
        """Film number `index`, on paper."""
        seed = number("film", self.settings.seed, index)
        rng = Random(f"size {seed}")
        if self.settings.stories == "long":
            return on_paper(tell_drama(seed, rng.randint(2, 4), rng.randint(8, 14)))
        return on_paper(tell_drama(seed, rng.randint(2, 3), rng.randint(2, 3)))

    def utterances(self, film: Film) -> list[Utterance]:
        """Description and dialogue of a film, in order."""
        if self.settings.words == "rich":
            return film.utterances()
        return plain_utterances(film, names=self.settings.words == "plain")

    def write_howto(self, root: str, index: int) -> str:
        """Write the rows and the truth of how-to video number `index`; its film_id."""
        video, film_id = self.howto(index), f"howto-{index:05}"
        said = [Utterance(s.start, s.end, s.text, "demonstrator", "dialogue") for s in video.sentences]
        self._write(
            root,
            film_id,
            video.seed,
            video.duration,
            [(0.0, video.duration)],
            said,
            self.video_spec,
            self.video_features(index),
        )
        truth = asdict(video)
        for raw, sentence in zip(truth["sentences"], video.sentences, strict=True):
            raw["alignable"] = sentence.alignable
        _write_json(root, f"truth/{film_id}.json", truth)
        return film_id

    def write_film(self, root: str, index: int) -> str:
        """Write the rows and the truth of film number `index`; its film_id."""
        film, film_id = self.film(index), f"film-{index:05}"
        self._write(
            root,
            film_id,
            film.story.seed,
            film.duration,
            [(shot.start, shot.end) for shot in film.shots],
            self.utterances(film),
            self.film_spec,
            self.features_of(film),
        )
        _write_json(root, f"truth/{film_id}.json", film.truth())
        return film_id

    def _write(
        self,
        root: str,
        film_id: str,
        seed: int,
        duration: float,
        shots: Sequence[tuple[float, float]],
        said: Sequence[Utterance],
        spec: EncoderSpec,
        features: NDArray[np.float16],
    ) -> None:
        etag = f"cineworld-{VERSION}-{self.settings.seed}-{seed}"
        ref = FilmRef(film_id, f"cineworld://{self.settings.seed}/{film_id}", 0, etag)
        row = tables.feature_row(ref, (0, 0.0, duration), spec, 0, features, {"eye": f"cineworld-{VERSION}"})
        tables.write_row(root, f"features/{spec.name}", film_id, row, chunk=0)
        tables.write_row(root, "speech", film_id, _speech_row(ref, said))
        film: Row = {
            "film_id": film_id,
            "uri": ref.uri,
            "etag": etag,
            "duration": duration,
            "fps": float(FPS),
            "width": WIDTH,
            "height": HEIGHT,
            "rotation": 0,
            "audio_rate": 0,
            "shots": [{"start": start, "end": end} for start, end in shots],
        }
        tables.write_row(root, "films", film_id, film)


def _speech_row(film: FilmRef, said: Sequence[Utterance]) -> Row:
    return {
        "film_id": film.film_id,
        "etag": film.etag,
        "utterances": [asdict(utterance) for utterance in said],
        "language": "en",
        "language_probability": 1.0,
        "narrator_confidence": 1.0,
        "evidence": [],
        "suppressed": [],
        "damaged_seconds": 0.0,
        "weights": [{"role": "script", "weight": f"cineworld-{VERSION}"}],
    }


def htm_align(video: HowTo) -> list[list[int | float | str]]:
    """A how-to video as HTM-Align has it: [alignable, start, end, text], spans true where alignable."""
    rows: list[list[int | float | str]] = []
    for sentence in video.sentences:
        at = video.steps[sentence.step] if sentence.alignable else sentence
        rows.append([int(sentence.alignable), at.start, at.end, sentence.text])
    return rows


def actions(video: HowTo) -> list[list[float | str]]:
    """The steps of a how-to video as an ordered list of actions: [start, end, label], seconds."""
    return [[step.start, step.end, action_of(video, step)] for step in video.steps]


def write_world(root: str, settings: WorldSettings, films: int, videos: int) -> None:
    """Write a world: tables, `truth/`, `splits.json`, `htm_align_*.json`, `actions.json`, `world.json`.

    Args:
        root: folder or `s3://` prefix; a world that is there may be given more films and videos.
        settings: of the world.
        films: how many.
        videos: how many how-to videos.

    Raises:
        UsageError: another or a larger world is there.
    """
    world = World(settings)
    _claim(root, settings, films, videos)
    with ThreadPoolExecutor(4) as pool:  # writing waits for the disk
        film_ids = list(pool.map(partial(world.write_film, root), range(films)))
        video_ids = list(pool.map(partial(world.write_howto, root), range(videos)))
    splits: dict[str, dict[Split, list[str]]] = {
        "films": _split(film_ids, settings.seed, "film"),
        "howtos": _split(video_ids, settings.seed, "howto"),
    }
    _write_json(root, "splits.json", splits)
    for split in ("val", "test"):
        held_out = [index for index in range(videos) if split_of(settings.seed, "howto", index) == split]
        rows = {video_ids[index]: htm_align(world.howto(index)) for index in held_out}
        _write_json(root, f"htm_align_{split}.json", rows)
    _write_json(
        root, "actions.json", {film_id: actions(world.howto(k)) for k, film_id in enumerate(video_ids)}
    )


def _split(film_ids: Sequence[str], seed: int, kind: str) -> dict[Split, list[str]]:
    splits: dict[Split, list[str]] = {"train": [], "val": [], "test": []}
    for index, film_id in enumerate(film_ids):
        splits[split_of(seed, kind, index)].append(film_id)
    return splits


def _claim(root: str, settings: WorldSettings, films: int, videos: int) -> None:
    """Say in `world.json` what the folder holds; refuse to mix worlds in it."""
    if films < 0 or videos < 0:
        raise UsageError(f"{films} films and {videos} videos: give numbers of 0 or more")
    address = storage.join(root, "world.json")
    wanted = {"version": VERSION, **asdict(settings), "films": films, "videos": videos}
    if storage.exists(address):
        there = {"words": "rich", **json.loads(storage.read_bytes(address))}
        same = all(
            there.get(name) == value for name, value in wanted.items() if name not in ("films", "videos")
        )
        if not same or there["films"] > films or there["videos"] > videos:
            raise UsageError(f"{address}: another or a larger world is there; give an empty folder as --out")
    _write_json(root, "world.json", wanted)


def render(root: str, world: World, index: int) -> Path:
    """Render film number `index` to `media/<film_id>.mp4` with its truth beside it: the same story, spoken.

    Raises:
        UsageError: Piper is missing.
        WeightsError: a voice can't be had.
    """
    path = Path(root, "media", f"film-{index:05}.mp4")
    render_story(world.film(index).story, path)
    return path


def render_video(root: str, world: World, index: int) -> Path:
    """Render how-to video number `index` to `media/<film_id>.mp4`: its steps as they are in the tables."""
    from cinescribe.cineworld.howto_film import render_howto

    path = Path(root, "media", f"howto-{index:05}.mp4")
    render_howto(world.howto(index), path)
    return path


def _write_json(root: str, name: str, value: object) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    storage.write_bytes(storage.join(root, name), text.encode())


def main(argv: Sequence[str] | None = None) -> int:
    """The command: makes a world, says what is in it."""
    parser = argparse.ArgumentParser(prog="cinescribe world", description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True, help="folder or s3:// prefix for the tables")
    parser.add_argument("--films", type=int, default=40, help="described films (default %(default)s)")
    parser.add_argument("--videos", type=int, default=200, help="how-to videos (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="which world (default %(default)s)")
    parser.add_argument("--noise", type=float, default=1.0, help="of the features (default %(default)s)")
    parser.add_argument(
        "--distractors",
        type=float,
        default=Narration().distractors,
        help="share of the sentences beside the point that name things or deeds (default %(default)s)",
    )
    parser.add_argument(
        "--paraphrase",
        type=float,
        default=Narration().paraphrase,
        help="chance that how-tos say it in other words (default %(default)s)",
    )
    parser.add_argument(
        "--render",
        type=int,
        default=0,
        metavar="N",
        help="also render the first N films, with voices, to DIR/media (a local DIR; default none)",
    )
    parser.add_argument(
        "--pixels",
        type=int,
        default=0,
        metavar="N",
        help="also render the first N how-to videos, silent, to DIR/media (a local DIR; default none)",
    )
    parser.add_argument("--stories", choices=["short", "long"], default="short", help="default: %(default)s")
    parser.add_argument(
        "--words", choices=["rich", "plain", "nameless"], default="rich", help="default: %(default)s"
    )
    arguments = parser.parse_args(argv)
    try:
        narration = Narration(distractors=arguments.distractors, paraphrase=arguments.paraphrase)
        settings = WorldSettings(
            arguments.seed, arguments.noise, arguments.stories, narration, words=arguments.words
        )
        for option, wanted, most in (
            ("--render", arguments.render, arguments.films),
            ("--pixels", arguments.pixels, arguments.videos),
        ):
            if not 0 <= wanted <= most or (wanted and storage.is_s3(arguments.out)):
                raise UsageError(
                    f"{option} {wanted}: to a local --out, and at most {most}, as many as there are"
                )
        write_world(arguments.out, settings, arguments.films, arguments.videos)
        for index in range(arguments.render):
            print(render(arguments.out, World(settings), index))
        for index in range(arguments.pixels):
            print(render_video(arguments.out, World(settings), index))
    except CinescribeError as error:
        print(f"cinescribe world: {error}", file=sys.stderr)
        return 2
    print(
        f"{arguments.out}: {arguments.films} films, {arguments.videos} how-to videos, world {arguments.seed}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
