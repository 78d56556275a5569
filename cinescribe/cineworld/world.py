"""A whole data set of films and how-to videos with exact truth, in the tables that the pipelines write.

python -m cinescribe.cineworld.world --out DIR --films 40 --videos 200 --seed 0
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Literal

from cinescribe import storage, tables
from cinescribe.cineworld.blocking import FPS, TimedScene, narrated, schedule
from cinescribe.cineworld.howto import HowTo, Narration, tell_howto
from cinescribe.cineworld.seen import Seen, see_film, see_howto
from cinescribe.cineworld.shots import HEIGHT, WIDTH, PlannedShot, plan
from cinescribe.cineworld.story import Story, tell
from cinescribe.cineworld.vision import Eye, number
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.errors import CinescribeError, UsageError
from cinescribe.media.library import FilmRef
from cinescribe.tables import Row
from cinescribe.utterance import Utterance

Split = Literal["train", "val", "test"]
Stories = Literal["short", "long"]
VERSION = "1"  # of what a seed makes
SPEAKING = 2.7  # words a second, where no voice has spoken a line
_BLOCK = 10  # films of which one is val, one test


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """What a world is like.

    Attributes:
        seed: of the world; all else equal, the same seed gives the same bytes.
        noise: of the features; 1 adds to each number as much as it has of its own.
        stories: "short" films of a minute and a half, or "long" ones.
        narration: of the how-to videos.
        video_dim: of `features/world-s3d`.
        film_dim: of `features/world-clip`.
    """

    seed: int = 0
    noise: float = 1.0
    stories: Stories = "short"
    narration: Narration = field(default_factory=Narration)
    video_dim: int = 1024
    film_dim: int = 512

    def __post_init__(self) -> None:
        if self.noise < 0:
            raise UsageError(f"noise {self.noise:g}: give 0 or more")


@dataclass(frozen=True, slots=True)
class Film:
    """A film without picture and sound: the story, and when each line and action would be."""

    story: Story
    scenes: tuple[TimedScene, ...]
    shots: tuple[PlannedShot, ...]

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.scenes[-1].end


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

    def film(self, index: int) -> Film:
        """Film number `index`, on paper. `cinescribe film --seed` with the seed of its story renders it."""
        seed = number("film", self.settings.seed, index)
        rng = Random(f"size {seed}")
        long = self.settings.stories == "long"
        story = tell(seed, rng.choice((2, 3)), rng.randint(4, 5) if long else rng.randint(2, 3))
        lengths = [
            (len(beat.text.split()) + 0.5) / SPEAKING for scene in story.scenes for beat in scene.beats
        ]
        scenes = schedule(story, lengths)
        return Film(story, scenes, plan(scenes))

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
            (self.video_spec, self._video_eye, see_howto(self._video_eye, video)),
        )
        truth = asdict(video)
        for raw, sentence in zip(truth["sentences"], video.sentences, strict=True):
            raw["alignable"] = sentence.alignable
        _write_json(root, f"truth/{film_id}.json", truth)
        return film_id

    def write_film(self, root: str, index: int) -> str:
        """Write the rows and the truth of film number `index`; its film_id."""
        film, film_id = self.film(index), f"film-{index:05}"
        said = [
            Utterance(
                round(line.start, 3),
                round(line.end, 3),
                line.beat.text,
                line.beat.speaker,
                "narrator" if narrated(line) else "dialogue",
            )
            for scene in film.scenes
            for line in scene.spoken
        ]
        seen = see_film(self._film_eye, film.scenes, film.shots, film.story.characters, self.film_spec.hz)
        self._write(
            root,
            film_id,
            film.story.seed,
            film.duration,
            [(shot.start, shot.end) for shot in film.shots],
            said,
            (self.film_spec, self._film_eye, seen),
        )
        truth = {
            "seed": film.story.seed,
            "title": film.story.title,
            "duration": film.duration,
            "people": [
                {"name": c.name, "look": c.look.phrase(), "voice": c.voice.name}
                for c in film.story.characters
            ],
            "shots": [
                {
                    "start": s.start,
                    "end": s.end,
                    "place": "title" if s.scene < 0 else film.scenes[s.scene].scene.place,
                    "framing": s.framing,
                    "subject": s.subject,
                }
                for s in film.shots
            ],
            "actions": [
                {
                    "start": round(p.start, 3),
                    "end": round(p.end, 3),
                    "who": p.cue.who,
                    "verb": p.cue.verb,
                    "object": p.cue.object,
                    "target": p.cue.target,
                    "place": scene.scene.place,
                }
                for scene in film.scenes
                for p in scene.performances
            ],
        }
        _write_json(root, f"truth/{film_id}.json", truth)
        return film_id

    def _write(
        self,
        root: str,
        film_id: str,
        seed: int,
        duration: float,
        shots: Sequence[tuple[float, float]],
        said: Sequence[Utterance],
        seen: tuple[EncoderSpec, Eye, Seen],
    ) -> None:
        spec, eye, what = seen
        etag = f"cineworld-{VERSION}-{self.settings.seed}-{seed}"
        ref = FilmRef(film_id, f"cineworld://{self.settings.seed}/{film_id}", 0, etag)
        features = eye.features(*what, seed)
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


def write_world(root: str, settings: WorldSettings, films: int, videos: int) -> None:
    """Write the tables, `truth/`, `splits.json` and `htm_align_*.json` of a world.

    Args:
        root: folder or `s3://` prefix.
        settings: of the world.
        films: how many.
        videos: how many how-to videos.
    """
    world = World(settings)
    splits: dict[str, dict[str, list[str]]] = {
        kind: {"train": [], "val": [], "test": []} for kind in ("films", "howtos")
    }
    aligned: dict[Split, dict[str, list[list[int | float | str]]]] = {"val": {}, "test": {}}
    for index in range(films):
        film_id = world.write_film(root, index)
        splits["films"][split_of(settings.seed, "film", index)].append(film_id)
    for index in range(videos):
        film_id = world.write_howto(root, index)
        split = split_of(settings.seed, "howto", index)
        splits["howtos"][split].append(film_id)
        if split != "train":
            aligned[split][film_id] = htm_align(world.howto(index))
    _write_json(root, "splits.json", splits)
    for held_out, rows in aligned.items():
        _write_json(root, f"htm_align_{held_out}.json", rows)


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
    parser.add_argument("--stories", choices=["short", "long"], default="short", help="default: %(default)s")
    arguments = parser.parse_args(argv)
    try:
        settings = WorldSettings(arguments.seed, arguments.noise, arguments.stories)
        write_world(arguments.out, settings, arguments.films, arguments.videos)
    except CinescribeError as error:
        print(f"cinescribe world: {error}", file=sys.stderr)
        return 2
    print(
        f"{arguments.out}: {arguments.films} films, {arguments.videos} how-to videos, world {arguments.seed}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
