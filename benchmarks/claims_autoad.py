"""AutoAD's main comparisons (Tables 8.2 and 8.3 of the thesis) on described films of Cineworld.

The language model is a small one that the benchmark trains itself, first on dialogue and narration (in the
place of GPT-2's own training), once for all seeds, and it learns in every row but one; the paper's stays
frozen. Test films are described in order; with recurrent context the model reads what it said itself, with
oracle context what the true describer said.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import GPT2Config

from benchmarks.claims_films import ALIGNED, LANGUAGE_WORLD, write_films, write_language
from benchmarks.claims_table import Bench, Claim, Numbers, Row, System
from benchmarks.claims_training import Unevaluated, trained
from cinescribe import tables
from cinescribe.cineworld.world import WorldSettings
from cinescribe.feature_store import FeatureStore
from cinescribe.metrics.captioning import score_captions
from cinescribe.models import autoad_files
from cinescribe.models.autoad import AutoAD
from cinescribe.models.autoad_film import (
    Clip,
    Context,
    describe_films,
    frames_between,
    names_alone,
    recent_lines,
)
from cinescribe.models.decoding import Decoding
from cinescribe.models.language_model import fresh, fresh_tokeniser
from train.recipe import Data, option
from train.recipes.autoad import (
    Described,
    DescribedOptions,
    TextAlone,
    TextOptions,
    VisualAlone,
    VisualOptions,
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of the data and the models.

    The learning rate was chosen on another world (seed 100) by its validation films; the steps are what time
    allows.
    """

    films: int = 120
    visual_films: int = 80
    seen_films: int = 100
    text_films: int = 1000
    general: int = 150
    film_dim: int = 256
    noise: float = 0.3
    words: int = 1024
    language_layers: int = 2
    language_width: int = 128
    latents: int = 4
    layers: int = 1
    heads: int = 4
    batch: int = 2
    consecutive: int = 8
    learning_rate: float = 2e-3
    warmup: int = 30
    steps: int = 300
    text_batch: int = 4
    text_learning_rate: float = 1e-3
    text_warmup: int = 10
    text_steps: int = 150
    beams: int = 1


SIZES = {
    "small": Sizes(),
    "tiny": Sizes(10, 3, 3, 3, 3, 64, 0.3, 400, 1, 32, 2, 1, 2, 1, steps=3, text_batch=1, text_steps=3),
}


@dataclass(frozen=True, slots=True)
class Variant:
    """What a row's model reads, what it starts from, and what it is trained on."""

    frames: int = 8
    context: bool = True
    subtitles: str = "none"
    ad_text: bool = False
    visual: bool = False
    frozen: bool = False
    data: str = "films"


VARIANTS = {
    "1-frame": Variant(frames=1, context=False),
    "8-frames": Variant(context=False),
    "8-frames-visual": Variant(context=False, visual=True),
    "context": Variant(),
    "context-ad": Variant(ad_text=True),
    "context-visual-ad": Variant(ad_text=True, visual=True),
    "subtitles": Variant(ad_text=True, visual=True, subtitles="lines"),
    "names": Variant(ad_text=True, visual=True, subtitles="names"),
    "frozen": Variant(ad_text=True, frozen=True),
    "noisy": Variant(data="films-noisy"),
}


class _Learning(Unevaluated):
    """The language model learns, too."""

    def model(self, data: Data) -> AutoAD:
        """That of the recipe."""
        model: AutoAD = super().model(data)  # type: ignore[misc]
        model.set_stage(model.stage, True)
        return model


class _Frozen(Unevaluated, Described):
    """`autoad`, as in the paper."""


class _Describing(_Learning, Described):
    """`autoad`."""


class _Seeing(_Learning, VisualAlone):
    """`autoad-visual`."""


@dataclass(frozen=True, kw_only=True)
class _TextOptions(TextOptions):
    text_from: str = option("", "folder of a model of autoad-text to go on from")


class _Text(Unevaluated, TextAlone):
    """`autoad-text`, also from a model of it."""

    Options = _TextOptions


