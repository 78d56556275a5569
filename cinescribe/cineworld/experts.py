"""Experts of a world: eyes that each see one kind of thing, as pretrained networks do, and nothing else.

python -m cinescribe.cineworld.experts --data world

    features/world-place    where it plays, the time of day, the weather, the workplace; once a second
    features/world-deed     what is done
    features/world-thing    things and tools
    features/world-person   who is in the picture; NaN where nobody is, as of a network for faces

They are written beside the tables of `cinescribe world`, for its films and its how-to videos alike, so that
clips of both have several experts, of which some lack in some clips.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from cinescribe import tables
from cinescribe.cineworld.seen import Seen, see_film, see_howto
from cinescribe.cineworld.stored import read_world
from cinescribe.cineworld.vision import LATENT, Array, Eye
from cinescribe.cineworld.world import VERSION, World, WorldSettings
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.errors import CinescribeError, UsageError
from cinescribe.media.library import FilmRef

# By expert, how the concepts that it sees begin; and whether there is nothing to see without them.
SEES = {
    "world-place": (("place ", "time ", "weather ", "workplace "), False),
    "world-deed": (("deed ",), False),
    "world-thing": (("thing ", "tool "), False),
    "world-person": (("look ",), True),
}
HZ, DIM = 1.0, 256


@dataclass(slots=True)
class ExpertEye(Eye):
    """An eye to which all concepts but some are blank.

    Attributes:
        sees: how the names of the concepts begin that it sees.
    """

    sees: tuple[str, ...] = ()

    def concept(self, name: str) -> Array:
        """[LATENT] vector of a concept; zeros of one it does not see."""
        if not name.startswith(self.sees):
            return np.zeros(LATENT, np.float32)
        return Eye.concept(self, name)

    def bind(self, role: str, parts: Sequence[Array]) -> Array:
        """[LATENT] of those of the parts that it sees."""
        seen = [part for part in parts if part.any()]
        return Eye.bind(self, role, seen) if seen else np.zeros(LATENT, np.float32)


def eyes(settings: WorldSettings) -> dict[str, ExpertEye]:
    """The experts of a world, by their table."""
    return {
        name: ExpertEye(settings.seed, name, DIM, settings.noise, sees=sees)
        for name, (sees, _) in SEES.items()
    }


def features(eye: ExpertEye, seen: Seen, key: int) -> NDArray[np.float16]:
    """[seconds, DIM] of an expert; NaN, of one that can lack, where it sees none of its things."""
    found = eye.features(*seen, key)
    visible, vectors, _ = seen
    if SEES[eye.name][1]:
        found[~(visible[:, vectors.any(axis=1)] > 0).any(axis=1)] = np.nan
    return found


def write_experts(root: str) -> int:
    """Write the experts' tables of a world; how many films and videos it has.

    Args:
        root: folder or `s3://` prefix that `cinescribe world` wrote.

    Raises:
        UsageError: there is no world, or one of another version.
    """
    stored = read_world(root)
    world = World(stored.settings)
    experts = eyes(world.settings)
    for index in track(range(stored.films), "films", console=Console(stderr=True), transient=True):
        film = world.film(index)
        for name, eye in experts.items():
            seen = see_film(eye, film.scenes, film.shots, film.story.characters, HZ)
            _write(root, f"film-{index:05}", name, features(eye, seen, film.story.seed))
    for index in track(range(stored.videos), "videos", console=Console(stderr=True), transient=True):
        video = world.howto(index)
        for name, eye in experts.items():
            _write(root, f"howto-{index:05}", name, features(eye, see_howto(eye, video), video.seed))
    return stored.films + stored.videos


def _write(root: str, film_id: str, name: str, values: NDArray[np.float16]) -> None:
    row = tables.read_row(root, "films", film_id)
    if row is None:
        raise UsageError(f"{root}: the table films lacks {film_id}; make the world anew")
    ref = FilmRef(film_id, row["uri"], 0, row["etag"])
    spec = EncoderSpec(name, HZ, DIM)
    chunk = (0, 0.0, float(row["duration"]))
    made = tables.feature_row(ref, chunk, spec, 0, values, {"eye": f"cineworld-{VERSION}"})
    tables.write_row(root, f"features/{name}", film_id, made, chunk=0)


def main(argv: Sequence[str] | None = None) -> int:
    """The command: writes the tables, says of how many films."""
    parser = argparse.ArgumentParser(
        prog="python -m cinescribe.cineworld.experts", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--data", required=True, help="folder or s3:// prefix that `cinescribe world` wrote")
    arguments = parser.parse_args(argv)
    try:
        count = write_experts(arguments.data)
    except CinescribeError as error:
        print(f"cineworld.experts: {error}", file=sys.stderr)
        return 2
    print(f"{arguments.data}: {', '.join(SEES)} of {count} films and videos")
    return 0


if __name__ == "__main__":
    sys.exit(main())
