"""What `benchmarks.trained_search` measures on: a world, models trained on it, held-out films, and queries.

Both models are trained on the descriptions of the training films by the product's own loop, and taken after
the last step. The held-out films are indexed twice: with their dialogue alone, and with the description that
the narrator speaks.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.claims_table import Bench
from benchmarks.claims_training import trained
from cinescribe import storage, tables
from cinescribe.cineworld.experts import SEES
from cinescribe.cineworld.plain import plain_utterances
from cinescribe.cineworld.world import World, WorldSettings, split_of
from train import recipes

EXPERTS = tuple(SEES)
FRAMES = ("world-clip", "world-place")  # of the re-ranker, side by side


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of the data and the models; steps, widths and learning rates are those of `benchmarks.claims`.

    Attributes:
        films: of the world, of which one in ten is held out and one in ten is for validation.
        noise: of its features.
        queries: of each case and seed.
    """

    films: int = 200
    noise: float = 0.3
    queries: int = 75
    text: str = "word2vec-googlenews-26k"
    width: int = 128
    batch: int = 64
    steps: int = 150
    vectors: str = "word2vec"
    scale: int = 16
    rerank_batch: int = 16
    rerank_steps: int = 300


TINY = Sizes(
    films=10, queries=4, text="glove-6b-50d", width=16, batch=8, steps=2, vectors="fresh", scale=64,
    rerank_batch=4, rerank_steps=2,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, and the only moment that answers it: [start, end) seconds of a film."""

    text: str
    film_id: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Case:
    """An index of the held-out films, and what it is asked.

    Attributes:
        root: of the tables and the index.
        asked: of evenly drawn deeds of the held-out films.
    """

    root: Path
    asked: Sequence[Asked]


def held_out(seed: int, sizes: Sizes) -> list[int]:
    """Numbers of the films that nothing was trained on."""
    return [number for number in range(sizes.films) if split_of(seed, "film", number) == "test"]


def train_encoder(root: Path, bench: Bench) -> Path:
    """The folder of a Collaborative Experts, after its last step."""
    sizes: Sizes = bench.sizes
    options: dict[str, Any] = {
        "annotations": "cineworld-films",
        "experts": ",".join(EXPERTS),
        "clusters": "world-deed=4,text=8",
        "tokens": "world-deed=8,text=20",
        "text": sizes.text,
        "width": sizes.width,
        "batch": sizes.batch,
        "steps": sizes.steps,
    }
    return trained(recipes.load("ce", options), root, "ce", bench)


def train_reranker(root: Path, bench: Bench) -> Path:
    """The folder of a JSFusion, after its last step."""
    sizes: Sizes = bench.sizes
    options: dict[str, Any] = {
        "annotations": "cineworld-films",
        "features": ",".join(FRAMES),
        "vectors": sizes.vectors,
        "least": 2,
        "scale": sizes.scale,
        "batch": sizes.rerank_batch,
        "candidates": 5,
        "learning_rate": 3e-3,
        "steps": sizes.rerank_steps,
        "most": 1,  # the loop evaluates the last step on validation clips, and nothing is chosen by it
    }
    return trained(recipes.load("jsfusion-retrieval", options), root, "jsfusion", bench)


def write_cases(world: Path, folder: Path, model: Path, seed: int, sizes: Sizes) -> dict[str, Case]:
    """The two cases, their indices made where they are not there.

    "heard": of a film only the dialogue is known, and a query is a sentence that a describer would say.
    "described": the narrator speaks it, and a query tells the same deed in other, plain words.
    """
    from pipelines.index import Config, run

    asked: dict[str, list[Asked]] = {"heard": [], "described": []}
    made = World(WorldSettings(seed, sizes.noise))
    for number in held_out(seed, sizes):
        film = made.film(number)
        film_id, truth = f"film-{number:05}", film.truth()
        rich, plain = film.utterances(), plain_utterances(film)
        for told in truth["descriptions"]:
            deeds = [truth["actions"][action] for action in told["actions"]]
            if not deeds:  # tells of the place, which is to be seen all through the scene
                continue
            span = min(deed["start"] for deed in deeds), max(deed["end"] for deed in deeds)
            asked["heard"].append(Asked(rich[told["utterance"]].text, film_id, *span))
            asked["described"].append(Asked(plain[told["utterance"]].text, film_id, *span))
        for name in asked:
            copy_film(world, folder / name, film_id, described=name == "described")
    for name in asked:
        config = Config(root=str(folder / name), workers=1, threads=1, quiet=True, model=str(model))
        if run(config) != 0:
            raise RuntimeError(f"{folder / name}: not all films were indexed")
    step = max(1, len(asked["heard"]) // sizes.queries)
    return {name: Case(folder / name, some[::step][: sizes.queries]) for name, some in asked.items()}


def copy_film(world: Path, root: Path, film_id: str, *, described: bool) -> None:
    """A film's rows, those of the narrator left out where it is not described; once."""
    if tables.read_row(str(root), "speech", film_id) is not None:
        return
    for table in (*EXPERTS, *FRAMES):
        place = Path(storage.join(tables.FEATURES + table, tables.file_name(film_id, 0)))
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(world / place, root / place)
    for table in ("films", "speech"):
        row = tables.read_row(str(world), table, film_id)
        if row is None:
            raise RuntimeError(f"{world}: the table {table} lacks {film_id}")
        if table == "speech" and not described:
            row["utterances"] = [said for said in row["utterances"] if said["role"] != "narrator"]
        tables.write_row(str(root), table, film_id, row)
