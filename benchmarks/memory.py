"""Whether memory stays flat: many short films and very long ones through the pipelines, watched.

    python -m benchmarks.memory --films 500 --seconds 6 --minutes 10 --hours 3 --out FOLDER

Films are rendered, cut into many short ones and joined to long ones without being encoded anew. Then the
real commands `transcribe`, `extract --encoders objects` and `index` run on them, with the defaults of this
machine, and the memory of their processes (the command itself, Ray's, the workers) is read each second or as
`--every` says. Each run is kept in FOLDER/measured; what is there is not run again, and the tables are of all
that is there.

Peak is the largest PSS: a process's pages, those that several share divided among them. Whether a process
grows is asked of the pages that are its own and of no file, after the first tenth of the films.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.arguments import folder
from benchmarks.pieces import cut, join, render
from benchmarks.processes import Process, sample_tree

_SEEDS = (101, 102, 103)
_WARM = 0.1  # of the units, after which a process should not grow
_COMMANDS = ("transcribe", "extract", "index")


def run(command: str, films: Path, out: Path, every: float, limit: float) -> dict[str, Any]:
    """One command on a folder of films, watched.

    Args:
        command: of `cinescribe`.
        films: their folder.
        out: of the tables.
        every: seconds between two looks.
        limit: seconds after which it is stopped.

    Returns:
        What was run and how long it took, with the samples of each process (see `Process`).
    """
    arguments = {
        "transcribe": [str(films), "--out", str(out)],
        "extract": [str(films), "--out", str(out), "--encoders", "objects"],
        "index": [str(out)],
    }[command]
    log = out.with_name(f"{out.name}-{command}.log")
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    load = [os.getloadavg()[1]]
    with log.open("wb") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "cinescribe.cli", command, *arguments],
            stdout=printed,
            stderr=printed,
            start_new_session=True,  # its share of busy cores is not this process's to take from
        )

        def ended() -> bool:
            return process.poll() is not None or time.monotonic() - began > limit

        processes = sample_tree(process.pid, lambda: _done(log), ended, every)
        if stopped := process.poll() is None:
            process.terminate()
            process.wait()
    if process.returncode != 0 and not stopped:
        raise SystemExit(f"cinescribe {command} ended with {process.returncode}:\n{log.read_text()[-2000:]}")
    return {
        "command": command,
        "arguments": arguments,
        "when": time.strftime("%Y-%m-%d %H:%M"),
        "seconds": round(time.monotonic() - began, 1),
        "stopped": stopped,
        "load": [round(value, 1) for value in (*load, os.getloadavg()[1])],
        "processes": [{"pid": p.pid, "name": p.name, "samples": p.samples} for p in processes.values()],
    }


def _done(log: Path) -> float:
    """How many units the command has told of: its lines begin with [done/all]."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = re.findall(rb"^\[(\d+)/\d+\]", file.read(), re.MULTILINE)
    return float(lines[-1]) if lines else 0.0


def growth(process: Process, since: float, most: float) -> tuple[float, float, float] | None:
    """How a process grows with the units that are done, after the first tenth of `most`.

    Args:
        process: with its samples.
        since: seconds of the run from when its units are counted.
        most: units that were done at the end.

    Returns:
        Its own memory in MB after a tenth (median of the tenth from there), at the end (median of the last
        tenth), and the slope of a straight line through all samples, MB per 100 units. None for a process
        that was not there for most of that, or where there are too few units for a slope.
    """
    samples = [(done, own / 1e6) for second, done, _, _, own in process.samples if second >= since]
    points = [(done, own) for done, own in samples if done >= _WARM * most]
    span = [done for done, _ in points]
    if most < 20 or len(points) < 10 or span[0] > 2 * _WARM * most or span[-1] < 0.8 * most:
        return None
    first = median(own for done, own in points if done <= max(span[0], 2 * _WARM * most))
    last = median(own for done, own in points if done >= (1 - _WARM) * span[-1])
    done, own = np.array(points).T
    return first, last, 100 * float(np.polyfit(done, own, 1)[0])


def _last_count(driver: Process) -> tuple[float, float]:
    """Since when the units are counted, and how many there were: `extract` counts films, then chunks anew."""
    since, before = 0.0, 0.0
    for second, done, *_ in driver.samples:
        since, before = (second if done < before else since), done
    return since, before


