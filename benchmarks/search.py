"""The index at sizes: `python -m benchmarks.search --sizes 10000 100000 1000000`.

Moments are made from a seed: vectors of 384 numbers around many centres, as sentences of many subjects are,
with texts of words in the proportions of Zipf's law. Measured are, for each kind of vector index that is
asked for, the time to build it, the recall of the 10 nearest against exact search, and latency and throughput
of one caller after another; and the same for whole searches (vectors, words, fusion) without the encoding of
the query, through `Searcher.find`, which ranks the two sources of texts.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cinescribe.search.documents import as_column
from cinescribe.search.query import Query
from cinescribe.search.searcher import EncodedQuery, Searcher
from cinescribe.search.store import TEXT_DIM, FilmRows, IndexedFilm, Store, schema

KINDS = ("none", "IVF_FLAT", "IVF_PQ", "IVF_HNSW_SQ")
_FILM = 1000  # moments of a film
_QUERIES = 200
_WORDS = 20_000


class World:
    """Moments and queries from a seed."""

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size = size
        self.random = np.random.default_rng(seed)
        self.centres = self.random.standard_normal((max(50, int(size**0.5)), TEXT_DIM), np.float32)

    def vectors(self, count: int) -> NDArray[np.float16]:
        """[count, 384], of length 1; two of one centre have a cosine of about 0.5."""
        chosen = self.random.integers(0, len(self.centres), count)
        noise = self.random.standard_normal((count, TEXT_DIM), np.float32)
        vectors = self.centres[chosen] + noise
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)

    def text(self, words: int = 10) -> str:
        """Words in the proportions of Zipf's law."""
        numbers = np.minimum(self.random.zipf(1.2, words), _WORDS)
        return " ".join(f"word{number}" for number in numbers)

    def films(self) -> Iterator[FilmRows]:
        """Films of 1,000 moments."""
        for k in range(0, self.size, _FILM):
            count, film_id = min(_FILM, self.size - k), f"film {k // _FILM}"
            spoken = self.random.random(count) < 0.7
            columns = {
                "id": [f"{film_id}#{n}" for n in range(count)],
                "film_id": [film_id] * count,
                "start": np.arange(count) * 4.0,
                "end": np.arange(count) * 4.0 + 3.0,
                "source": np.where(spoken, "speech", "description").tolist(),
                "role": np.where(spoken, "dialogue", "narrator").tolist(),
                "speaker": ["SPEAKER_00"] * count,
                "text": [self.text() for _ in range(count)],
                "vector": as_column(self.vectors(count)),
            }
            film = IndexedFilm(film_id, "", 4.0 * count, {"sentence": "all-MiniLM-L6-v2"})
            yield FilmRows(film, {"texts": pa.table(columns, schema("texts"))})


def build(root: str, world: World) -> float:
    """Index the films without a vector index; seconds it took, without making them up."""
    store, spent, batch = Store(root), 0.0, []
    for film in world.films():
        batch.append(film)
        if len(batch) == 20:
            spent += _seconds(partial(store.replace, batch))
            batch = []
    spent += _seconds(partial(store.replace, batch))
    return spent + _seconds(partial(store.optimise, ann_from=10**12))


def make_vector_index(root: str, kind: str) -> float:
    """Put this vector index in place of the one there; seconds."""
    from lancedb.index import IvfFlat, IvfHnswSq, IvfPq

    table = Store(root).open("texts")
    for index in table.list_indices():
        if index.columns == ["vector"]:
            table.drop_index(index.name)
    if kind == "none":
        return 0.0
    config = {"IVF_FLAT": IvfFlat, "IVF_PQ": IvfPq, "IVF_HNSW_SQ": IvfHnswSq}[kind](distance_type="cosine")
    return _seconds(lambda: table.create_index("vector", config=config))


def nearest(table: Any, vector: NDArray[np.float16], probes: int, refine: int) -> list[str]:
    """Ids of the 10 nearest by the index; probes 0: without it."""
    search = table.search(vector, vector_column_name="vector").distance_type("cosine").limit(10)
    search = search.select(["id", "_distance"])
    if not probes:
        search = search.bypass_vector_index()
    else:
        search = search.nprobes(probes)
        search = search.refine_factor(refine) if refine else search
    found: list[str] = search.to_arrow()["id"].to_pylist()
    return found


def latencies(work: Callable[[Any], object], asked: Sequence[Any]) -> str:
    """p50, p95, p99 in milliseconds and calls per second, of calls one after the other."""
    for one in asked[:3]:
        work(one)  # the first ones load the index
    taken = np.array([_seconds(partial(work, one)) for one in asked]) * 1000
    p50, p95, p99 = np.percentile(taken, [50, 95, 99])
    return f"{p50:8.1f}{p95:8.1f}{p99:8.1f}{1000 * len(asked) / taken.sum():8.1f}"


def measure(size: int, kinds: Sequence[str], probes: Sequence[int], count: int) -> None:
    """Print the table of one size."""
    world = World(size)
    with tempfile.TemporaryDirectory() as root:
        seconds = build(root, world)
        print(f"\n{size:,} moments: indexed in {seconds:.1f} s, {_megabytes(root):.0f} MB", flush=True)
        print(f"{'':34}{'build s':>9}{'R@10':>8}{'p50 ms':>8}{'p95':>8}{'p99':>8}{'per s':>8}")
        asked = list(world.vectors(count))
        texts = [world.text(5) for _ in range(count)]
        exact = [nearest(Store(root).open("texts"), vector, 0, 0) for vector in asked]
        for kind in kinds:
            built = make_vector_index(root, kind)
            table = Store(root).open("texts")
            for n in probes if kind != "none" else (0,):
                look = partial(nearest, table, probes=n, refine=5 if kind != "IVF_FLAT" else 0)
                pairs = zip([look(vector) for vector in asked], exact, strict=True)
                recall = np.mean([len(set(some) & set(right)) / len(right) for some, right in pairs])
                name = f"{kind}, {n} probes" if n else "exact"
                print(f"{name:34}{built:9.1f}{recall:8.3f}{latencies(look, asked)}", flush=True)
            find = partial(Searcher(root).find, query=Query("text", limit=20))
            encoded = [
                EncodedQuery(text, (), vector, {}, None) for text, vector in zip(texts, asked, strict=True)
            ]
            print(f"{f'whole search, {kind}':34}{'':17}{latencies(find, encoded)}", flush=True)
        print(f"on disk with the last index: {_megabytes(root):.0f} MB")


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _megabytes(root: str) -> float:
    files = (Path(folder, name) for folder, _, names in os.walk(root) for name in names)
    return sum(file.stat().st_size for file in files) / 1e6


def main() -> None:
    """Print the tables."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--sizes", nargs="+", type=int, default=[10_000, 100_000, 1_000_000], metavar="N")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["none", "IVF_FLAT"])
    parser.add_argument("--probes", nargs="+", type=int, default=[20], metavar="N")
    parser.add_argument("--queries", type=int, default=_QUERIES, metavar="N")
    arguments = parser.parse_args()
    for size in arguments.sizes:
        measure(size, arguments.kinds, arguments.probes, arguments.queries)


if __name__ == "__main__":
    main()
