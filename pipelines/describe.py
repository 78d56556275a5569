"""Films to audio description: `python -m pipelines.describe FILM... --out FOLDER --model MODEL`.

It reads the tables `speech` and `features/<name>` (the model says which) of the folder. The stages, each
writing one row per film into the table of its name:

    films           probe the container, find the shots               a task on any CPU
    descriptions    say what each interval shows, find it a place     a worker that holds the model

Before the row come the film's files: `files/<film>.described.vtt` and, with a voice, the described track
(`.described.m4a`) and the film with it beside its own sound (`.described.mp4`). A film whose rows changed is
done again; started again after any stop, a run does what is missing. People's corrections (the table
`corrections`) are brought in: a film where they changed is placed, written and spoken again, and what the
machine said of it stays as it is.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from cinescribe import storage, tables
from cinescribe.cineworld.voices import VOICES
from cinescribe.describe import corrections, track
from cinescribe.describe.describer import FilmDescriber
from cinescribe.describe.intervals import merge_shots, read_intervals
from cinescribe.describe.placement import PlacementSettings, Span
from cinescribe.errors import UsageError
from cinescribe.media.library import FilmRef, list_films
from pipelines import cluster, command, described, listing, plan, progress, units
from pipelines.command import Common
from pipelines.describe_stage import TABLE, DescribeStage, Describing
from pipelines.films import prepare_films
from pipelines.rounds import try_all
from pipelines.run import Record, finish, follow

STAGES = (plan.SHARED, TABLE)
_PLAN = "tables/describe"  # of the second stage, which goes by the rows it reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """One run of the pipeline; see `--help` for what each means."""

    describing: Describing
    anew: bool = False


# ---- the run ------------------------------------------------------------------------------------


def run(config: Config) -> int:
    """Do what is missing of a run; 0 when every film is done or recorded as failed (with `strict`: is done).

    Raises:
        CinescribeError: nothing to do it on, or with (see the message); what is done stays done.
    """
    settings = config.describing
    describer = FilmDescriber(Path(settings.model))  # here once: one that can't be had stops the run
    inputs, weight = describer.inputs, describer.weight
    del describer
    given = read_intervals(settings.intervals) if settings.intervals else {}
    cast = _cast(config.out) if inputs.subtitles == "names" else {}
    if settings.voice:
        track.voice_named(settings.voice)
    films = list_films(config.inputs)
    unknown = plan.make_plan(
        config.out, "describe", films, (plan.SHARED,), settings={}, retry_failed=config.retry_failed
    )
    record = Record(config, "describe", len(films), len(unknown))
    record.weights = {"autoad": weight}
    with ExitStack() as stack:
        if unknown:
            stack.enter_context(cluster.session(config.address))
        if not prepare_films(config, "describe", films, unknown, record):
            return _end(config, films, progress.Report(0, 0, quiet=config.quiet), record, {})
        pending = _plan_descriptions(config, films, inputs.features, weight, given)
        changed = _corrected_films(config, films)
        again = changed.keys() - {unit.film.film_id for unit in pending}
        pending += [plan.Unit(changed[film_id][0], (TABLE,)) for film_id in sorted(again)]
        report = progress.Report(len(films), len(films) - len(pending), quiet=config.quiet)
        record.content["films_to_describe"] = len(pending)
        if not pending:
            report.say(
                f"Nothing to do: all {len(films)} films were done or failed before (again: --retry-failed)."
            )
        elif not (config.strict and plan.standing(config.out, films, STAGES)[TABLE].failed):
            _process(config, pending, given, cast, report, record)
    return _end(config, films, report, record, changed)


def _corrected_films(config: Config, films: Sequence[FilmRef]) -> dict[str, tuple[FilmRef, str]]:
    """The films whose description is there and was corrected since, by id, with the stamp it has."""
    stamps = corrections.stamps(config.out)
    found = {}
    for film in films:
        if stamp := stamps.get(tables.file_name(film.film_id).removesuffix(".parquet")):
            try:
                row = tables.read_row(config.out, TABLE, film.film_id)
            except pa.ArrowInvalid as error:
                path = storage.join(config.out, TABLE, tables.file_name(film.film_id))
                why = f"{path}: not a row of that table ({error}); delete it and run again"
                raise UsageError(why) from error
            if row and row.get("corrections") != stamp:
                found[film.film_id] = film, str(row.get("corrections"))
    return found


def _plan_descriptions(
    config: Config, films: Sequence[FilmRef], encoder: str, weight: str, given: Mapping[str, Sequence[Span]]
) -> list[plan.Unit]:
    """The films whose description is missing; their etags change with the rows it is made of."""
    known = listing.rows_of_films(config.out, ("speech", tables.FEATURES + encoder))
    done = plan.standing(config.out, films, (plan.SHARED,))[plan.SHARED].done
    stamped = []
    for film in films:
        if film.film_id in done:
            stamps = {table: listing.together(names) for table, names in known.get(film.film_id, {}).items()}
            stamped.append(replace(film, etag=listing.together({**stamps, plan.SHARED: film.etag})))
    settings = {**asdict(config.describing), "model": weight}
    if given:
        settings["intervals"] = listing.together({film: repr(spans) for film, spans in given.items()})
    made_with = plan.settings_of(config.out, _PLAN)
    anew = config.anew and made_with not in ({}, json.loads(json.dumps(settings)))
    if anew:
        _take_back(config.out)
    return plan.make_plan(
        config.out,
        _PLAN,
        stamped,
        STAGES[1:],
        settings=settings,
        files_of=partial(described.addresses, config.out),
        retry_failed=config.retry_failed or anew,  # what failed by another model may do by this one
    )


def _take_back(out: str) -> None:
    """Delete all that was generated with other settings; the plan last, for it tells of them."""
    for film_id in listing.rows_of_films(out, (TABLE,)):
        for address in described.addresses(out, film_id):
            storage.delete(address)
        tables.delete_row(out, TABLE, film_id)
    storage.delete(plan.address(out, _PLAN))


def _process(
    config: Config,
    pending: Sequence[plan.Unit],
    given: Mapping[str, Sequence[Span]],
    cast: Mapping[str, Sequence[str]],
    report: progress.Report,
    record: Record,
) -> None:
    """Describe the films, by Ray or, by one worker on this machine, here."""
    job = replace(command.job(config, _PLAN), films=bool(config.describing.voice))
    if config.workers == 1 and not (config.address or os.environ.get("RAY_ADDRESS")):
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        work = DescribeStage(job, config.describing, given, cast, config.threads, device)
        here = (units.leave(work(units.board(unit))) for unit in pending)
        follow(here, report, record, strict=config.strict)
        return
    with cluster.session(config.address):
        machines = cluster.machines()
        shares = cluster.share(
            machines, len(pending), "features", config.workers, config.threads, cluster.gpu_share(machines)
        )
        report.say(f"{len(pending)} of {report.planned} films to do: {shares}")
        films = [unit.film for unit in pending]

        def attempt(some: Sequence[plan.Unit]) -> bool:
            dataset = cluster.map_workers(
                cluster.source(some),
                DescribeStage,
                shares,
                len(some),
                job=job,
                settings=config.describing,
                given=given,
                cast=cast,
                threads=shares.threads,
                device="cuda" if shares.gpus else "cpu",
            )
            outcomes = cluster.outcomes(dataset)
            return follow(outcomes, report, record, strict=config.strict, workers=shares.workers)

        def missing() -> list[plan.Unit]:
            return plan.units_left(config.out, films, (TABLE,))

        lost, why = try_all(pending, attempt, missing, report.say)
        follow(units.write_crashed(job, TABLE, lost, why), report, record)


def _cast(out: str) -> Mapping[str, Sequence[str]]:
    """The characters' names by film, of `cast.json` in the folder of the tables."""
    address = storage.join(out, "cast.json")
    try:
        found: dict[str, list[str]] = json.loads(storage.read_bytes(address))
    except (FileNotFoundError, ValueError) as error:
        raise UsageError(
            f"{address}: the model was trained on names alone and needs them, {{film: [names]}} ({error})"
        ) from error
    return found