def measure(row: str, bench: Bench) -> Numbers:
    """CIDEr, ROUGE-L (times 100) and right names (percent) of the seed's test films, with both contexts."""
    sizes: Sizes = bench.sizes
    settings = WorldSettings(bench.seed, sizes.noise, film_dim=sizes.film_dim)
    root = bench.out / "data"
    write_films(root, settings, sizes.films, sizes.visual_films, sizes.seen_films)
    variant = VARIANTS[row]
    model = autoad_files.load(_model(row, root, bench))
    films = _test_films(root / "films", variant)
    true = [clip.text for film in films for clip in film]
    numbers: Numbers = {}
    contexts: tuple[Context, ...] = ("recurrent", "oracle") if variant.context else ("recurrent",)
    for context in contexts:
        told = describe_films(model, films, context, Decoding(beams=sizes.beams))
        said = [text for film in told for text in film]
        place = bench.out / "texts" / f"{row}-{context}.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(
            json.dumps([{"true": a, "said": b} for a, b in zip(true, said, strict=True)], indent=1)
        )
        references = {str(number): [text] for number, text in enumerate(true)}
        captions = {str(number): text for number, text in enumerate(said)}
        scores = score_captions(references, captions, tokeniser="python")
        ending = "" if context == "recurrent" else "-oracle"
        numbers[f"cider{ending}"], numbers[f"rouge{ending}"] = 100 * scores.cider, 100 * scores.rouge_l
        numbers[f"names{ending}"] = 100 * right_names(true, said)
        if bench.bertscore is not None:
            found = bench.bertscore([[text] for text in true], said)
            numbers[f"bert{ending}"] = 100 * sum(score.f for score in found) / len(found)
    return numbers


def right_names(true: Sequence[str], said: Sequence[str]) -> float:
    """Of the plain sentences that begin with a name, the share that begin with the right one."""
    firsts = [[text.partition(" ")[0].strip(",") for text in texts] for texts in (true, said)]
    hits = [one == other for one, other in zip(*firsts, strict=True) if one != "The"]
    return sum(hits) / max(1, len(hits))


def _model(row: str, root: Path, bench: Bench) -> Path:
    """The trained model of a row, and before it those it starts from."""
    sizes, variant = bench.sizes, VARIANTS[row]
    general = _language_model("general", bench)
    given: dict[str, Any] = {
        "batch": sizes.batch,
        "consecutive": sizes.consecutive,
        "steps": sizes.steps,
        "warmup": sizes.warmup,
        "learning_rate": sizes.learning_rate,
        "features": ALIGNED,
        "latents": sizes.latents,
        "layers": sizes.layers,
        "heads": sizes.heads,
        "text_from": str(general),
    }
    if variant.visual:
        seeing = _Seeing(VisualOptions(**given))
        given["visual_from"] = str(trained(seeing, root / "visual", "visual", bench))
    if variant.ad_text:
        given["text_from"] = str(_language_model("ad-text", bench))
    given |= {"frames": variant.frames, "context": variant.context, "subtitles": variant.subtitles}
    kind = _Frozen if variant.frozen else _Describing
    return trained(kind(DescribedOptions(**given)), root / variant.data, row, bench)


def _language_model(kind: str, bench: Bench) -> Path:
    """The folder of `general`, or of `ad-text`, which goes on from it; made once for all seeds."""
    sizes: Sizes = bench.sizes
    shared = Bench(bench.out.parent / "language", LANGUAGE_WORLD, sizes, bench.threads)
    write_language(shared.out, sizes.text_films, sizes.general)
    given: dict[str, Any] = {
        "batch": sizes.text_batch,
        "consecutive": sizes.consecutive,
        "steps": sizes.text_steps,
        "warmup": sizes.text_warmup,
        "learning_rate": sizes.text_learning_rate,
    }
    if kind == "ad-text":
        given["text_from"] = str(_language_model("general", bench))
        return trained(_Text(_TextOptions(**given)), shared.out / "ad.csv", kind, shared)
    given["language_model"] = str(_untrained(shared.out, sizes))
    return trained(_Text(_TextOptions(**given)), shared.out / "general.csv", kind, shared)


