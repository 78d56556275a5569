"""Films to features: `python -m pipelines.extract FILM... --out FOLDER --encoders clip,s3d`.

The stages, each writing its rows into the table of its name:

    films              probe the container, find the shots   a row a film; a task on any CPU
    features/<name>    what an encoder sees or hears         a row a chunk; a worker that holds the encoders

A chunk is one unit of work: decoded once for all encoders that miss it, in a thread beside the networks.
Started again after any stop, a run does what is missing; with further encoders, only those.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any, get_args

from cinescribe import tables
from cinescribe.encoders import catalogue
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.errors import UsageError
from cinescribe.media.frames import Decoder
from cinescribe.media.library import FilmRef, list_films
from pipelines import chunk_plan, cluster, command, plan, progress, units
from pipelines.chunk_plan import ChunkPlan
from pipelines.command import Common
from pipelines.extract_stage import Encoders, FeaturesStage
from pipelines.films import prepare_films
from pipelines.rounds import try_all
from pipelines.run import Record, finish, follow

_SETTING = "encoder "  # what the settings that tell of an encoder begin with


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """One run of the pipeline; see `--help` for what each means."""

    encoders: tuple[str, ...]
    chunk_seconds: float = chunk_plan.CHUNK_SECONDS
    decoder: Decoder = "pyav"
    gpus_per_worker: float = 0.0


@dataclass(frozen=True, slots=True)
class Known:
    """An encoder as it is written in the command, and what is known of it once it was loaded."""

    written: str
    spec: EncoderSpec
    weights: Mapping[str, str]

    @property
    def setting(self) -> dict[str, object]:
        """What the rows depend on."""
        return {**asdict(self.spec), "weights": dict(self.weights)}

    def __str__(self) -> str:
        spec = self.spec
        frames = (
            f"{len(spec.offsets)} frames within {spec.reach:.2f} s" if len(spec.offsets) > 1 else "a frame"
        )
        sees = frames if spec.offsets else f"{spec.window:g} s of sound"
        weights = ", ".join(sorted(self.weights.values()))
        return f"{spec.name}: {spec.hz:g} Hz of {spec.dim} numbers, each of {sees}; weights {weights}"


# ---- the run ------------------------------------------------------------------------------------


def run(config: Config, encoders: Encoders = catalogue) -> int:
    """Do what is missing of a run; 0 when every chunk is done or recorded as failed (with `strict`: is done).

    Raises:
        CinescribeError: nothing to do it on, or with (see the message); what is done stays done.
    """
    if not config.encoders:
        raise UsageError(f"--encoders: none is named; there are: {', '.join(catalogue.ENCODERS)}")
    films = list_films(config.inputs)
    known = _load_once(config.encoders, encoders)
    settings = {"chunk_seconds": config.chunk_seconds, "decoder": config.decoder} | {
        _SETTING + name: encoder.setting for name, encoder in known.items()
    }
    earlier = plan.settings_of(config.out, "extract")
    pending = plan.make_plan(
        config.out,
        "extract",
        films,
        (plan.SHARED,),
        settings=settings,
        settings_grow=True,
        chunk_tables=[
            tables.FEATURES + name.removeprefix(_SETTING)
            for name in sorted({*earlier, *settings})
            if name.startswith(_SETTING)
        ],
        retry_failed=config.retry_failed,
    )
    record = Record(config, "extract", len(films), len(pending))
    record.weights = {name: dict(encoder.weights) for name, encoder in known.items()}
    with ExitStack() as stack:
        if pending:
            stack.enter_context(cluster.session(config.address))
        if not prepare_films(config, "extract", films, pending, record):
            return _end(config, films, known, progress.Report(0, 0, quiet=config.quiet), record)
        chunked = _plan_chunks(config, films, known, retry_failed=config.retry_failed)
        chunk_plan.write(config.out, chunked)
        report = _report(config, chunked)
        record.content["chunks_to_do"] = len(chunked.units)
        if not chunked.units:
            report.say(
                f"Nothing to do: all {report.planned} chunks were done or failed before "
                "(again: --retry-failed)."
            )
        elif not (config.strict and any(stands.failed for stands in chunked.standings.values())):
            with cluster.session(config.address):  # the one that is there, if any
                _process(config, chunked, known, encoders, report, record)
    return _end(config, films, known, report, record)


def _load_once(names: Sequence[str], encoders: Encoders) -> dict[str, Known]:
    """What the encoders are; loaded here once, so that weights that can't be had stop the run at once."""
    known: dict[str, Known] = {}
    for written in names:
        encoder = encoders.load(written)
        if encoder.spec.name in known:
            raise UsageError(
                f"--encoders: {known[encoder.spec.name].written} and {written} would both write "
                f"features/{encoder.spec.name}; run them with different --out"
            )
        known[encoder.spec.name] = Known(written, encoder.spec, dict(encoder.weights))
    return known


def _plan_chunks(
    config: Config, films: Sequence[FilmRef], known: Mapping[str, Known], *, retry_failed: bool
) -> ChunkPlan:
    specs = {name: encoder.spec for name, encoder in known.items()}
    return chunk_plan.make_chunk_plan(
        config.out, films, specs, config.chunk_seconds, retry_failed=retry_failed
    )


