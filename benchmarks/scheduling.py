"""How far one driver schedules: 10, 100 and 1,000 simulated workers, and where it bends.

    python -m benchmarks.scheduling --workers 10,100,1000 --out FOLDER

Of each number of workers, films are transcribed and chunks extracted, as `benchmarks.scheduling_case` says:
real plans, real Ray, stages that sleep. Then at fixed workers the units are made shorter until more of them
do not come out any faster: that is the ceiling of one driver. Each run adds a line to `FOLDER/runs.jsonl`;
what is there is not run again. It prints the tables and draws `FOLDER/scale.png`.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.arguments import folder
from benchmarks.scheduling_case import Case, Found
from benchmarks.scheduling_films import HOURS, MOVIES, film_seconds, measured_costs
from benchmarks.scheduling_law import ideal_seconds, listed_seconds
from pipelines.chunk_plan import CHUNK_SECONDS
from pipelines.command import positive


def cases(
    workers: Sequence[int], processes: int, each: int, seconds: float, rate: float, seed: int
) -> list[Case]:
    """The runs: films and chunks at each number of workers.

    Args:
        workers: simulated.
        processes: at most so many stand for them.
        each: units that a worker gets on average.
        seconds: that a film takes, at least; a chunk takes what it does in truth.
        rate: no run asks for more units a second: with many workers films take longer, and chunks are longer.
        seed: of the films' lengths.
    """
    made = []
    for many in workers:
        some = next(number for number in range(min(many, processes), 0, -1) if many % number == 0)
        made.append(Case("films", many, some, each * many, max(seconds, many / rate), seed=seed))
        second = measured_costs(CHUNK_SECONDS).features
        long = next((one for one in (CHUNK_SECONDS, 300.0, 600.0) if many / (one * second) <= rate), 1800.0)
        made.append(Case("chunks", many, some, each * many, chunk_seconds=long, seed=seed))
    return made


def ceilings(workers: int, processes: int, rates: Sequence[float], seconds: float, seed: int) -> list[Case]:
    """Runs that ask for so many units a second, of chunks that are short enough for it."""
    return [
        Case("chunks", workers, processes, round(rate * seconds), workers / rate, seed=seed) for rate in rates
    ]


_TRIES = 6  # of a cluster: on a busy computer a Ray machine gives up within half a minute of its start


def run_in_a_process(cases: Sequence[Case], log: Path) -> Iterator[Found]:
    """What cases show that can share a cluster, by a process of their own; its log says what it says."""
    command = [sys.executable, "-m", "benchmarks.scheduling_case"]
    told = json.dumps([asdict(case) for case in cases])
    with log.open("w") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(told)
        process.stdin.close()
        for line in process.stdout:
            file.write(line)
            file.flush()
            if line.startswith('{"case"'):
                yield Found(**json.loads(line))
        process.wait()


def run_all(wanted: Sequence[Case], folder: Path) -> list[Found]:
    """What each case showed, now or in an earlier call."""
    path = folder / "runs.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    known = [Found(**json.loads(line)) for line in lines]
    missing = [case for case in wanted if not _ran(case, known)]
    for group in sorted(_TRIES * [*{_cluster(case) for case in missing}]):
        log = folder / f"cluster-{group}.log"
        some = [case for case in missing if _cluster(case) == group and not _ran(case, known)]
        for found in run_in_a_process(some, log) if some else ():
            known.append(found)
            with path.open("a") as file:
                file.write(json.dumps(asdict(found)) + "\n")
            print(*_row(found), sep=" | ", flush=True)
    if lost := [case for case in wanted if not _ran(case, known)]:
        print(f"{len(lost)} runs failed, see the logs in {folder}", flush=True)
    return [one for case in wanted for one in known if one.case == asdict(case)]


def _ran(case: Case, known: Sequence[Found]) -> bool:
    return any(one.case == asdict(case) for one in known)


def _cluster(case: Case) -> str:
    """Cases with the same can share one."""
    return "dense" if case.dense else f"{case.workers:05}"


# ---- the tables ---------------------------------------------------------------------------------

_HEAD = (
    "workers", "processes", "units", "s a unit", "faster", "ideal s", "listed s", "taken s", "efficiency",
    "at work", "gap ms", "units/s", "driver ms", "Ray ms", "workers ms", "driver MB", "load",
)  # fmt: skip


def _row(one: Found) -> list[str]:
    case = one.case
    return [
        f"{case['kind']} {case['workers']}", str(case["processes"]), str(case["units"]),
        f"{one.ideal * case['workers'] / case['units']:.2f}", f"{one.faster:.0f}", f"{one.ideal:.1f}",
        f"{one.listed:.1f}", f"{one.taken:.1f}", f"{one.efficiency:.2f}", f"{one.busy:.2f}",
        f"{1000 * one.gap:.0f}", f"{one.rate:.1f}", f"{1000 * one.driver:.1f}", f"{1000 * one.machines:.1f}",
        f"{1000 * one.workers:.1f}", f"{one.driver_bytes / 1e6:.0f}", f"{one.load:.0f}",
    ]  # fmt: skip


def table(found: Sequence[Found]) -> str:
    """As Markdown."""
    rows = [list(_HEAD), ["---"] * len(_HEAD), *map(_row, found)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def tails(workers: Sequence[int], seed: int) -> str:
    """What the order costs, by arithmetic: the whole set on so many workers, over the ideal, as Markdown."""
    seconds = film_seconds(MOVIES, seed)
    lines = ["| workers | ideal h | as listed | longest first |", "|---|---|---|---|"]
    costs = measured_costs(CHUNK_SECONDS)
    taken = [one * (costs.look + costs.speech) for one in seconds]
    for many in workers:
        ideal = ideal_seconds(taken, many)
        orders = (listed_seconds(one, many) / ideal - 1 for one in (taken, sorted(taken, reverse=True)))
        lines.append(
            f"| {many} | {ideal / 3600:.2f} | " + " | ".join(f"+{100 * over:.2f}%" for over in orders) + " |"
        )
    return "\n".join(lines)


# ---- the picture --------------------------------------------------------------------------------


def draw(found: Sequence[Found], path: Path) -> None:
    """Efficiency against workers, and units a second against what was asked for."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), dpi=100)
    for kind, colour in (("films", "#0072B2"), ("chunks", "#D55E00")):
        some = sorted((one for one in found if one.case["kind"] == kind), key=lambda one: one.case["workers"])
        main = [one for one in some if not _is_ceiling(one)]
        left.plot([one.case["workers"] for one in main], [one.efficiency for one in main], color=colour, lw=1)
        for one in main:
            full = one.case["processes"] == one.case["workers"]
            left.plot(
                one.case["workers"], one.efficiency, "o", ms=9, color=colour, mfc=colour if full else "white"
            )
        if main:
            last = main[-1]
            left.annotate(
                kind, (last.case["workers"], last.efficiency), (9, -4), textcoords="offset points",
                color=colour, fontsize=12,
            )  # fmt: skip
    left.set(xscale="log", ylim=(0, 1.05), xlim=(6, 2500), xlabel="simulated workers")
    left.set_title(
        "Efficiency: ideal seconds / seconds taken\nfilled: a process a worker; open: several in one"
    )
    for workers in sorted({one.case["workers"] for one in found if _is_ceiling(one)}):
        points = sorted(
            (_asked(one), one.rate) for one in found if _is_ceiling(one) and one.case["workers"] == workers
        )
        right.plot(*zip(*points, strict=True), "o-", label=f"{workers} workers")
        right.annotate(f"{workers} workers", points[-1], (6, -14), textcoords="offset points", fontsize=11)
    limit = max((_asked(one) for one in found if _is_ceiling(one)), default=1.0)
    right.plot((0, limit), (0, limit), color="grey", lw=1, ls=":")
    right.set(xlabel="units a second asked for: workers / seconds of a unit", ylabel="units a second done")
    right.set_title("One driver")
    for axis in (left, right):
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def _asked(one: Found) -> float:
    return float(one.case["units"] / one.ideal)


