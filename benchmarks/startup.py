"""What a person waits for before anything happens: help, first errors, and the start of work.

    python -m benchmarks.startup --turns 5                     # help and first errors of all commands
    python -m benchmarks.startup --imports                     # what the time of --help goes to
    python -m benchmarks.startup --work --turns 1              # until transcribe, extract, index, serve work

Clock and CPU time of processes of their own, medians of the turns. With `--work` the commands run on a film,
rendered here unless `--film` names one. What counts is when a stage begins its work (when it ended, by the
log, less the seconds that it took), and of `serve` when it answers. CPU time there is of all processes that
were started, Ray's too, as they were last seen before that moment.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread

from rich.console import Console
from rich.table import Table

from benchmarks.processes import Process, sample_tree

# Of each command, arguments with which it must refuse: what it is to read is not there.
ERRORS = {
    "plan": "missing/",
    "transcribe": "missing/ --out out",
    "extract": "missing/ --out out --encoders objects",
    "index": "missing/",
    "align": "missing/ --model missing",
    "describe": "missing/ --out out --model missing",
    "search": "missing/ words",
    "train": "tan-stage1 --data missing --out out",
    "evaluate": "missing/",
    "serve": "missing/",
    "curate": "missing/ --out out.json",
    "sync": "missing.mp4 missing.wav",
    "film": "film.txt",
    "world": "--out out --films -1",
    "models": "pull missing",
}
_COMMAND = [sys.executable, "-m", "cinescribe.cli"]


@dataclass(frozen=True, slots=True)
class Took:
    """How a command went: seconds by the clock and of CPU, its exit code and what it printed."""

    clock: float
    cpu: float
    code: int
    printed: str


def once(arguments: Sequence[str], folder: str) -> Took:
    """Run a command in a folder."""
    began = time.perf_counter()
    with TemporaryDirectory() as scratch, Path(scratch, "printed").open("w+b") as printed:
        process = subprocess.Popen(arguments, cwd=folder, stdout=printed, stderr=printed)
        _, status, used = os.wait4(process.pid, 0)
        clock = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        text = printed.read().decode(errors="replace")
    return Took(clock, used.ru_utime + used.ru_stime, process.returncode, text)


def show_help_and_errors(commands: Sequence[str], turns: int, console: Console) -> None:
    """The table of help and first errors."""
    table = Table(title=f"seconds, median of {turns}")
    for column in ("cinescribe ...", "--help", "CPU", "first error", "CPU", "what it says"):
        table.add_column(column, justify="left" if column in ("cinescribe ...", "what it says") else "right")
    with TemporaryDirectory() as folder:
        python = [once([sys.executable, "-c", "pass"], folder) for _ in range(turns)]
        table.add_row("(Python alone)", *_medians(python))
        table.add_row("", *_medians([once([*_COMMAND, "--help"], folder) for _ in range(turns)]))
        for command in commands:
            helped = [once([*_COMMAND, command, "--help"], folder) for _ in range(turns)]
            refused = [once([*_COMMAND, command, *ERRORS[command].split()], folder) for _ in range(turns)]
            if helped[0].code != 0 or refused[0].code not in (1, 2):
                raise SystemExit(f"{command}: {helped[0]}\n{refused[0]}")
            said = refused[0].printed.strip().splitlines()[-1].removeprefix("cinescribe: ")
            table.add_row(command, *_medians(helped), *_medians(refused), said[:60])
    console.print(table)


def _medians(turns: Sequence[Took]) -> tuple[str, str]:
    return f"{median(t.clock for t in turns):.2f}", f"{median(t.cpu for t in turns):.2f}"


# ---- what is imported ---------------------------------------------------------------------------


def show_imports(commands: Sequence[str], console: Console) -> None:
    """Of each command the packages that its help loads, with the milliseconds of each one's own modules."""
    table = Table(title="ms of the import of packages for --help, one turn")
    for column in ("cinescribe ...", "all", "the largest"):
        table.add_column(column, justify="right" if column == "all" else "left")
    with TemporaryDirectory() as folder:
        for command in commands:
            arguments = [sys.executable, "-X", "importtime", "-m", "cinescribe.cli", command, "--help"]
            own: dict[str, float] = defaultdict(float)
            for micro, name in re.findall(
                r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", once(arguments, folder).printed, re.MULTILINE
            ):
                own[name.partition(".")[0]] += int(micro) / 1000
            largest = sorted(own, key=lambda name: -own[name])[:6]
            table.add_row(
                command,
                f"{sum(own.values()):.0f}",
                ", ".join(f"{name} {own[name]:.0f}" for name in largest),
            )
    console.print(table)


# ---- until there is work ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """How a command came to work: seconds by the clock to each moment, and its processes by then."""

    moments: dict[str, float]
    processes: dict[int, Process]


