"""What it takes to plan so many chunks and to give them to Ray: seconds and memory of the driver.

    python -m benchmarks.scheduling_source --units 10000

Films on paper (`benchmarks.scheduling_films`), as many as have so many chunks, are planned by the product's
planner and made the source of a Ray dataset, which is not run. Ray is one that the pipelines start.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Sequence

from benchmarks.scheduling_films import ENCODERS, film_seconds, make_films, write_look
from benchmarks.scheduling_meter import own_bytes
from pipelines import cluster
from pipelines.chunk_plan import CHUNK_SECONDS, make_chunk_plan
from pipelines.command import positive


def main(argv: Sequence[str] | None = None) -> int:
    """Plan, make the source, and print what each took."""
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.scheduling_source", description=__doc__.partition("\n")[0]
    )
    p.add_argument("--units", type=positive, required=True)
    p.add_argument("--chunk-seconds", type=float, default=CHUNK_SECONDS)
    options = p.parse_args(argv)
    from cinescribe.encoders import catalogue

    specs = {name: catalogue.spec(name) for name in ENCODERS}
    count, there = 0, 0.0
    for seconds in film_seconds(options.units, 0):
        count, there = count + 1, there + seconds // options.chunk_seconds
        if there >= options.units:
            break
    films = make_films(count, 0)
    with tempfile.TemporaryDirectory() as out, cluster.session(""):
        for film in films:
            write_look(out, film)
        stamps = [_stamp()]
        units = make_chunk_plan(out, films, specs, options.chunk_seconds).units[: options.units]
        stamps.append(_stamp())
        cluster.source(units[:1])  # what is imported once is not counted
        stamps.append(_stamp())
        dataset = cluster.source(units)
        stamps.append(_stamp())
        for name, before, after in (("plan", stamps[0], stamps[1]), ("source", stamps[2], stamps[3])):
            wall, cpu, memory = (late - early for early, late in zip(before, after, strict=True))
            print(
                f"{name}: {len(units)} units, {wall:.1f} s, {cpu:.1f} s of processor "
                f"({1000 * cpu / len(units):.2f} ms a unit), {memory / 1e6:.0f} MB "
                f"({memory / 1e3 / len(units):.1f} kB a unit)"
            )
        del dataset
    return 0


def _stamp() -> tuple[float, float, float]:
    return time.perf_counter(), time.process_time(), float(own_bytes(os.getpid()))


if __name__ == "__main__":
    raise SystemExit(main())
