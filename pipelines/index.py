"""Tables of speech, descriptions and features to an index of moments: `python -m pipelines.index DIR`.

The rows of films whose tables changed since they were last indexed are made anew; turning sentences into
vectors is the work, and many films are shared out by Ray. This process alone commits them, some films at a
time, each in place of its old rows. Films that left the tables leave the index. Started again after any stop,
a run does what is missing.
"""

import argparse
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from cinescribe import storage, tables
from cinescribe.describe import corrections
from cinescribe.encoders import text as sentences
from cinescribe.encoders.visual_words import Kind
from cinescribe.errors import CinescribeError, UsageError
from cinescribe.media.library import FilmRef
from cinescribe.search.documents import clip_rows, generated_rows, text_rows, word_rows
from cinescribe.search.store import EVIDENCE, FilmRows, IndexedFilm, Store
from pipelines import cluster, command, listing, plan, progress, units
from pipelines.units import Passenger

_STAGE = "index"
_TEXTS = ("speech", "descriptions")
_KINDS: tuple[Kind, ...] = ("objects", "actions")
_COMMIT_ROWS = 20_000  # rows of evidence a commit, about
_COMMIT_SECONDS = 60.0  # after which what there is is committed
_RAY_FROM = 100  # films; Ray takes as long to start as one process takes for some thousand sentences


@dataclass(frozen=True, slots=True)
class Config:
    """One run of the pipeline; see `--help` for what each means."""

    root: str
    clip: str = ""
    strict: bool = False
    workers: int = 0
    threads: int = 0
    address: str = ""
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Film:
    """A film of the tables.

    Attributes:
        files: by table, the names of its files.
        stamps: by table, what changes with its rows; and by what they are encoded.
    """

    film_id: str
    files: Mapping[str, tuple[str, ...]]
    stamps: Mapping[str, str]


# ---- a film -------------------------------------------------------------------------------------


class FilmIndexer:
    """Makes the rows of films, with a sentence encoder that is loaded once."""

    def __init__(self, root: str, clip: str, threads: int, device: str) -> None:
        self.root, self.clip = root, clip
        self.fault = ""
        try:
            self.encoder = sentences.SentenceEncoder(threads=threads, device=device)
        except Exception as error:  # told with the first film: Ray buries what a constructor raises
            self.fault = str(error) if isinstance(error, CinescribeError) else repr(error)

    def __call__(self, passenger: Passenger) -> Passenger:
        """The rows of one film, or why there are none; each table's as Arrow IPC."""
        film_id = passenger["film_id"]
        if self.fault:
            return {**passenger, "message": self.fault}
        try:
            rows, clip_model = self.work(film_id)
        except CinescribeError as error:
            return {**passenger, "stage": _STAGE, "kind": "damaged", "message": str(error)}
        except pa.ArrowInvalid as error:
            name = tables.file_name(film_id)
            places = " or ".join(storage.join(self.root, table, name) for table in _TEXTS)
            why = f"{places}: not a row of that table ({error}); delete it and make it again"
            return {**passenger, "stage": _STAGE, "kind": "damaged", "message": why}
        except Exception as error:
            what = " ".join(f"{type(error).__name__}: {error}".split())
            return {**passenger, "stage": _STAGE, "kind": "unexpected", "message": f"{film_id}: {what}"}
        made = {table: to_bytes(rows[table]) if table in rows else b"" for table in EVIDENCE}
        return {**passenger, **made, "clip_model": clip_model}

    def work(self, film_id: str) -> tuple[dict[str, pa.Table], str]:
        """The rows of a film, by table of the index, and the model of its CLIP features."""
        rows, clip_model = {}, ""
        texts = []
        if (speech := tables.read_row(self.root, "speech", film_id)) is not None:
            if speech["film_id"] != film_id:
                path = storage.join(self.root, "speech", tables.file_name(film_id))
                raise UsageError(f"{path}: holds another film's speech; delete it and transcribe again")
            texts.append(text_rows(speech, self.encoder))
        if (described := tables.read_row(self.root, "descriptions", film_id)) is not None:
            texts.append(generated_rows(described, corrections.read(self.root, film_id), self.encoder))
        if texts:
            rows["texts"] = pa.concat_tables(texts)
        features = {kind: tables.read_features(self.root, kind, film_id) for kind in _KINDS}
        if known := {kind: film for kind, film in features.items() if film is not None}:
            rows["visuals"] = word_rows(film_id, known)
        if self.clip and (film := tables.read_features(self.root, self.clip, film_id)) is not None:
            rows["clip"], clip_model = clip_rows(film_id, film), film.weights["clip"]
        return rows, clip_model


