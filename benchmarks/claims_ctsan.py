"""CT-SAN with and without semantic attention (Tables 4.1, 4.2 of the thesis) on clips of Cineworld's films.

The features have no places, so there is one trace and its spatial attention has nothing to choose from: what
is compared is the detection of concept words and the attention to them. The concept detector is trained with
the description and goes over to the other tasks, with the vectors of the words; a row without that tells how
much of the gain is this longer training.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.claims_clips import SPLIT, ClipSizes, score_clips, train_clips, write_films
from benchmarks.claims_table import Bench, Claim, Numbers, Row, System
from cinescribe.annotations.cineworld import read_films
from cinescribe.cineworld.world import WorldSettings
from cinescribe.models import ct_san_files
from cinescribe.models.clip_frames import ClipFrames
from cinescribe.models.ct_san_files import SavedCTSAN
from cinescribe.models.vocabulary import words_of


@dataclass(frozen=True, slots=True)
class Sizes(ClipSizes):
    """Of the data and the models; widths and steps are what time allows."""

    pool: int = 50
    vectors: str = "word2vec"
    width: int = 128
    sketch: int = 1000
    learning_rate: float = 2e-3
    batch: int = 32
    description_steps: int = 100
    blank_steps: int = 100
    questions: int = 8
    matching_learning_rate: float = 3e-3
    matching_steps: int = 150


SIZES = {
    "small": Sizes(),
    "tiny": Sizes(
        10, pool=5, vectors="fresh", width=16, sketch=32, description_steps=2, blank_steps=2, matching_steps=2
    ),
}
FREQUENT = "frequent"  # row of the ten most frequent concept words
# What a row trains; a row is a variant with or without this ending.
WORDS, MATCHING, ENDING = ("ct-san", "ct-san-fill-in"), ("ct-san-choice", "ct-san-retrieval"), " matching"


def measure(row: str, bench: Bench) -> Numbers:
    """Descriptions and blanks of a variant, or its choices and retrieval, on the test films."""
    sizes: Sizes = bench.sizes
    root = bench.out / "world"
    write_films(root, WorldSettings(bench.seed, sizes.noise, words=sizes.words), sizes.films)
    if row == FREQUENT:
        given, folder = _trained("ct-san", "CT-SAN", bench)
        return {"concepts": _concepts(ct_san_files.load(folder), given, root, detected=False)}
    variant = row.removesuffix(ENDING)
    numbers: Numbers = {}
    for recipe in MATCHING if row.endswith(ENDING) else WORDS:
        if (recipe, variant) == ("ct-san", "CT-SAN-anew"):
            continue  # the description's is always trained anew
        given, folder = _trained(recipe, variant, bench)
        saved = ct_san_files.load(folder)
        found = score_clips(recipe, given, root, saved.model, sizes.pool)
        if (recipe, variant) == ("ct-san", "CT-SAN"):
            numbers["concepts"] = _concepts(saved, given, root, detected=True)
        name = "blanks" if recipe == "ct-san-fill-in" else "choice"
        numbers |= {name if metric == "accuracy" else metric: value for metric, value in found.items()}
    return numbers


def _concepts(saved: SavedCTSAN, given: dict[str, Any], root: Path, *, detected: bool) -> float:
    """Percent of the test captions' concept words among the ten detected, or the ten most frequent ones."""
    watcher, vocabulary = saved.model.watcher, saved.vocabulary
    known = watcher.get_buffer("concept_words")
    clips = read_films(root).splits[SPLIT]
    frames = ClipFrames(str(root), given["features"], saved.hz, watcher.config.frames)
    hits = said = 0
    for start in range(0, len(clips), 32):
        some = clips[start : start + 32]
        found = known[: watcher.config.concepts].expand(len(some), -1)
        if detected:
            with torch.no_grad():
                places = watcher.watch(*frames.batch(some)).found
            assert places is not None
            found = known[places]
        for clip, numbers in zip(some, found.tolist(), strict=True):
            words = {vocabulary.number(word) for word in words_of(clip.captions[0]) if word in vocabulary}
            words &= set(known.tolist())
            hits, said = hits + len(words & set(numbers)), said + len(words)
    return 100 * hits / said