def _is_ceiling(one: Found) -> bool:
    return one.case["kind"] == "chunks" and bool(one.case["seconds"]) and one.faster > 1.5


# ---- the command --------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing, print the tables, draw the picture."""
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.scheduling", description=__doc__.partition("\n")[0]
    )
    p.add_argument(
        "--out",
        required=True,
        type=folder,
        metavar="FOLDER",
        help="of runs.jsonl, a line a run, and scale.png; what is there is not run again",
    )
    p.add_argument("--workers", type=_numbers, default=(10, 100, 1000), metavar="A,B,...")
    p.add_argument("--processes", type=positive, default=100, help="that stand for them, at most")
    p.add_argument("--each", type=positive, default=7, help="units a worker (default %(default)d)")
    p.add_argument("--seconds", type=float, default=20.0, help="of a film, at least (default %(default)g)")
    p.add_argument("--rate", type=float, default=50.0, help="units a second, at most (default %(default)g)")
    p.add_argument("--ceiling-workers", type=_numbers, default=(100, 1000), metavar="A,B,...")
    p.add_argument("--ceiling-rates", type=_numbers, default=(25, 50, 100, 200), metavar="A,B,...")
    p.add_argument("--seed", type=int, default=0)
    options = p.parse_args(argv)
    print(
        f"{MOVIES} films, {HOURS} h: lengths triangular from 60 to 180 min, seed {options.seed}", flush=True
    )
    print(tails((10, 100, 1000, MOVIES), options.seed), flush=True)
    wanted = cases(
        options.workers, options.processes, options.each, options.seconds, options.rate, options.seed
    )
    for workers in options.ceiling_workers:
        few = min(10, options.processes)
        wanted += ceilings(workers, few, options.ceiling_rates, options.seconds / 4, options.seed)
    found = run_all(wanted, options.out)
    print(table(found))
    if found:
        draw(found, options.out / "scale.png")
    return 0 if len(found) == len(wanted) else 1


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(positive(one) for one in text.split(","))


if __name__ == "__main__":
    raise SystemExit(main())