def _process(
    config: Config,
    chunked: ChunkPlan,
    known: Mapping[str, Known],
    encoders: Encoders,
    report: progress.Report,
    record: Record,
) -> None:
    """Send the chunks to the workers. Returns early at the first failure when strict."""
    machines = cluster.machines()
    shares = cluster.share(
        machines,
        len(chunked.units),
        "features",
        config.workers,
        config.threads,
        config.gpus_per_worker or cluster.gpu_share(machines),
    )
    for line in _describe(config, chunked, known):
        report.say(line)
    report.say(f"{len(chunked.units)} of {report.planned} chunks to do: {shares}")
    job = command.job(config, "extract")
    films = list({unit.film.film_id: unit.film for unit in chunked.units}.values())

    def attempt(some: Sequence[plan.Unit]) -> bool:
        needed = {stage.removeprefix(tables.FEATURES) for unit in some for stage in unit.todo}
        dataset = cluster.map_workers(
            cluster.source(some),
            FeaturesStage,
            shares,
            len(some),
            job=job,
            written=[encoder.written for name, encoder in known.items() if name in needed],
            length=config.chunk_seconds,
            threads=shares.threads,
            device="cuda" if shares.gpus else "cpu",
            encoders=encoders,
            decoder=config.decoder,
        )
        outcomes = cluster.outcomes(dataset)
        if not follow(outcomes, report, record, strict=config.strict, workers=shares.workers):
            return False
        # A chunk that killed its worker: each encoder by itself, for the others may do well without the one.
        together = {(unit.film.film_id, unit.chunk) for unit in some if len(unit.todo) > 1}
        apart = [
            plan.Unit(unit.film, (stage,), unit.chunk)
            for unit in (missing() if together else ())
            if (unit.film.film_id, unit.chunk) in together
            for stage in unit.todo
        ]
        return not apart or attempt(apart)

    def missing() -> list[plan.Unit]:
        return _plan_chunks(config, films, known, retry_failed=False).units

    lost, why = try_all(chunked.units, attempt, missing, report.say)
    for stage in chunked.standings:
        here = [unit for unit in lost if stage in unit.todo]
        follow(units.write_crashed(job, stage, here, why), report, record)


def _describe(config: Config, chunked: ChunkPlan, known: Mapping[str, Known]) -> Iterator[str]:
    """The plan in words."""
    hours = sum(chunked.durations.values()) / 3600
    films = len(chunked.durations)
    yield f"{films} films, {hours:.2f} h, in chunks of {config.chunk_seconds:g} s"
    for name, encoder in known.items():
        todo = sum(tables.FEATURES + name in unit.todo for unit in chunked.units)
        yield f"  {encoder}; {todo} chunks"


def _report(config: Config, chunked: ChunkPlan) -> progress.Report:
    keys = {key for stands in chunked.standings.values() for key in stands.planned}
    settled = len(keys) - len(chunked.units)
    return progress.Report(len(keys), settled, noun="chunks", every=5.0, quiet=config.quiet)


def _end(
    config: Config,
    films: Sequence[FilmRef],
    known: Mapping[str, Known],
    report: progress.Report,
    record: Record,
) -> int:
    """Count, tell, and give the exit code."""
    did = report.totals.sums
    rows = [(f"features of {name}", str(did[f"of {name}"])) for name in known]
    chunked = _plan_chunks(config, films, known, retry_failed=False)
    standings: dict[str, plan.Standing[Any]] = {
        **plan.standing(config.out, films, (plan.SHARED,)),
        **chunked.standings,
    }
    return finish(config, films, standings, report, record, rows=rows, places=())


# ---- the command --------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    p = argparse.ArgumentParser(
        prog="cinescribe extract",
        description="Features of films: what is seen and heard, by frozen encoders.",
        epilog=command.EXIT_CODES,
    )
    command.add_inputs(p)
    p.add_argument(
        "--encoders",
        required=True,
        type=command.listed,
        metavar="A,B,...",
        help=f"of: {', '.join(catalogue.ENCODERS)}; NAME:MODEL takes another model, NAME@HZ another rate",
    )
    p.add_argument(
        "--chunk-seconds",
        type=_seconds,
        default=chunk_plan.CHUNK_SECONDS,
        metavar="S",
        help="length of the pieces that films are shared out in (default %(default)g)",
    )
    p.add_argument(
        "--decoder",
        choices=get_args(Decoder),
        default="pyav",
        help="of the picture (default %(default)s; decord takes several times the CPU, see docs/speed.md)",
    )
    p.add_argument(
        "--gpus-per-worker",
        type=_fraction,
        default=0.0,
        metavar="X",
        help="share of a GPU each worker takes (default: so much that a worker has four CPU cores to decode)",
    )
    command.add_common(p)
    return p


def _seconds(text: str) -> float:
    if not 1 <= (seconds := float(text)) <= 3600:
        raise argparse.ArgumentTypeError("is from 1 to 3600 seconds")
    return seconds


def _fraction(text: str) -> float:
    if not 0.01 <= (share := float(text)) <= 1:
        raise argparse.ArgumentTypeError("is from 0.01 to 1")
    return share


def main(argv: Sequence[str] | None = None, encoders: Encoders = catalogue) -> int:
    """Run the command; returns its exit code (0 done, 1 failed, 2 usage, 130 interrupted)."""
    arguments = command.common_values(vars(parser().parse_args(argv)))
    return command.exit_code(lambda: run(Config(**arguments), encoders), "extract", arguments["log"])


if __name__ == "__main__":
    raise SystemExit(main())
