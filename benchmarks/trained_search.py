"""Search with a trained model and with a re-ranker, on held-out films of a made world, over HTTP.

    python -m benchmarks.trained_search --out out/trained_search            # seeds 0, 1 and 2: some time
    python -m benchmarks.trained_search --out out/trained_search --local    # without a service
    python -m benchmarks.trained_search --out out/trained_search --choose   # what was chosen, on seed 100

Each seed is a world and trainings of its own. A query tells one deed; what is found is right if it is of that
film and its middle is within 5 s of the deed's. Numbers are kept as JSON lines in --out as they come, and the
same command goes on where it was stopped. None of it says how well real films are found.
"""

import argparse
import json
import random
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.claims_clips import write_films
from benchmarks.claims_table import Bench, kept_lines, mean_and_spread, recall_and_median
from benchmarks.trained_search_world import (
    TINY,
    Asked,
    Case,
    Sizes,
    train_encoder,
    train_reranker,
    write_cases,
)
from cinescribe.cineworld.world import WorldSettings
from cinescribe.errors import CinescribeError
from cinescribe.search.embedding import WINDOW, windows_of
from cinescribe.search.query import SOURCES, Filters, Query, Source

NEAR = 5.0  # seconds between the middles of a deed and of a moment that is right: many deeds last but 2 s
FOUND = 100  # moments that are looked at; behind them a query counts as rank 101
DEVELOPMENT = 100  # the seed of the world on which settings were chosen
CASES = {
    "heard": "dialogue alone is known, asked as a describer says it",
    "described": "the narrator's description is known, asked in other words",
}
METRICS = ("r1", "r5", "r10", "median", "p50", "p95")

Place = tuple[str, float, float]  # film id, start and end in seconds
Ask = Callable[[str, Sequence[Source]], Sequence[Place]]


@dataclass(frozen=True, slots=True)
class Row:
    """A way to search: the sources that are asked, and whether a JSFusion re-ranks."""

    label: str
    sources: tuple[Source, ...]
    reranked: bool = False


OLD: tuple[Source, ...] = tuple(source for source in SOURCES if source != "model")
ROWS = {
    "fusion": Row("fusion, nothing trained", OLD),
    "fusion+model": Row("fusion with the trained model", SOURCES),
    "model": Row("the trained model alone", ("model",)),
    "fusion+rerank": Row("fusion, re-ranked", OLD, reranked=True),
    "fusion+model+rerank": Row("fusion with the trained model, re-ranked", SOURCES, reranked=True),
}


def is_right(found: Place, asked: Asked) -> bool:
    """Whether a moment answers a query."""
    film_id, start, end = found
    return film_id == asked.film_id and abs(start + end - asked.start - asked.end) / 2 <= NEAR


def rank(found: Sequence[Place], asked: Asked) -> int:
    """Of the first right moment, from 1; FOUND + 1 without any."""
    return next((n for n, place in enumerate(found[:FOUND], 1) if is_right(place, asked)), FOUND + 1)


def measured(case: Case, row: Row, ask: Ask) -> dict[str, float]:
    """Recall in percent, median rank, and how long a query took."""
    ranks, seconds = [], []
    ask(case.asked[0].text, row.sources)  # loads what is loaded late
    for asked in case.asked:
        began = time.perf_counter()
        found = ask(asked.text, row.sources)
        seconds.append(time.perf_counter() - began)
        ranks.append(rank(found, asked))
    p50, p95 = np.percentile(np.array(seconds) * 1000, [50, 95]).tolist()
    return {**recall_and_median(ranks), "p50": p50, "p95": p95}


def by_chance(case: Case, seed: int) -> dict[str, float]:
    """What windows of the films in any order find."""
    from cinescribe.search.store import Store

    films = Store(str(case.root)).films().values()
    places = [(film.film_id, *span) for film in films for span in windows_of(film.duration, WINDOW)]
    order = random.Random(seed)
    ranks = [rank(order.sample(places, min(FOUND, len(places))), asked) for asked in case.asked]
    return recall_and_median(ranks)


@contextmanager
def searcher(case: Case, reranker: str) -> Iterator[Ask]:
    """Asks in this process."""
    from cinescribe.search.searcher import Searcher

    asked = Searcher(str(case.root), threads=1, reranker=reranker)

    def ask(text: str, sources: Sequence[Source]) -> list[Place]:
        query = Query(text, filters=Filters(sources=tuple(sources)), limit=FOUND)
        return [(m.film_id, m.start, m.end) for m in asked.search(query).moments]

    yield ask