def _trained(recipe: str, variant: str, bench: Bench) -> tuple[dict[str, Any], Path]:
    """The options of a variant's model for a task, and its folder."""
    given = _options(recipe, variant, bench.sizes)
    if recipe != "ct-san" and variant == "CT-SAN":
        given["detector"] = str(_trained("ct-san", variant, bench)[1])
    return given, train_clips(recipe, given, bench.out / "world", f"{recipe}-{variant}", bench)


def _options(recipe: str, variant: str, sizes: Sizes) -> dict[str, Any]:
    matching = recipe in MATCHING
    steps = sizes.description_steps if recipe == "ct-san" else sizes.blank_steps
    return {
        "features": "world-clip",
        "grid": 1,
        "attends": variant != "Base-SAN",
        "vectors": sizes.vectors,
        "least": 2,
        "width": sizes.width,
        "sketch": sizes.sketch,
        "learning_rate": sizes.matching_learning_rate if matching else sizes.learning_rate,
        "batch": sizes.questions if matching else sizes.batch,
        "steps": sizes.matching_steps if matching else steps,
    }


def note(sizes: Sizes) -> str:
    """What was trained on what."""
    return (
        f"{sizes.films} films (8 : 1 : 1), {sizes.words} sentences, noise {sizes.noise}; 2.4 frames a second "
        f"of world-clip, without places; word vectors {sizes.vectors}; width {sizes.width}, sketch "
        f"{sizes.sketch}; {sizes.description_steps} steps of {sizes.batch} descriptions, {sizes.blank_steps} "
        f"of as many blanks, {sizes.matching_steps} of {sizes.questions} questions (5 candidates) of choice "
        f"and of retrieval; texts are searched among {sizes.pool} clips "
        "(paper: LSMDC, 92,000 clips, maps of 7 x 7, width 500, sketch 8,000, among 1,000 clips)"
    )


SYSTEM = System(
    name="ctsan",
    title="CT-SAN on clips of Cineworld's films [paper: LSMDC]",
    note=note,
    metrics={
        "bleu1": "BLEU-1", "bleu2": "BLEU-2", "rouge": "ROUGE-L", "cider": "CIDEr",
        "concepts": "concepts, %", "blanks": "blanks, %", "choice": "choice, %",
        "r1": "R@1", "r5": "R@5", "r10": "R@10", "median": "median rank",
    },
    rows=(
        Row(FREQUENT, "the ten most frequent concept words", {}),
        Row("Base-SAN", "Base-SAN",
            {"bleu1": 12.3, "bleu2": 3.8, "rouge": 15.0, "cider": 9.0, "blanks": 34.5}),
        Row("CT-SAN-anew", "CT-SAN, its detector not taken over", {}),
        Row("CT-SAN", "CT-SAN", {"bleu1": 13.5, "bleu2": 4.4, "rouge": 15.9, "cider": 10.0, "blanks": 41.9}),
        Row("Base-SAN matching", "Base-SAN, matching",
            {"choice": 60.1, "r1": 4.3, "r5": 13.0, "r10": 18.2, "median": 83}),
        Row("CT-SAN-anew matching", "CT-SAN, its detector not taken over, matching", {}),
        Row("CT-SAN matching", "CT-SAN, matching",
            {"choice": 63.8, "r1": 4.5, "r5": 14.1, "r10": 20.9, "median": 67}),
    ),
    claims=tuple(
        Claim(text, better + ending, "Base-SAN" + ending, metric)
        for text, better in (
            ("semantic attention helps", "CT-SAN"),
            ("also where its detector begins anew", "CT-SAN-anew"),
        )
        for ending, metrics in (
            ("", ("bleu1", "rouge", "cider", "blanks")), (ENDING, ("choice", "r5", "r10", "median"))
        )
        for metric in metrics
        if better == "CT-SAN" or metric in ("blanks", "choice", "r5", "r10")
    ),
    parts={
        "ctsan-words": ("Base-SAN", "CT-SAN", "CT-SAN-anew", FREQUENT),
        "ctsan-matching": ("Base-SAN matching", "CT-SAN matching", "CT-SAN-anew matching"),
    },
    sizes=SIZES,
    measure=measure,
)  # fmt: skip
