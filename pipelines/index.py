"""Tables of speech, descriptions and features to an index of moments: `python -m pipelines.index DIR`.

The rows of films whose tables changed since they were last indexed are made anew; turning sentences into
vectors is the work, and many films are shared out by Ray. This process alone commits them, some films at a
time, each in place of its old rows. Films that left the tables leave the index. Started again after any stop,
a run does what is missing.
"""

import argparse
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from cinescribe import storage, tables
from cinescribe.errors import CinescribeError, UsageError
from cinescribe.search.embedding import WINDOW
from cinescribe.search.store import EVIDENCE, FilmRows, IndexedFilm, IndexModel, Store
from pipelines import command, progress
from pipelines.events import Events
from pipelines.index_films import STAGE, Film, Model, find_films, lacking, model_for, parts_of
from pipelines.index_rows import check_fits, rows_of
from pipelines.run import new_run_id
from pipelines.units import Passenger, leave

_COMMIT_ROWS = 20_000  # rows of evidence a commit, about
_COMMIT_SECONDS = 60.0  # after which what there is is committed


@dataclass(frozen=True, slots=True)
class Config:
    """One run of the pipeline; see `--help` for what each means."""

    root: str
    clip: str = ""
    model: str = ""
    no_model: bool = False
    window: float = 0.0
    strict: bool = False
    workers: int = 0
    threads: int = 0
    address: str = ""
    log: str = ""
    quiet: bool = False


# ---- the run ------------------------------------------------------------------------------------


def run(config: Config) -> int:
    """Bring the index up to date; 0 when every film is indexed or recorded as failed (strict: is indexed).

    Raises:
        CinescribeError: nothing to do it on, or with (see the message); what is committed stays.
    """
    if not storage.is_s3(config.root) and not os.path.isdir(config.root):
        raise UsageError(f"{config.root}: no such folder; name the one that holds the tables")
    store = Store(config.root)
    model = model_for(store, config.model, config.window, without=config.no_model)
    if config.no_model:
        store.forget_model()
    there = store.films()  # before the tables are listed, so that no film looks as if it had left them
    clip = config.clip or _clip_table(config.root, there)
    films = find_films(config.root, clip, model)
    if not films:
        raise UsageError(
            f"{config.root}: no tables of speech or features there; run `cinescribe transcribe ... --out "
            f"{config.root}` first"
        )
    events = Events("index", new_run_id(), config.log)
    if model is not None and model.told != (held := store.model()):
        check_fits(config.root, films, model, replaces=held is not None)
        store.use_model(model.told, model.encoder.dim)
    gone = sorted(there.keys() - films.keys())
    store.remove(gone)
    todo = {name: parts for name, film in films.items() if (parts := parts_of(film, there.get(name)))}
    report = _Report(len(films), len(films) - len(todo), quiet=config.quiet)
    failed: dict[str, str] = {}
    events.begin(len(films), len(todo))
    if todo:
        told = model.told if model else None
        with report, events.metrics:
            made = rows_of(
                config.root,
                clip,
                told,
                todo,
                workers=config.workers,
                threads=config.threads,
                address=config.address,
            )
            failed = _process(config, store, films, there, todo, made, report, events, told)
    if todo or gone:
        report.say("making the index fast ...")
        store.optimise()
    return _end(config, store, films, failed, len(gone), report, events, model)


def _clip_table(root: str, there: Mapping[str, IndexedFilm]) -> str:
    """The table of CLIP features to index; "" when there is none."""
    found = [name for name in tables.encoders_of(root) if name.startswith("clip")]
    used = {film.stamps["clip_table"] for film in there.values() if "clip_table" in film.stamps}
    if len(found) > 1 and len(used) == 1 and used <= set(found):
        return used.pop()
    if len(found) > 1:
        raise UsageError(f"{root}: features of several CLIP models ({', '.join(found)}); choose with --clip")
    return found[0] if found else ""