def to_bytes(rows: pa.Table) -> bytes:
    """Rows as Arrow IPC."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()


# ---- the run ------------------------------------------------------------------------------------


def run(config: Config) -> int:
    """Bring the index up to date; 0 when every film is indexed or recorded as failed (strict: is indexed).

    Raises:
        CinescribeError: nothing to do it on, or with (see the message); what is committed stays.
    """
    store = Store(config.root)
    there = store.films()  # before the tables are listed, so that no film looks as if it had left them
    clip = config.clip or _clip_table(config.root, there)
    films = find_films(config.root, clip)
    if not films:
        raise UsageError(
            f"{config.root}: no tables of speech or features there; run `cinescribe transcribe ... --out "
            f"{config.root}` first"
        )
    gone = sorted(there.keys() - films.keys())
    store.remove(gone)
    todo = [film for film in films.values() if film.film_id not in there or _changed(there, film)]
    report = _Report(len(films), len(films) - len(todo), quiet=config.quiet)
    failed: dict[str, str] = {}
    if todo:
        with report:
            failed = _process(config, store, clip, todo, report)
    if todo or gone:
        report.say("making the index fast ...")
        store.optimise()
    return _end(config, store, films, failed, len(gone), report)


def _changed(there: Mapping[str, IndexedFilm], film: Film) -> bool:
    return there[film.film_id].stamps != film.stamps


def _clip_table(root: str, there: Mapping[str, IndexedFilm]) -> str:
    """The table of CLIP features to index; "" when there is none."""
    found = [name for name in tables.encoders_of(root) if name.startswith("clip")]
    used = {film.stamps["clip_table"] for film in there.values() if "clip_table" in film.stamps}
    if len(found) > 1 and len(used) == 1 and used <= set(found):
        return used.pop()
    if len(found) > 1:
        raise UsageError(f"{root}: features of several CLIP models ({', '.join(found)}); choose with --clip")
    return found[0] if found else ""


def find_films(root: str, clip: str) -> dict[str, Film]:
    """Every film that the tables have something of, by id."""
    encoders = set(tables.encoders_of(root))
    if clip and clip not in encoders:
        raise UsageError(f"{root}: no features {clip!r}; there are: {', '.join(sorted(encoders)) or 'none'}")
    chosen = [tables.FEATURES + name for name in (*_KINDS, clip) if name in encoders]
    films = {}
    for film_id, by_table in listing.rows_of_films(root, (*_TEXTS, corrections.TABLE, *chosen)).items():
        if "descriptions" not in by_table:
            by_table.pop(corrections.TABLE, None)
        if not by_table:
            continue
        stamps = {table: listing.together(names) for table, names in by_table.items()}
        stamps["sentence"] = sentences.DEFAULT
        if clip and tables.FEATURES + clip in by_table:
            stamps["clip_table"] = clip
        names_of = {table: tuple(sorted(names)) for table, names in by_table.items()}
        films[film_id] = Film(film_id, names_of, stamps)
    return films


def _process(
    config: Config, store: Store, clip: str, todo: Sequence[Film], report: "_Report"
) -> dict[str, str]:
    """Make and commit the rows of these films; ids and messages of those that failed."""
    films = {film.film_id: film for film in todo}
    failed: dict[str, str] = {}
    batch: list[FilmRows] = []
    since = time.monotonic()
    for passenger in _rows(config, clip, todo):
        film_id = passenger["film_id"]
        if passenger["message"] and not passenger["stage"]:
            raise CinescribeError(passenger["message"])
        key = tables.error_key(_STAGE, film_id)
        if passenger["message"]:
            failed[film_id] = passenger["message"]
            row = tables.error_row(film_id, _STAGE, passenger["kind"], passenger["message"])
            tables.write_row(config.root, "errors", key, row)
            report.film(film_id, 0, passenger["message"])
            if config.strict:
                break
            continue
        made = {table: passenger[table] for table in EVIDENCE if passenger[table]}
        rows = {table: pa.ipc.open_stream(some).read_all() for table, some in made.items()}
        batch.append(FilmRows(_indexed(config.root, films[film_id], passenger["clip_model"]), rows))
        tables.delete_row(config.root, "errors", key)
        report.film(film_id, sum(part.num_rows for part in rows.values()), "")
        size = sum(part.num_rows for film in batch for part in film.rows.values())
        if size >= _COMMIT_ROWS or time.monotonic() - since > _COMMIT_SECONDS:
            store.replace(batch)
            batch, since = [], time.monotonic()
    store.replace(batch)
    return failed


def _indexed(root: str, film: Film, clip_model: str) -> IndexedFilm:
    row = tables.read_row(root, "films", film.film_id) or {"uri": "", "duration": 0.0}
    return IndexedFilm(film.film_id, row["uri"], row["duration"], film.stamps, clip_model)


def _rows(config: Config, clip: str, todo: Sequence[Film]) -> Iterator[Passenger]:
    """The rows of each film, as they are made: here, or by Ray where films are many or a cluster is told."""
    refs = [plan.Unit(FilmRef(film.film_id, "", 0, ""), (_STAGE,)) for film in todo]
    elsewhere = config.address or os.environ.get("RAY_ADDRESS")
    if not elsewhere and config.workers <= 1 and (config.workers == 1 or len(todo) < _RAY_FROM):
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        indexer = FilmIndexer(config.root, clip, config.threads, device)
        yield from (indexer(units.board(unit)) for unit in refs)
        return
    with cluster.session(config.address):
        yield from _rows_by_ray(config, clip, refs)


def _rows_by_ray(config: Config, clip: str, refs: Sequence[plan.Unit]) -> Iterator[Passenger]:
    shares = cluster.share(cluster.machines(), len(refs), "small", config.workers, config.threads)
    device = "cuda" if shares.gpus else "cpu"
    dataset = cluster.map_workers(
        cluster.source(refs),
        FilmIndexer,
        shares,
        len(refs),
        root=config.root,
        clip=clip,
        threads=shares.threads,
        device=device,
    )
    missing = {unit.film.film_id: unit.film for unit in refs}
    for block in dataset.iter_batches(batch_size=1, prefetch_batches=0, batch_format="pyarrow"):
        for passenger in block.to_pylist():
            del missing[passenger["film_id"]]
            yield passenger
    for film_id in missing:
        why = (
            f"{film_id}: killed its process each of the {units.TRIES} times it was tried; use a machine with "
            "more memory and run the same command again"
        )
        yield {"film_id": film_id, "stage": _STAGE, "kind": "crashed", "message": why}


def _end(
    config: Config,
    store: Store,
    films: Mapping[str, Film],
    failed: Mapping[str, str],
    gone: int,
    report: "_Report",
) -> int:
    """Count, tell, and give the exit code."""
    there = store.films()
    done = [film for film in films.values() if film.film_id in there and not _changed(there, film)]
    progress.failures(
        report.console,
        [row for row in tables.read_table(config.root, "errors").to_pylist() if row["film_id"] in failed]
        if failed
        else (),
    )
    missing = len(films) - len(done) - len(failed)
    rows = [("films", f"{len(films)} planned = {len(done)} done + {len(failed)} failed")]
    if missing:
        rows.append(("not done, or changed meanwhile", str(missing)))
    if gone:
        rows.append(("left the tables, and the index", str(gone)))
    rows += [(name, f"{count} rows") for name, count in store.counts().items()]
    rows += [("time taken", f"{time.monotonic() - report.began:.1f} s"), ("index", store.uri)]
    report.summary(rows)
    if missing or (config.strict and failed):
        why = "are to do; run the same command again" if missing else "failed, and --strict was given"
        progress.complain(f"{missing or len(failed)} of {len(films)} films {why}")
        return 1
    return 0


class _Report:
    """A live bar on a terminal, a line for each film elsewhere, nothing when quiet."""

    def __init__(self, planned: int, settled: int, *, quiet: bool) -> None:
        self.console = Console(quiet=quiet, soft_wrap=True)
        self.planned, self.finished, self.began = planned, settled, time.monotonic()
        self._live = self.console.is_terminal and not quiet
        self._bar = Progress(console=self.console, transient=True)
        self._task = self._bar.add_task("films", total=planned, completed=settled)

    def __enter__(self) -> "_Report":
        if self._live:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._bar.stop()

    def say(self, text: str) -> None:
        self.console.print(escape(text), highlight=False)

    def film(self, film_id: str, rows: int, message: str) -> None:
        self.finished += 1
        if message or not self._live:
            what = "failed" if message else f"{rows} rows"
            self.say(f"[{self.finished}/{self.planned}] {film_id}  {what}")
        self._bar.update(self._task, completed=self.finished)

    def summary(self, rows: Sequence[tuple[str, str]]) -> None:
        table = Table(show_header=False, box=None, pad_edge=False)
        for name, value in rows:
            table.add_row(name, escape(value))
        self.console.print(table)


# ---- the command --------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    p = argparse.ArgumentParser(
        prog="cinescribe index",
        description="Tables of speech and features to an index of moments, for `cinescribe search`.",
        epilog="Exit code 0 when every film is indexed or recorded in errors, 1 when not, or with --strict "
        "when one failed, 2 when nothing can be done as asked.",
    )
    p.add_argument("root", metavar="DIR", help="folder or s3://bucket/prefix of the tables (their --out)")
    p.add_argument("--clip", default="", metavar="NAME", help="which CLIP features, where there are several")
    p.add_argument("--strict", action="store_true", help="stop at the first film that fails, exit code 1")
    p.add_argument(
        "--workers",
        type=command.positive,
        default=0,
        metavar="N",
        help="processes; 1: without Ray",
    )
    p.add_argument("--threads", type=command.positive, default=0, metavar="N", help="threads of each of them")
    p.add_argument("--address", default="", help="a running Ray cluster; else RAY_ADDRESS, else this machine")
    p.add_argument("--quiet", action="store_true", help="say nothing but errors")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code (0 done, 1 failed, 2 usage, 130 interrupted)."""
    arguments: dict[str, Any] = vars(parser().parse_args(argv))
    root = arguments.pop("root")
    config = Config(root if storage.is_s3(root) else os.path.abspath(root), **arguments)
    return command.exit_code(lambda: run(config))


if __name__ == "__main__":
    raise SystemExit(main())
