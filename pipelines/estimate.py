"""What a run would take, before it: `cinescribe plan FILM... --cluster FILE.yaml`.

A library that is still on paper is told by numbers: `cinescribe plan --films 7057 --hours 12510`.

The films are listed as the pipelines list them and measured (of films on S3 a few, the others by their size);
what is done under `--out` is left away. Times come from measured rates (`pipelines.rates`), and are a range:

    least    the least that was measured, spread evenly over all cores, encoders sharing the decoding
    most     the most, the longest film last and alone on a worker, workers that get into each other's way

What looks at the picture of films with more pixels than the one that was measured costs at least the same and
at most as many times as much: a network sees frames of its own size, decoding does not. With fewer, less.

Nothing is written, and no Ray is started.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape

from cinescribe import storage, tables
from cinescribe.errors import UsageError
from pipelines import cluster, command, left, progress
from pipelines.left import Work
from pipelines.rates import LAPTOP, Cluster, Cost, Rates, read_cluster, read_rates

PIPELINES = ("transcribe", "extract", "describe", "index")
_DEFAULT = ("transcribe", "extract", "index")
_MOST_ON_PAPER = 100_000  # films, and hours: chunk by chunk, so many take ten seconds and 1.4 GB
Span = tuple[float, float]  # the least and the most


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one pipeline on one cluster; spans are the least and the most.

    Attributes:
        work: what it has to do.
        workers, threads: that it would have.
        core_hours, gpu_hours: of work.
        hours: until it is done.
        price: of the whole cluster in that time; None where it has no price.
    """

    work: Work
    workers: int
    threads: int
    core_hours: Span
    gpu_hours: Span
    hours: Span
    price: Span | None


def estimate(work: Work, rates: Rates, where: Cluster, profile: str) -> Estimate:
    """What that work takes there.

    Args:
        work: of a pipeline.
        rates: what was measured.
        where: the cluster.
        profile: of its workers, as `pipelines.cluster.share` takes it.

    Raises:
        UsageError: a stage of it was not measured.
    """
    costs = {stage: _cost(rates, stage) for stage in work.seconds}
    shared = rates.together if sum(stage.startswith(tables.FEATURES) for stage in work.seconds) > 1 else 1.0

    def sums(seconds: Mapping[str, float]) -> tuple[Span, Span]:
        cores: list[Span] = []
        gpus: list[Span] = []
        for stage, many in seconds.items():
            part = shared if stage.startswith(tables.FEATURES) else 1.0
            size = work.pixels / rates.pixels if stage in work.seen and work.pixels else 1.0
            low, high = (factor * many / 3600 / 3600 for factor in (part * min(1.0, size), max(1.0, size)))
            for column, span in ((cores, costs[stage].core_seconds), (gpus, costs[stage].gpu_seconds)):
                column.append((low * span[0], high * span[1]))
        return _total(cores), _total(gpus)

    core_hours, gpu_hours = sums(work.seconds)
    longest, longest_gpu = sums(work.longest)
    machines = where.resources(gpus=rates.by_gpu)
    gpu_share = cluster.gpu_share(machines) if profile == "features" else 1.0
    shares = cluster.share(machines, max(1, work.units), profile, gpus_per_worker=gpu_share)
    workers, gpus = shares.workers, where.total("gpus") if rates.by_gpu else 0
    start = sum(cost.start_seconds for cost in costs.values()) / 3600
    least = max(core_hours[0] / where.total("cores"), longest[0] / shares.threads)
    most = ((core_hours[1] - longest[1]) / workers + longest[1]) / rates.efficiency + start
    if gpus:
        least = max(least, gpu_hours[0] / gpus, longest_gpu[0])
        most = max(most, (gpu_hours[1] - longest_gpu[1]) / gpus + longest_gpu[1] + start)
    hours = (least, most) if work.units else (0.0, 0.0)
    price = where.price
    paid = None if price is None else (price * hours[0], price * hours[1])
    return Estimate(work, workers, shares.threads, core_hours, gpu_hours, hours, paid)