@contextmanager
def _sampled(process: "subprocess.Popen[bytes]") -> Iterator[tuple[Callable[[], None], dict[int, Process]]]:
    """The processes of a command while entered, or until the given function is called."""
    stopped, found = Event(), dict[int, Process]()

    def sample() -> None:
        ended = lambda: stopped.is_set() or process.poll() is not None  # noqa: E731
        found.update(sample_tree(process.pid, lambda: 0.0, ended, every=0.5))

    sampler = Thread(target=sample)
    sampler.start()

    def stop() -> None:
        stopped.set()
        sampler.join()

    try:
        yield stop, found
    finally:
        stop()


def start_pipeline(arguments: Sequence[str], folder: Path) -> Start:
    """Run a pipeline to its end; each stage's moment is when the work on the first film began."""
    log = folder / f"{arguments[0]}.jsonl"
    began = time.monotonic()
    process = subprocess.Popen(
        [*_COMMAND, *arguments, "--log", str(log)], cwd=folder, stdout=subprocess.DEVNULL
    )
    moments: dict[str, float] = {}
    with _sampled(process) as (stop, found):
        while process.poll() is None:
            time.sleep(0.05)
            now = time.monotonic() - began
            told = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
            stages = [event for event in told if event["event"] == "stage"]
            # Stages of one film are told of together, when it has left the last: the seconds lead back.
            for event in reversed(stages if not moments else []):
                now -= event["seconds"]
                moments[event["stage"]] = now
            if moments:
                stop()
        moments["ended"] = time.monotonic() - began
    if process.returncode != 0:
        raise SystemExit(f"cinescribe {arguments[0]} ended with {process.returncode}")
    return Start(moments, found)


def start_service(root: str, folder: Path) -> Start:
    """Start the service and end it when it says where it is; it does so when it can answer."""
    began = time.monotonic()
    process = subprocess.Popen([*_COMMAND, "serve", root, "--port", "0"], cwd=folder, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with _sampled(process) as (stop, found):
        line = process.stdout.readline()
        moments = {"answers": time.monotonic() - began}
        stop()
    process.send_signal(signal.SIGINT)
    process.wait()
    moments["ended"] = time.monotonic() - began
    if not line:
        raise SystemExit("cinescribe serve did not start")
    return Start(moments, found)


def show_work(film: str, turns: int, console: Console) -> None:
    """The table of the start of work, on a film or, without one, on one that is rendered."""
    from cinescribe.cineworld.film import render_film

    starts: dict[str, list[Start]] = defaultdict(list)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if film:
            (folder / "film.mp4").symlink_to(Path(film).resolve())
        else:
            render_film(7, folder / "film.mp4", scenes=2)
        for turn in range(turns):
            out = f"out-{turn}"
            transcribe = ["transcribe", "film.mp4", "--out", out]
            extract = ["extract", "film.mp4", "--out", out, "--encoders", "objects"]
            for arguments in (transcribe, extract, ["index", out]):
                (folder / f"{arguments[0]}.jsonl").unlink(missing_ok=True)
                starts[arguments[0]].append(start_pipeline(arguments, folder))
            starts["serve"].append(start_service(out, folder))
    table = Table(title=f"seconds from the start of the command, median of {turns}")
    for column in ("cinescribe ...", "by the clock", "CPU until then", "of it"):
        table.add_column(column)
    for command, those in starts.items():
        moments = ", ".join(
            f"{name} {median(start.moments[name] for start in those):.1f}" for name in those[0].moments
        )
        cpu = [sum(process.cpu_seconds for process in start.processes.values()) for start in those]
        used: dict[str, float] = defaultdict(float)
        for process in those[-1].processes.values():
            used[process.name] += process.cpu_seconds
        largest = ", ".join(f"{name} {used[name]:.1f}" for name in sorted(used, key=lambda name: -used[name]))
        table.add_row(command, moments, f"{median(cpu):.1f}", largest)
    console.print(table)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is asked for and print it."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__.partition("\n")[0])
    p.add_argument(
        "--turns", type=int, default=5, help="of which the medians are printed (default %(default)s)"
    )
    p.add_argument("--commands", nargs="+", choices=list(ERRORS), default=list(ERRORS))
    p.add_argument("--imports", action="store_true", help="what --help imports")
    p.add_argument("--work", action="store_true", help="the time until there is work")
    p.add_argument("--film", default="", help="to work on; default: one that is rendered here")
    options = p.parse_args(argv)
    console = Console(width=160)
    if options.imports:
        show_imports(options.commands, console)
    elif options.work:
        show_work(options.film, options.turns, console)
    else:
        show_help_and_errors(options.commands, options.turns, console)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