def show(measured: Sequence[Path], console: Console) -> None:
    """A table for each run."""
    for path in measured:
        told = json.loads(path.read_text())
        processes = [
            Process(one["pid"], samples=one["samples"]) for one in told["processes"] if one["samples"]
        ]
        names = {one["pid"]: one["name"] for one in told["processes"]}
        since, most = _last_count(next(one for one in processes if names[one.pid] == "driver"))
        together: dict[float, int] = {}
        for process in processes:
            for second, _, pss, *_ in process.samples:
                together[second] = together.get(second, 0) + pss
        load = " to ".join(map(str, told["load"])) + (", stopped" if told["stopped"] else "")
        table = Table(
            title=f"{path.stem}, {told['when']}: {most:.0f} units, {told['seconds']:.0f} s, load {load}",
            title_justify="left",
        )
        for column in (
            "process",
            "seconds",
            "peak PSS",
            "peak RSS",
            "own at 10 %",
            "at the end",
            "MB per 100",
        ):
            table.add_column(column, justify="left" if column == "process" else "right")
        for process in sorted(processes, key=lambda process: -_peak(process, 2)):
            if (grown := growth(process, since, most)) is None:
                end = ["-", "-", "-"]
            else:
                end = [f"{grown[0]:.1f}", f"{grown[1]:.1f}", f"{grown[2]:+.2f}"]
            lived = process.samples[-1][0] - process.samples[0][0]
            table.add_row(
                names[process.pid],
                f"{lived:.0f}",
                *(f"{_peak(process, field):.0f}" for field in (2, 3)),
                *end,
            )
        table.add_row("all together", "", f"{max(together.values()) / 1e6:.0f}")
        console.print(table)


def _peak(process: Process, column: int) -> float:
    """The most of a column of its samples, in MB."""
    return max(sample[column] for sample in process.samples) / 1e6


def films_for(options: argparse.Namespace) -> dict[str, Path]:
    """Make the films that are asked for; folders of them by the name of the run."""
    rendered = render(options.out / "rendered", _SEEDS)
    folders: dict[str, Path] = {}
    if options.films:
        folders["short"] = options.out / f"films-{options.films}x{options.seconds:g}s"
        cut(rendered, options.films, options.seconds, folders["short"])
    for name, seconds in (("minutes", 60 * options.minutes), ("hours", 3600 * options.hours)):
        if seconds:
            folders[name] = options.out / f"film-{seconds:g}s"
            if not (film := folders[name] / "film.mp4").exists():
                join(rendered, seconds, film)
    return folders


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing and print the tables."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__.partition("\n")[0])
    p.add_argument(
        "--out",
        type=folder,
        required=True,
        metavar="FOLDER",
        help="of the films and of measured/, a file a run; about an hour of a core (docs/memory.md)",
    )
    p.add_argument("--films", type=int, default=500, help="short ones; 0: none (default %(default)s)")
    p.add_argument("--seconds", type=float, default=6.0, help="most of a short film (default %(default)s)")
    p.add_argument("--minutes", type=float, default=10.0, help="a film of so many; 0: none (default 10)")
    p.add_argument("--hours", type=float, default=3.0, help="a film of so many; 0: none (default 3)")
    p.add_argument("--every", type=float, default=1.0, metavar="S", help="seconds between two looks")
    p.add_argument(
        "--limit", type=float, default=600, metavar="MINUTES", help="after which a command is stopped"
    )
    p.add_argument("--commands", nargs="+", choices=_COMMANDS, default=_COMMANDS)
    options = p.parse_args(argv)
    kept = options.out / "measured"
    kept.mkdir(parents=True, exist_ok=True)
    for films in films_for(options).values():
        for command in options.commands:
            result = kept / f"{films.name}-{command}.json"
            if result.exists():
                continue
            tables = options.out / f"tables-{films.name}"
            # What a run left that was stopped goes: one that went on from there would be a shorter one.
            if tables.exists() and not any(kept.glob(f"{films.name}-*.json")):
                shutil.rmtree(tables)
            result.write_text(json.dumps(run(command, films, tables, options.every, 60 * options.limit)))
    show(sorted(kept.glob("*.json")), Console(width=110))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
