"""How long chunks should be, and how many films are looked at at once: the AudioVault set, as arithmetic.

    python -m benchmarks.scheduling_chunks --machines 64 --cores 16

Whoever is free takes the next chunk, the longest films first, as the product plans them; handing one out
takes no time. A machine fetches a film from S3 when it gets the first of its chunks, as the pipelines do, and
keeps it; the time of fetching is not counted.
"""

import argparse
import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.scheduling_films import MOVIES, film_seconds, measured_costs
from benchmarks.scheduling_law import two_stages_seconds
from pipelines.chunk_plan import CHUNK_SECONDS
from pipelines.command import positive


@dataclass(frozen=True, slots=True)
class Extraction:
    """What an extraction with chunks of one length takes.

    Attributes:
        units: chunks.
        ideal, hours: all work spread evenly, and until the last chunk is done.
        fetches: of films, on all machines together.
    """

    units: int
    ideal: float
    hours: float
    fetches: int


def extraction(films: Sequence[float], chunk_seconds: float, machines: int, cores: int) -> Extraction:
    """Of films of such lengths (seconds), by a worker on each core."""
    features = measured_costs(chunk_seconds).features
    free = [(0.0, worker) for worker in range(machines * cores)]
    units = fetches = 0
    for film in sorted(films, reverse=True):
        fetched = set()
        left = film
        while left > 0:
            time, worker = free[0]
            heapq.heapreplace(free, (time + features * min(left, chunk_seconds), worker))
            fetched.add(worker // cores)
            left -= chunk_seconds
            units += 1
        fetches += len(fetched)
    ideal = sum(films) * features / (machines * cores) / 3600
    return Extraction(units, ideal, max(free)[0] / 3600, fetches)


def transcription(films: Sequence[float], machines: int, cores: int, beside: int, looks: float) -> float:
    """Hours, of films of such lengths, by a worker on each core.

    Args:
        films: seconds.
        machines, cores: that there are, and of each.
        beside: films that are looked at at once on a machine, beside its workers.
        looks: times the measured rate that looking at a film costs.
    """
    costs = measured_costs(CHUNK_SECONDS)
    order = sorted(films, reverse=True)
    seen, spoken = ([rate * film for film in order] for rate in (looks * costs.look, costs.speech))
    return two_stages_seconds(seen, spoken, machines * beside, machines * cores) / 3600


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.scheduling_chunks", description=__doc__.partition("\n")[0]
    )
    p.add_argument("--machines", type=positive, default=64)
    p.add_argument("--cores", type=positive, default=16, help="of a machine, a worker on each")
    p.add_argument("--megabits", type=float, default=4.0, help="a second of film has (default %(default)g)")
    p.add_argument("--seed", type=int, default=0)
    options = p.parse_args(argv)
    films = film_seconds(MOVIES, options.seed)
    terabytes = sum(films) * options.megabits / 8 / 1e6
    print(f"{MOVIES} films, {terabytes:.1f} TB at {options.megabits:g} Mbit/s")
    print("| chunk s | units | units/s | hours | over ideal | fetches a film | TB from S3 | MB/s a machine |")
    print("|---|---|---|---|---|---|---|---|")
    for chunk_seconds in (60, 300, 600, 1800, 3600):
        made = extraction(films, chunk_seconds, options.machines, options.cores)
        each = made.fetches / MOVIES
        seconds = made.hours * 3600
        rate = terabytes * each * 1e6 / seconds / options.machines
        over = 100 * (made.hours / made.ideal - 1)
        print(
            f"| {chunk_seconds} | {made.units} | {made.units / seconds:.1f} | {made.hours:.2f} | "
            f"+{over:.1f}% | {each:.1f} | {terabytes * each:.0f} | {rate:.0f} |"
        )
    costs = measured_costs(CHUNK_SECONDS)
    print("| looking costs, of the rate | one task a machine, h | one for two workers | all cores evenly |")
    print("|---|---|---|---|")
    for looks in (1.0, 3.84):
        one, many = (
            transcription(films, options.machines, options.cores, beside, looks)
            for beside in (1, max(1, options.cores // 2))
        )
        evenly = sum(films) * (looks * costs.look + costs.speech) / options.machines / options.cores / 3600
        print(f"| {looks:g} | {one:.2f} | {many:.2f} | {evenly:.2f} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