def _process(
    config: Config,
    store: Store,
    films: Mapping[str, Film],
    there: Mapping[str, IndexedFilm],
    todo: Mapping[str, tuple[str, ...]],
    made: Iterable[Passenger],
    report: "_Report",
    events: Events,
    model: IndexModel | None,
) -> dict[str, str]:
    """Commit the rows of films as they are made; ids and messages of those that failed."""
    failed: dict[str, str] = {}
    batch: list[FilmRows] = []
    since = time.monotonic()
    for passenger in made:
        film_id = passenger["film_id"]
        outcome = leave(passenger)
        if outcome.message and not outcome.stage:
            raise CinescribeError(outcome.message)
        key = tables.error_key(STAGE, film_id)
        rows = {
            table: pa.ipc.open_stream(passenger[table]).read_all()
            for table in EVIDENCE
            if passenger.get(table)
        }
        replaces = todo[film_id]
        if outcome.message:
            failed[film_id] = outcome.message
            row = tables.error_row(film_id, STAGE, outcome.kind, outcome.message)
            tables.write_row(config.root, "errors", key, row)
            report.film(film_id, 0, outcome.message)
            events.unit(outcome)
            if config.strict:
                break
            if not rows:
                continue
            # The model alone could not read it: what else there is of the film is indexed.
            replaces = tuple(table for table in replaces if table != "model")
        if todo[film_id] == EVIDENCE:
            indexed = _indexed(config.root, films[film_id], passenger["clip_model"])
        else:
            indexed = replace(there[film_id], stamps=films[film_id].stamps)
        batch.append(FilmRows(indexed, rows, replaces))
        if not outcome.message:
            tables.delete_row(config.root, "errors", key)
            report.film(film_id, sum(part.num_rows for part in rows.values()), "")
            events.unit(replace(outcome, numbers={**outcome.numbers, "duration": indexed.duration}))
        events.metrics.show("cinescribe_queue_units", report.planned - report.finished)
        size = sum(part.num_rows for film in batch for part in film.rows.values())
        if size >= _COMMIT_ROWS or time.monotonic() - since > _COMMIT_SECONDS:
            store.replace(batch, model)
            batch, since = [], time.monotonic()
    store.replace(batch, model)
    return failed


def _indexed(root: str, film: Film, clip_model: str) -> IndexedFilm:
    row = tables.read_row(root, "films", film.film_id) or {"uri": "", "duration": 0.0}
    return IndexedFilm(film.film_id, row["uri"], row["duration"], film.stamps, clip_model)


def _end(
    config: Config,
    store: Store,
    films: Mapping[str, Film],
    failed: Mapping[str, str],
    gone: int,
    report: "_Report",
    events: Events,
    loaded: Model | None,
) -> int:
    """Count, tell, and give the exit code."""
    there = store.films()
    done = [film for film in films.values() if not parts_of(film, there.get(film.film_id))]
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
    if (model := store.model()) is not None:
        without = sum("model" not in film.stamps for film in films.values())
        rows.append(("model", f"{model.folder}, windows of {model.window:g} s"))
        if without:
            rows.append(("films without the model's features", str(without)))
        if loaded is not None and (some := lacking(films, loaded)):
            told = ", ".join(f"{table} {count}" for table, count in some.items())
            rows.append(("films that lack of what it reads", told))
    counts = store.counts()
    if model is None:
        counts.pop("model", None)
    rows += [(name, f"{count} rows") for name, count in counts.items()]
    rows += [("time taken", f"{time.monotonic() - report.began:.1f} s"), ("index", store.uri)]
    report.summary(rows)
    events.end({STAGE: {"planned": len(films), "done": len(done), "failed": len(failed)}})
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
        self.console.print(escape(progress.printable(text)), highlight=False)

    def film(self, film_id: str, rows: int, message: str) -> None:
        self.finished += 1
        if message or not self._live:
            what = "failed" if message else f"{rows} rows"
            self.say(f"[{self.finished}/{self.planned}] {film_id}  {what}")
        self._bar.update(self._task, completed=self.finished)

    def summary(self, rows: Sequence[tuple[str, str]]) -> None:
        table = Table(show_header=False, box=None, pad_edge=False)
        for name, value in rows:
            table.add_row(name, escape(progress.printable(value)))
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
    p.add_argument(
        "--model",
        type=command.model_folder,
        default="",
        metavar="RUN/best",
        help="a trained Collaborative Experts or Prompting CLIP that finds moments by what is seen; the next "
        "runs go on with it",
    )
    p.add_argument("--no-model", action="store_true", help="take the trained model's rows out of the index")
    p.add_argument(
        "--window",
        type=_window,
        default=0.0,
        metavar="S",
        help=f"seconds of film that the model looks at together (default: as the index has them of this "
        f"model, else {WINDOW:g})",
    )
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
    command.add_log(p)
    p.add_argument("--quiet", action="store_true", help="say nothing but errors")
    return p


def _window(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.5 <= seconds <= 600:
        raise argparse.ArgumentTypeError(f"{text!r}: give seconds, from 0.5 to 600")
    return seconds


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code (0 done, 1 failed, 2 usage, 130 interrupted)."""
    arguments: dict[str, Any] = vars(parser().parse_args(argv))
    root = arguments.pop("root")
    config = Config(root if storage.is_s3(root) else os.path.abspath(root), **arguments)
    return command.exit_code(lambda: run(config), "index", config.log)


if __name__ == "__main__":
    raise SystemExit(main())