def _cost(rates: Rates, stage: str) -> Cost:
    if stage not in rates.stages:
        there = ", ".join(rates.stages)
        name = stage.removeprefix(tables.FEATURES)
        how = "--describe RUN/best " if stage == "descriptions" else f"--encoders {name} " * (name != stage)
        raise UsageError(
            f"no rate of {stage} was measured (there are: {there}); measure it: python -m benchmarks.rates "
            f"{how}--out rates.json, and give --rates rates.json"
        )
    return rates.stages[stage]


def _total(spans: Sequence[Span]) -> Span:
    return sum(span[0] for span in spans), sum(span[1] for span in spans)


# ---- the command --------------------------------------------------------------------------------


def run(options: argparse.Namespace) -> int:
    """Measure the films, or take those on paper, and print what they take."""
    on_paper = options.films is not None or options.hours is not None
    if on_paper and (options.inputs or options.out or not (options.films and options.hours)):
        raise UsageError("--films and --hours go together, and with no films named and no --out")
    if not on_paper and not options.inputs:
        raise UsageError("name films, folders or s3://, or tell of a library: --films N --hours H")
    out = options.out if not options.out or storage.is_s3(options.out) else os.path.abspath(options.out)
    rates, where = read_rates(options.rates), read_cluster(options.cluster)
    faults: list[str] = []
    if on_paper:
        films = left.films_on_paper(options.films, options.hours)
    else:
        films, faults = left.measure_films(options.inputs, out)
    profile = rates.measured.get("profile", "small")
    made = [
        estimate(work, rates, where, profile if work.pipeline == "transcribe" else "features")
        for work in left.works(out, films, options.stages, options.encoders)
    ]
    _print(films, faults, out, rates, where, made)
    return 0