def _end(
    config: Config,
    films: Sequence[FilmRef],
    report: progress.Report,
    record: Record,
    changed: Mapping[str, tuple[FilmRef, str]],
) -> int:
    """Count, tell, and give the exit code; `changed`: films whose corrections were to be brought in."""
    did = report.totals.sums
    rows = [
        ("sentences", str(did["sentences"])),
        ("of them placed", str(did["cues"])),
        ("description", f"{did['described'] / 60:.1f} min"),
        ("corrected by people", f"{did['corrected']} sentences"),
    ]
    if did["without"]:
        rows.append(("corrections left over", f"{did['without']}, of intervals that are no more"))
    places = [("files", storage.join(config.out, "files"))]
    standings = plan.standing(config.out, films, STAGES)
    code = finish(config, films, standings, report, record, rows=rows, places=places)
    now = _corrected_films(config, [film for film, _ in changed.values()])
    if left := [film_id for film_id, known in now.items() if known == changed[film_id]]:
        progress.complain(
            f"{len(left)} of {len(films)} films have corrections that are not in their description yet "
            f"({', '.join(left[:3])}); see the table errors, and run the same command again"
        )
        return code or 1
    return code


# ---- the command --------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    place_, plain = PlacementSettings(), Describing(model="")
    p = argparse.ArgumentParser(
        prog="cinescribe describe",
        description="Audio description of films by a trained AutoAD, placed where nobody speaks.",
        epilog=command.EXIT_CODES,
    )
    command.add_inputs(p)
    p.add_argument(
        "--model",
        type=command.model_folder,
        required=True,
        metavar="M",
        help="folder of an AutoAD: RUN/best of `cinescribe train autoad`",
    )

    def number(name: str, default: float, text: str) -> None:
        p.add_argument(name, type=float, default=default, metavar="X", help=f"{text} (default {default:g})")

    p.add_argument(
        "--beams", type=command.positive, default=plain.beams, metavar="N", help="default %(default)s"
    )
    p.add_argument(
        "--intervals",
        default="",
        metavar="FILE.csv",
        help="what to describe in place of the shots: columns film_id, start, end (seconds)",
    )
    number("--shortest", plain.shortest, "seconds; shorter shots are joined")
    number("--longest", plain.longest, "seconds; longer ones are cut into equal parts")
    number("--wpm", place_.words_per_minute, "words a minute, where no voice is measured")
    number("--shortest-gap", place_.shortest_gap, "seconds of a pause of the dialogue that is used")
    number("--apart", place_.apart, "seconds between a cue and a line or another cue")
    number("--early", place_.early, "seconds a cue may begin before what it describes")
    number("--late", place_.late, "seconds a cue may end after it")
    p.add_argument(
        "--over-narrator", action="store_true", help="place cues also where the film's own narrator speaks"
    )
    p.add_argument(
        "--voice",
        choices=[voice.name for voice in VOICES],
        default="",
        help="also write the described track and the film with it; needs 'cinescribe[voices]'; English",
    )
    number("--duck", plain.duck, "dB by which the film is lowered under the voice")
    p.add_argument(
        "--anew",
        action="store_true",
        help="where descriptions were made with another model or other settings: make all of them anew; "
        "people's corrections stay",
    )
    command.add_common(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code (0 done, 1 failed, 2 usage, 130 interrupted)."""
    arguments: dict[str, Any] = command.common_values(vars(parser().parse_args(argv)))
    names = ("beams", "intervals", "shortest", "longest", "over_narrator", "voice", "duck")
    chosen = {name: arguments.pop(name) for name in names}
    model = os.path.abspath(arguments.pop("model"))
    spaces = {name: arguments.pop(name) for name in ("shortest_gap", "apart", "early", "late")}
    rate = arguments.pop("wpm")

    def start() -> int:
        placement = PlacementSettings(words_per_minute=rate, **spaces)
        track.Mix(duck=chosen["duck"])
        merge_shots([], chosen["shortest"], chosen["longest"])
        return run(Config(describing=Describing(model=model, placement=placement, **chosen), **arguments))

    return command.exit_code(start, "describe", arguments["log"])


if __name__ == "__main__":
    raise SystemExit(main())