@contextmanager
def service(case: Case, reranker: str) -> Iterator[Ask]:
    """Asks over HTTP a service that is started as `cinescribe serve` starts it."""
    from serve.app import Arguments
    from serve.command import free_port, running

    log = str(case.root.parent / "requests.jsonl")
    arguments = Arguments(root=str(case.root), name=["127.0.0.1"], reranker=reranker, log=log)
    with running(arguments, "127.0.0.1", free_port(0)) as url:

        def ask(text: str, sources: Sequence[Source]) -> list[Place]:
            body = json.dumps({"text": text, "sources": list(sources), "limit": FOUND}).encode()
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{url}/v1/search", body, headers)
            with urllib.request.urlopen(request, timeout=60) as reply:
                moments = json.load(reply)["moments"]
            return [(m["film_id"], m["start"], m["end"]) for m in moments]

        yield ask


def prepared(out: Path, seed: int, sizes: Sizes) -> tuple[dict[str, Case], str]:
    """The cases of a seed and the folder of its re-ranker, made where they are not there."""
    place = out / f"seed{seed}"
    bench = Bench(place, seed, sizes, threads=1)
    write_films(place / "world", WorldSettings(seed, sizes.noise), sizes.films)
    model = train_encoder(place / "world", bench)
    reranker = train_reranker(place / "world", bench)
    return write_cases(place / "world", place, model, seed, sizes), str(reranker)


def measure(given: argparse.Namespace, sizes: Sizes) -> None:
    """Measure what is missing."""
    results = kept(given)
    for seed in given.seed:
        done = {(row["case"], row["row"]) for row in kept_lines(results) if row["seed"] == seed}
        if done >= {(case, row) for case in CASES for row in ("random", *ROWS)}:
            continue
        cases, reranker = prepared(given.out, seed, sizes)
        connect = searcher if given.local else service
        for name, case in cases.items():
            if (name, "random") not in done:
                keep(results, seed, name, "random", by_chance(case, seed))
            for folder in ("", reranker):
                left = {
                    key: row
                    for key, row in ROWS.items()
                    if row.reranked == bool(folder) and (name, key) not in done
                }
                if not left:
                    continue
                with connect(case, folder) as ask:
                    for key, row in left.items():
                        keep(results, seed, name, key, measured(case, row, ask))


def kept(given: argparse.Namespace) -> Path:
    """The file of results: what was asked here and what was asked over HTTP takes different times."""
    return Path(given.out) / ("results-local.jsonl" if given.local else "results-http.jsonl")


def keep(results: Path, seed: int, case: str, row: str, numbers: Mapping[str, float]) -> None:
    """Add a row to the results, and say it."""
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"seed": seed, "case": case, "row": row, **numbers}) + "\n")
    print(f"seed {seed}  {case}  {row}  {'  '.join(f'{k} {v:.1f}' for k, v in numbers.items())}", flush=True)


def table(rows: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> str:
    """Mean and standard deviation over the seeds, a table a case."""
    lines = []
    for case, told in CASES.items():
        lines += ["", f"{case}: {told}", ""]
        lines += ["| | R@1 | R@5 | R@10 | median rank | p50 ms | p95 ms |", "|---|---|---|---|---|---|---|"]
        for key in (*ROWS, "random"):
            mine = [r for r in rows if (r["case"], r["row"]) == (case, key) and r["seed"] in seeds]
            if mine:
                numbers = [[r[name] for r in mine if name in r] for name in METRICS]
                cells = [mean_and_spread(values) if values else "-" for values in numbers]
                lines.append(f"| {ROWS[key].label if key in ROWS else 'random'} | {' | '.join(cells)} |")
    return "\n".join(lines[1:])


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command's arguments."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=Path, required=True, help="results, data and models")
    p.add_argument("--seed", type=int, nargs="+", default=[0, 1, 2])
    p.add_argument("--local", action="store_true", help="ask in this process instead of over HTTP")
    p.add_argument("--choose", action="store_true", help="the sweep by which the settings were chosen")
    p.add_argument("--size", choices=["small", "tiny"], default="small", help="tiny only shows that it runs")
    return p.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    given = parsed(argv)
    sizes = Sizes() if given.size == "small" else TINY
    given.out.mkdir(parents=True, exist_ok=True)
    try:
        if given.choose:
            from benchmarks.trained_search_choice import sweep

            cases, reranker = prepared(given.out, DEVELOPMENT, sizes)
            print(sweep(cases, reranker))
            return 0
        measure(given, sizes)
    except CinescribeError as error:
        print(f"benchmarks.trained_search: {error}", file=sys.stderr)
        return 2
    print(table(kept_lines(kept(given)), given.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