def _print(
    films: Sequence[left.Measured],
    faults: Sequence[str],
    out: str,
    rates: Rates,
    where: Cluster,
    made: Sequence[Estimate],
) -> None:
    console = Console(soft_wrap=True, highlight=False)

    def say(text: str) -> None:
        console.print(escape(progress.printable(text)))

    for fault in faults:
        say(f"can't be read: {fault}")
    hours = sum(film.seconds for film in films) / 3600
    say(f"films     {len(films)}, {hours:.2f} h" + (f"; {len(faults)} more can't be read" if faults else ""))
    if guessed := sum(film.guessed for film in films):
        say(f"          the length of {guessed} on S3 was reckoned by size from films that were measured")
    say(f"cluster   {_cluster(where)}")
    if out:
        say(f"out       {out}: what is done there is left away")
    rows = [("", "to do", "workers", "core hours", "GPU hours", "time", f"cost {where.currency}".strip())]
    for one in made:
        work = one.work
        todo = f"{work.films} films, {work.hours:.2f} h" if work.units else "nothing"
        rows.append((work.pipeline, todo, f"{one.workers} x {one.threads}", *_row(one)))
    if len(made) > 1:
        paid = None if where.price is None else _total([one.price or (0.0, 0.0) for one in made])
        cores, gpus, times = (
            _total([getattr(one, name) for one in made]) for name in ("core_hours", "gpu_hours", "hours")
        )
        rows.append(("one by one", "", "", _span(cores), _span(gpus), _times(times), _money(paid)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    say("")
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    say("")
    for line in _assumptions(rates, where, max((one.work.pixels for one in made), default=0.0)):
        say(line)


def _row(one: Estimate) -> tuple[str, str, str, str]:
    return _span(one.core_hours), _span(one.gpu_hours), _times(one.hours), _money(one.price)


def _cluster(where: Cluster) -> str:
    kinds = ", ".join(
        f"{node.count} x {node.name} ({node.cores} cores"
        + (f", {node.gpus} GPUs" if node.gpus else "")
        + f", {node.memory_gb:.0f} GB)"
        for node in where.nodes
    )
    price = "no price told" if where.price is None else f"{where.price:.2f} {where.currency} an hour"
    return f"{where.name}: {kinds}; {price}"


def _assumptions(rates: Rates, where: Cluster, pixels: float) -> list[str]:
    measured = rates.measured
    lines = [
        "Reckoned with",
        f"  rates of {measured.get('date')} on {measured.get('machine')}; {measured.get('load')}",
        f"  one film, {measured.get('film')}; another kind of film costs something else",
        f"  these films have {_number(pixels / rates.pixels)} times its pixels a second: what looks at them "
        "costs from as much to so many times as much"
        if pixels
        else "  the picture of these films is not known: they count as large as that one, and of one length",
        f"  profile {measured.get('profile')}; all cores as fast as those",
        f"  most: a worker is worth {rates.efficiency:.2f} of one alone, as {rates.workers} at once on one "
        "machine were; more machines are taken to add up",
        "  not reckoned: the start of Ray and of machines, downloads from S3, failures and second tries",
    ]
    if where.total("gpus") and not rates.by_gpu:
        lines.append(
            "  GPUs stand idle here: the rates were measured without one; measure on one of these machines: "
            "python -m benchmarks.rates --device cuda --out rates.json"
        )
    return lines


def _span(span: Span) -> str:
    return "-" if not span[1] else f"{_number(span[0])} - {_number(span[1])}"


def _money(span: Span | None) -> str:
    return "-" if span is None else f"{span[0]:.2f} - {span[1]:.2f}"


def _number(value: float) -> str:
    """Two digits that count; the rest would be false precision."""
    return f"{value:.2g}" if value < 100 else f"{float(f'{value:.2g}'):.0f}"


def _times(span: Span) -> str:
    return "-" if not span[1] else f"{_clock(span[0])} - {_clock(span[1])}"


def _clock(hours: float) -> str:
    minutes = hours * 60
    if minutes < 1:
        return f"{minutes * 60:.0f} s"
    return f"{minutes:.0f} min" if minutes < 90 else f"{_number(hours)} h"


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    p = argparse.ArgumentParser(
        prog="cinescribe plan",
        description="What a run would take: films, hours, time, machine hours and cost, from measured rates.",
    )
    p.add_argument("inputs", nargs="*", metavar="INPUT", help="files, folders, globs, s3://bucket/prefix")
    p.add_argument(
        "--films",
        type=_films,
        metavar="N",
        help="of a library on paper, in place of INPUT: how many",
    )
    p.add_argument("--hours", type=_hours, metavar="H", help="and how long they are together")
    p.add_argument(
        "--out", default="", metavar="DIR", help="folder or s3:// of the tables; what is done counts"
    )
    p.add_argument(
        "--stages",
        type=_stages,
        default=_DEFAULT,
        metavar="A,B,...",
        help=f"of: {', '.join(PIPELINES)} (default: {','.join(_DEFAULT)})",
    )
    p.add_argument(
        "--encoders",
        type=command.listed,
        default=("objects", "actions"),
        metavar="A,B,...",
        help="of extract (default: objects,actions)",
    )
    p.add_argument(
        "--cluster",
        default=LAPTOP,
        metavar="laptop|FILE.yaml",
        help="laptop: this machine (default); or a file, as infra/clusters/example.yaml",
    )
    p.add_argument(
        "--rates",
        default="",
        metavar="FILE",
        help="of `python -m benchmarks.rates` (default: those that come with the package)",
    )
    return p


def _hours(text: str) -> float:
    if not 0 < (hours := float(text)) <= _MOST_ON_PAPER:
        raise argparse.ArgumentTypeError(f"is above 0, and at most {_MOST_ON_PAPER}: plan a part of it")
    return hours


def _films(text: str) -> int:
    if (films := command.positive(text)) > _MOST_ON_PAPER:
        raise argparse.ArgumentTypeError(f"is at most {_MOST_ON_PAPER}: plan a part of them")
    return films


def _stages(text: str) -> tuple[str, ...]:
    asked = command.listed(text)
    if not asked or (wrong := [name for name in asked if name not in PIPELINES]):
        raise argparse.ArgumentTypeError(
            f"of: {', '.join(PIPELINES)}" + (f"; not {wrong[0]}" if asked else "")
        )
    return tuple(name for name in PIPELINES if name in asked)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code (0 done, 2 usage, 130 interrupted)."""
    options = parser().parse_args(argv)
    return command.exit_code(lambda: run(options))


if __name__ == "__main__":
    raise SystemExit(main())