def _untrained(root: Path, sizes: Sizes) -> Path:
    """A folder of a random language model, whose words (as GPT-2's) are those of all kinds of text."""
    folder = root / "untrained"
    if not (folder / "config.json").exists():
        config = GPT2Config(
            n_layer=sizes.language_layers,
            n_embd=sizes.language_width,
            n_head=max(1, sizes.language_width // 64),
            n_positions=256,
        )
        texts = [(root / name).read_text(encoding="utf-8") for name in ("ad.csv", "general.csv")]
        sentences = [line.partition(",")[2].strip('"') for text in texts for line in text.splitlines()]
        model = fresh(config, fresh_tokeniser(sentences, sizes.words), LANGUAGE_WORLD)
        model.tokeniser.save_pretrained(folder)
        model.model.save_pretrained(folder)
    return folder


def _test_films(root: Path, variant: Variant) -> list[list[Clip]]:
    """The clips of each test film, in order."""
    store, cast = FeatureStore(str(root), ALIGNED), json.loads((root / "cast.json").read_text())
    films = []
    for film in json.loads((root / "splits.json").read_text())["films"]["test"]:
        row = tables.read_row(str(root), "speech", film)
        assert row is not None
        said, seen, clips = tables.utterances_of(row), store.read(film), []
        for cue in sorted((line for line in said if line.role == "narrator"), key=lambda line: line.start):
            lines = recent_lines(said, cue.start) if variant.subtitles != "none" else []
            if variant.subtitles == "names":
                lines = names_alone(lines, cast[film])
            frames = frames_between(seen.array, seen.hz, cue.start, cue.end, variant.frames)
            clips.append(Clip(frames, lines, cue.text))
        films.append(clips)
    return films


def note(sizes: Sizes) -> str:
    """What was trained on what."""
    return (
        f"{sizes.films} films (8 : 1 : 1) described in plain sentences, {sizes.visual_films} for "
        f"visual-only and {sizes.text_films} for AD-only pretraining; a language model of "
        f"{sizes.language_layers} layers of {sizes.language_width}, "
        f"from nothing, that learns in every row but one; CLIP-like features, noise {sizes.noise}, "
        f"{sizes.latents} latents, {sizes.layers} layer of vision; {sizes.steps} steps of {sizes.batch} x "
        f"{sizes.consecutive} clips, {sizes.text_steps} of {sizes.text_batch} x {sizes.consecutive} "
        f"sentences of each text stage; beams {sizes.beams} "
        "(paper: MAD, GPT-2 frozen, 8 x 16 clips, 10 epochs, beams 5)"
    )


def _paper(rouge: float, cider: float, bert: float, *oracle: float) -> dict[str, float]:
    told = {"rouge": rouge, "cider": cider, "bert": bert}
    return told | dict(zip(("rouge-oracle", "cider-oracle", "bert-oracle"), oracle, strict=False))


SYSTEM = System(
    name="autoad",
    title="AutoAD on Cineworld's described films [paper: MAD-eval-Named]",
    note=note,
    metrics={
        "cider": "CIDEr",
        "rouge": "ROUGE-L",
        "bert": "BERTScore",
        "names": "right name, %",
        "cider-oracle": "CIDEr, oracle",
        "rouge-oracle": "ROUGE-L, oracle",
        "names-oracle": "right name, oracle",
        "bert-oracle": "BERTScore, oracle",
    },
    rows=(
        Row("1-frame", "1 frame", _paper(7.1, 4.0, 13.2)),
        Row("8-frames", "8 frames", _paper(9.3, 6.7, 15.6)),
        Row("8-frames-visual", "8 frames, visual-only pretraining [WebVid]", _paper(9.9, 10.0, 17.3)),
        Row("context", "8 frames + AD", _paper(11.8, 13.7, 18.8, 13.3, 17.8, 22.1)),
        Row("context-ad", "8 frames + AD, AD-only pretraining", _paper(13.0, 18.1, 22.9, 13.9, 19.0, 23.7)),
        Row("context-visual-ad", "8 frames + AD, both", _paper(12.7, 18.5, 24.2, 13.9, 21.9, 23.8)),
        Row("subtitles", "8 frames + AD + subtitles, both", _paper(12.9, 16.1, 22.2)),
        Row("names", "8 frames + AD + names, both", _paper(13.4, 17.0, 23.6)),
        Row("frozen", "8 frames + AD, AD-only pretraining, then the language model frozen", {}),
        Row("noisy", "8 frames + AD, trained on noisy text",
            {"rouge-oracle": 12.8, "cider-oracle": 17.0, "bert-oracle": 21.8}),
    ),
    claims=(
        Claim("8 frames over 1", "8-frames", "1-frame", "cider"),
        Claim("recurrent context over none", "context", "8-frames", "cider"),
        Claim("recurrent context over none", "context", "8-frames", "rouge"),
        Claim("oracle context over none", "context", "8-frames", "cider-oracle", "cider"),
        Claim("oracle context over none", "context", "8-frames", "rouge-oracle", "rouge"),
        Claim("AD-only pretraining, recurrent", "context-ad", "context", "cider"),
        Claim("AD-only pretraining, oracle", "context-ad", "context", "cider-oracle"),
        Claim("visual-only pretraining, without context", "8-frames-visual", "8-frames", "cider"),
        Claim("visual-only over AD-only alone, recurrent", "context-visual-ad", "context-ad", "cider"),
        Claim("visual-only over AD-only alone, oracle", "context-visual-ad", "context-ad", "cider-oracle"),
        Claim("the language model learns, over frozen", "context-ad", "frozen", "cider"),
        Claim("subtitles over none, recurrent", "subtitles", "context-visual-ad", "cider"),
        Claim("names over subtitles, recurrent", "names", "subtitles", "cider"),
        Claim("denoised over noisy training text, oracle", "context", "noisy", "cider-oracle"),
        Claim("denoised over noisy training text, oracle", "context", "noisy", "rouge-oracle"),
    ),
    parts={
        "autoad-context": ("1-frame", "8-frames", "context"),
        "autoad-denoising": ("noisy",),
        "autoad-pretraining": ("context-ad", "8-frames-visual", "context-visual-ad"),
        "autoad-frozen": ("frozen",),
        "autoad-dialogue": ("subtitles", "names"),
    },
    sizes=SIZES,
    measure=measure,
)  # fmt: skip
