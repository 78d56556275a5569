"""Tables of speech and features to an index of moments: `python -m pipelines.index DIR`.

The rows of films that changed since they were last indexed are made anew (the sentences to vectors, which is
the work), and take the place of the old ones in one commit; films that left the tables leave the index.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from cinescribe import storage, tables
from cinescribe.errors import CinescribeError, UsageError
from cinescribe.search.documents import text_rows
from cinescribe.search.store import FilmRows, IndexedFilm, Store
from pipelines import progress

_BATCH = 64  # films a commit


@dataclass(frozen=True, slots=True)
class Config:
    """One run of the pipeline; see `--help` for what each means."""

    root: str
    model: str = ""
    threads: int = 0
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """A film to be indexed, and what its rows will be made from."""

    film_id: str
    stamps: dict[str, str]


def run(config: Config) -> int:
    """Bring the index up to date; 0 when every film is indexed or recorded as failed."""
    store = Store(config.root)
    there = store.films()  # before the tables are listed, so that no film looks as if it had left them
    planned = plan(config.root, config.model)
    if not planned:
        raise UsageError(f"{config.root}: no tables of speech there; run `cinescribe transcribe` with --out")
    gone = sorted(there.keys() - planned.keys())
    store.remove(gone)
    todo = [u for u in planned.values() if u.film_id not in there or there[u.film_id].stamps != u.stamps]
    from cinescribe.encoders.text import SentenceEncoder

    encoder = SentenceEncoder(config.model, threads=config.threads)
    batch: list[FilmRows] = []
    for unit in todo:
        batch.append(film_rows(config.root, unit, encoder))
        if len(batch) == _BATCH:
            store.replace(batch)
            batch = []
    store.replace(batch)
    store.optimise()
    return 0


def plan(root: str, model: str) -> dict[str, Unit]:
    """Every film of the tables, with the stamps of its rows."""
    units = {}
    for name, stamp in sorted(storage.list_stamps(storage.join(root, "speech")).items()):
        if name.endswith(".parquet"):
            film_id = unquote(name.removesuffix(".parquet"))
            units[film_id] = Unit(film_id, {"sentence": model or "all-MiniLM-L6-v2", "speech": stamp})
    return units


def film_rows(root: str, unit: Unit, encoder: Any) -> FilmRows:
    """All rows of a film."""
    film = tables.read_row(root, "films", unit.film_id) or {"uri": "", "duration": 0.0}
    speech = tables.read_row(root, "speech", unit.film_id)
    rows = {"texts": text_rows(speech, encoder)} if speech else {}
    return FilmRows(IndexedFilm(unit.film_id, film["uri"], film["duration"], unit.stamps), rows)


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    p = argparse.ArgumentParser(prog="cinescribe index", description="Tables to an index of moments.")
    p.add_argument("root", metavar="DIR", help="folder or s3://bucket/prefix of the tables (their --out)")
    p.add_argument("--model", default="", help="a sentence encoder by name or path")
    p.add_argument("--threads", type=int, default=0, metavar="N", help="threads to compute with")
    p.add_argument("--quiet", action="store_true", help="say nothing but errors")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    try:
        return run(Config(**vars(parser().parse_args(argv))))
    except (CinescribeError, OSError) as error:
        progress.complain(str(error))
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
