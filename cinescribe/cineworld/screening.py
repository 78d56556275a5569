"""Renders a film of a world without its narrator, as films are before they are described.

python -m cinescribe.cineworld.screening WORLD --film film-00017 --films DIR --out DIR

Beside the film: its truth, and as FILM.script.vtt what the narrator would have said, and when. The narrator
is silent; all else happens as in the described film. The table `features/world-clip` of --out gets what the
world's eye sees of it: features made of the truth and noise, as all of that world, at the times of the
rendered film; `features/world-clip-aligned` likewise, where the world has it (`aligned`). No encoder looks
at its pictures.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cinescribe import storage, tables
from cinescribe.cineworld import aligned
from cinescribe.cineworld.film import produce_story, render_production
from cinescribe.cineworld.script import Film
from cinescribe.cineworld.stored import read_settings
from cinescribe.cineworld.world import VERSION, World
from cinescribe.errors import CinescribeError, UsageError
from cinescribe.media.library import list_films
from cinescribe.subtitles import write_vtt


def screen(root: str, film_id: str, films: Path, out: str) -> Path:
    """Render a film of a world without its narrator, and write the features of what is seen.

    Args:
        root: of the world.
        film_id: as in its `splits.json`.
        films: folder of the film.
        out: folder or `s3://` prefix of the tables.

    Returns:
        where the film is.

    Raises:
        UsageError: there is no such world or film, or Piper is missing.
        WeightsError: a voice can't be had.
    """
    world = World(read_settings(root))
    number = film_id.removeprefix("film-")
    if not number.isdigit() or not storage.exists(storage.join(root, "truth", f"{film_id}.json")):
        raise UsageError(f"{film_id}: no such film in this world; {root}/splits.json lists them")
    path = films / f"{film_id}.mp4"
    production = produce_story(world.film(int(number)).story, described=False)
    render_production(production, path)
    film = Film(production.story, production.scenes, production.shots)
    told = [utterance for utterance in world.utterances(film) if utterance.role == "narrator"]
    write_vtt(told, path.with_suffix(".script.vtt"), "descriptions", "en")
    features = world.features_of(film)
    (ref,) = list_films([str(path)])  # its etag is that of the other tables' rows
    end = production.scenes[-1].end
    row = tables.feature_row(
        ref, (0, 0.0, end), world.film_spec, 0, features, {"eye": f"cineworld-{VERSION}"}
    )
    tables.write_row(out, f"features/{world.film_spec.name}", film_id, row, chunk=0)
    if (fitted := aligned.load(root, world.film_spec.name)) is not None:
        aligned.write_features(out, ref, end, world.film_spec, fitted, features)
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """The command: renders a film, prints where it is."""
    parser = argparse.ArgumentParser(prog="python -m cinescribe.cineworld.screening", description=__doc__)
    parser.add_argument("root", metavar="WORLD", help="folder or s3:// prefix that `cinescribe world` wrote")
    parser.add_argument("--film", required=True, metavar="ID", help="such as film-00001")
    parser.add_argument("--films", required=True, metavar="DIR", type=Path, help="folder for the film")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder or s3:// prefix of the tables")
    arguments = parser.parse_args(argv)
    try:
        print(screen(arguments.root, arguments.film, arguments.films, arguments.out))
    except CinescribeError as error:
        print(f"cineworld.screening: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
