"""Where the time goes on a film of an hour: what is decoding, what is a network, and what is neither.

    python -m benchmarks.hour --out FOLDER
    python -m benchmarks.hour --out FOLDER --minutes 5 --films 2

Renders films (`cinescribe film --scenes 5`, seeds 0, 1, ...) and joins them, the first again after the last,
until they last so long; nothing is encoded anew. Then does the work of the pipelines on that one film, in
this process, with one thread and models that are loaded already: `films`, `speech`, `extract` with objects
and actions together, `index`. The film stays in FOLDER for the next run; the tables are made anew.

Decoders and networks are wrapped from outside (`benchmarks.meter`). Beside the parts stand the floors,
measured in the same run: the same frames and sound read by the decoder alone, and as many passes of each
network as the stage made, on noise of the same shapes (`--passes` of each shape, reckoned up). All are CPU
seconds, which other programs on the machine touch less than they do the clock. The numbers go to
FOLDER/hour.json.
"""

import argparse
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.arguments import folder
from benchmarks.hour_stages import Bench, extract, films, floors, index, speech
from benchmarks.pieces import join, render
from cinescribe.media.library import list_films

_SCENES = 5  # of a rendered film: about two and a half minutes
_STAGES: tuple[Callable[[Bench], None], ...] = (films, speech, extract, index)


def film_of(folder: Path, seconds: float, count: int) -> Path:
    """The film of that length in a folder, of so many rendered ones; made where it is not there yet."""
    whole = folder / f"{count}-films-{seconds:g}-s.mp4"
    if not whole.exists():
        join(render(folder / "parts", range(count), scenes=_SCENES), seconds, whole)
    return whole


def table_of(bench: Bench) -> Table:
    """Stages and their parts, CPU seconds."""
    table = Table("stage", "part", "calls", "CPU s", "of the stage", box=None)
    for stage in bench.stages:
        for kind in ("decode", "network", "rest"):
            table.add_row(
                stage.name,
                f"{kind}",
                "",
                f"{stage.of(kind):.1f}",
                f"{stage.of(kind) / stage.cpu_seconds:.1%}",
            )
            for part in sorted(stage.parts, key=lambda part: -part.seconds):
                if part.kind == kind:
                    table.add_row("", f"  {part.name}", f"{part.calls or ''}", f"{part.seconds:.2f}", "")
        table.add_row(stage.name, "all", "", f"{stage.cpu_seconds:.1f}", f"in {stage.wall_seconds:.0f} s")
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and write the numbers."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.hour", description=(__doc__ or "").split("\n")[0])
    p.add_argument(
        "--out",
        required=True,
        type=folder,
        metavar="FOLDER",
        help="of the film, the tables and hour.json; some forty minutes of a core for an hour of film",
    )
    p.add_argument("--minutes", type=float, default=60.0, help="length of the film (default 60)")
    p.add_argument("--films", type=int, default=6, help="different ones it is joined of (default 6)")
    p.add_argument("--passes", type=int, default=20, help="of each network for its floor (default 20)")
    options = p.parse_args(argv)
    (film,) = list_films([str(film_of(options.out, options.minutes * 60, options.films))])
    made = options.out / "tables"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    bench = Bench.of(film, made)
    told: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "load": os.getloadavg()[0],
        "film": asdict(bench.info),
    }
    for stage in _STAGES:
        stage(bench)
        told["stages"] = [asdict(done) for done in bench.stages]
        (options.out / "hour.json").write_text(json.dumps(told, indent=1) + "\n")
    told["floors"] = floors(bench, options.passes)
    told["load at the end"] = os.getloadavg()[0]
    (options.out / "hour.json").write_text(json.dumps(told, indent=1) + "\n")
    console = Console(width=100)
    console.print(table_of(bench))
    console.print("\nfloors, CPU s")
    for name, seconds in told["floors"].items():
        console.print(f"  {name:45} {seconds:8.1f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
