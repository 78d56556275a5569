"""AutoAD (Han et al. 2023; chapter 8 of the thesis), whole or in the parts of its pretraining.

`autoad-text` trains the language model on descriptions alone, `autoad-visual` the visual network on clips
without context; `autoad` trains on films with both, the language model frozen, and starts from either or
both of the others.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import nn

from cinescribe.errors import UsageError
from cinescribe.feature_store import FeatureStore
from cinescribe.metrics.captioning import score_captions
from cinescribe.models import autoad_files
from cinescribe.models.autoad import AutoAD, AutoADConfig, Stage
from cinescribe.models.autoad_film import Context, describe_films
from cinescribe.models.decoding import Decoding
from cinescribe.models.language_model import LanguageModel, fresh, fresh_tokeniser, load_language_model
from train.recipe import Data, NoStep, Optimisation, Outcome, Pick, Split, option
from train.recipes import mad_data
from train.recipes.autoad_data import Films, Reading, Subtitles, read_films, read_texts


@dataclass(frozen=True, kw_only=True)
class CommonOptions(Optimisation):
    """What the three share: section 8.6.1, "ours" where nothing published tells."""

    batch: int = option(8, "runs of consecutive clips of a step; section 8.6.1")
    consecutive: int = option(16, "clips of a run; section 8.6.1")
    epochs: float = option(10.0, "section 8.6.1")
    learning_rate: float = option(1e-4, "section 8.6.1, AdamW; then a cosine to 0")
    warmup: int = option(1000, "steps of linear warm-up; the length is ours")
    weight_decay: float = option(0.01, "ours (torch's default)")
    language_model: str = option(
        "openai-community/gpt2", "section 8.3.1; a name of the zoo or the hub, a folder, or fresh"
    )
    fresh_layers: int = option(4, "of a fresh language model; ours")
    fresh_width: int = option(256, "of a fresh language model; ours")
    fresh_words: int = option(2048, "tokens of a fresh language model; ours")
    held_out: float = option(0.05, "share of the films to evaluate on, where splits.json does not tell; ours")
    evaluated: int = option(0, "films of them, 0 for all; ours")
    annotations: str = option(
        "",
        "of data in MAD's form: files of the descriptions, with commas; by default MAD-v2's named ones, else "
        "unnamed, else MAD_train.json",
    )


@dataclass(frozen=True, kw_only=True)
class FilmOptions(CommonOptions):
    """With pictures."""

    features: str = option(
        "clip", "of the frames, features/NAME; section 8.6.1 has CLIP ViT-B/32 at 5 a second"
    )
    file_hz: float = option(
        0.0, "of features in .npy or .h5 files; 0 for what their name says (..._5fps), else 1"
    )
    frames: int = option(8, "of a clip, evenly; section 8.6.1")
    latents: int = option(10, "prompt vectors of a clip; section 8.3.1")
    layers: int = option(2, "of the visual network; section 8.3.1")
    heads: int = option(8, "of its attention [code]")
    text_from: str = option("", "folder of a model of autoad-text: its language model, from then on frozen")
    beams: int = option(1, "of the evaluation during training; the paper's results have 5")


@dataclass(frozen=True, kw_only=True)
class DescribedOptions(FilmOptions):
    """`autoad`."""

    visual_from: str = option("", "folder of a model of autoad-visual to start from")
    context: bool = option(True, "reads the descriptions before; section 8.3.2")
    subtitles: str = option("lines", "lines, names (of cast.json; SubN) or none; section 8.3.2")
    evaluated_context: str = option("recurrent", "recurrent or oracle, of the evaluation; section 8.3.2")


@dataclass(frozen=True, kw_only=True)
class VisualOptions(FilmOptions):
    """`autoad-visual`."""


@dataclass(frozen=True, kw_only=True)
class TextOptions(CommonOptions):
    """`autoad-text`."""

    films: str = option("", "films to evaluate on, by name, with commas; for a CSV file")
    subtitles: str = option("none", "lines, names or none; from tables only; section 8.3.3")


@dataclass(frozen=True, slots=True)
class FilmResult:
    """A held-out film: sums over its tokens, and its descriptions where there are pictures."""

    loss: float
    tokens: float
    true: Sequence[str] = ()
    said: Sequence[str] = ()


class Described(NoStep):
    """`autoad`."""

    name = "autoad"
    stage: Stage = "all"
    best: tuple[str, ...] = ("cider", "-loss")
    Options: type[CommonOptions] = DescribedOptions

    def __init__(self, options: Any) -> None:
        self.options = options
        self.inputs: autoad_files.Inputs | None = None  # known with the data
        if getattr(options, "subtitles", "none") not in ("lines", "names", "none"):
            raise UsageError(f"--subtitles {options.subtitles}: lines, names or none")
        if getattr(options, "evaluated_context", "oracle") not in ("oracle", "recurrent"):
            raise UsageError(f"--evaluated-context {options.evaluated_context}: recurrent or oracle")

    def data(self, root: str, split: Split) -> Data:
        """Films with narration and features: our tables, or MAD's files."""
        store = FeatureStore(root, self.options.features, self.options.file_hz)
        return self._films(root, split, self._reading(store))

    def model(self, data: Data) -> AutoAD:
        """From the language model; what was pretrained replaces its parts."""
        if not isinstance(data, Films):
            raise TypeError(f"not films: {data}")
        options = self.options
        if (store := data.reading.features) is not None:
            hz = store.read(min(data.films)).hz
            subtitles: Subtitles | Literal["none"] = getattr(options, "subtitles", "none")
            self.inputs = autoad_files.Inputs(options.features, hz, options.frames, subtitles)
        text_from, visual_from = getattr(options, "text_from", ""), getattr(options, "visual_from", "")
        if text_from:
            language_model = autoad_files.load(Path(text_from)).language_model
        else:
            language_model = self._language_model(data)
        model = AutoAD(language_model, self._config(data))
        if text_from:
            _take(model, text_from, ("context_special_token", "subtitle_special_token", "bos_token"))
        if visual_from:
            _take(
                model,
                visual_from,
                ("perceiver", "project") if text_from else ("perceiver", "project", "bos_token"),
            )
        # From nothing, the language model has to learn, too; a pretrained one stays as it is (section 8.3.1).
        train_too = True if language_model.name == "fresh" and not text_from else None
        model.set_stage(self.stage, train_too)
        return model

    def loss(self, model: nn.Module, batch: Sequence[Any]) -> Outcome:
        """Eq. 8.2: the descriptions' tokens, nothing else."""
        if not isinstance(model, AutoAD):
            raise TypeError(f"not an AutoAD: {model}")
        together = model.batch(batch)
        return Outcome(model.loss(together), float(together.target.mask.sum()))

    def evaluate(self, model: nn.Module, data: Data, items: Sequence[int]) -> list[Any]:
        """Held-out films: the loss with true contexts, and what the model says by itself."""
        if not isinstance(data, Films) or not isinstance(model, AutoAD):
            raise TypeError(f"can't evaluate {model} on {data}")
        films = [data.runs[item][0] for item in items]
        clips = [data.clips(film) for film in films] if self.stage != "text" else []
        oracle = getattr(self.options, "evaluated_context", "oracle") == "oracle"
        context: Context = "oracle" if oracle else "recurrent"
        said: list[list[str]] = [[] for _ in films]
        if clips:
            said = describe_films(model, clips, context, Decoding(beams=self.options.beams))
        results = []
        for item, film, texts in zip(items, films, said, strict=True):
            loss, tokens = self._likelihood(model, data, item)
            true = [cue.text for cue in data.films[film]] if texts else []
            results.append(FilmResult(loss, tokens, true, texts))
        return results

    def score(self, results: Sequence[Any]) -> Mapping[str, float]:
        """Loss and perplexity per token; CIDEr and ROUGE-L as fractions where there are descriptions."""
        tokens = sum(result.tokens for result in results)
        if not tokens:
            return {}
        loss = sum(result.loss for result in results) / tokens
        scores = {"loss": loss, "perplexity": math.exp(min(loss, 50.0))}
        true = [text for result in results for text in result.true]
        said = [text for result in results for text in result.said]
        if true:
            references = {str(number): [text] for number, text in enumerate(true)}
            captions = {str(number): text for number, text in enumerate(said)}
            found = score_captions(references, captions, tokeniser="python")
            scores |= {"cider": found.cider, "rouge_l": found.rouge_l}
        return scores

    def save(self, model: nn.Module, folder: Path) -> None:
        """As `cinescribe.models.autoad_files` reads it."""
        if not isinstance(model, AutoAD):
            raise TypeError(f"not an AutoAD: {model}")
        autoad_files.save(model, folder, self.inputs)

    def _films(self, root: str, split: Split, reading: Reading) -> Films:
        options, plain = self.options, AutoADConfig()
        most = options.evaluated if split == "validation" else 0
        names = getattr(options, "subtitles", "none") == "names"
        if mad_data.is_mad(root, options.annotations):
            if names:
                raise UsageError("--subtitles names needs our tables; of MAD's files give lines or none")
            return mad_data.read(
                root,
                split,
                reading,
                annotations=options.annotations,
                lines=plain.subtitle_sentences,
                seconds=plain.subtitle_seconds,
                share=options.held_out,
                most=most,
            )
        return read_films(
            root,
            split,
            reading,
            subtitles="names" if names else "lines",
            lines=plain.subtitle_sentences,
            seconds=plain.subtitle_seconds,
            share=options.held_out,
            most=most,
        )

    def _reading(self, features: FeatureStore | None) -> Reading:
        options = self.options
        sentences = AutoADConfig().context_sentences
        return Reading(features, getattr(options, "frames", 0), sentences, options.consecutive)

    def _config(self, data: Films) -> AutoADConfig:
        options, store = self.options, data.reading.features
        return AutoADConfig(
            frame_width=512 if store is None else store.dim(sorted(data.films)),
            latents=getattr(options, "latents", 10),
            layers=getattr(options, "layers", 2),
            heads=getattr(options, "heads", 8),
            uses_context=getattr(options, "context", True),
            uses_subtitles=getattr(options, "subtitles", "none") != "none",
        )

    def _language_model(self, data: Films) -> LanguageModel:
        options = self.options
        if options.language_model != "fresh":
            return load_language_model(options.language_model)
        from transformers import GPT2Config

        config = GPT2Config(
            n_layer=options.fresh_layers,
            n_embd=options.fresh_width,
            n_head=max(1, options.fresh_width // 64),
            n_positions=256,
        )
        return fresh(config, fresh_tokeniser(data.texts(), options.fresh_words))

    def _likelihood(self, model: AutoAD, data: Films, item: int) -> tuple[float, float]:
        """Negative log likelihood and number of a film's tokens, with true contexts."""
        loss, tokens = 0.0, 0.0
        examples = data.batch([Pick(item, 0)])
        for first in range(0, len(examples), 32):
            outcome = self.loss(model, examples[first : first + 32])
            loss += float(outcome.loss) * outcome.weight
            tokens += outcome.weight
        return loss, tokens


class VisualAlone(Described):
    """`autoad-visual`."""

    name = "autoad-visual"
    stage: Stage = "visual"
    Options = VisualOptions


class TextAlone(Described):
    """`autoad-text`."""

    name = "autoad-text"
    stage: Stage = "text"
    best: tuple[str, ...] = ("-loss",)
    Options = TextOptions

    def data(self, root: str, split: Split) -> Data:
        """Descriptions of a CSV file, or of tables."""
        options, reading = self.options, self._reading(None)
        most = options.evaluated if split == "validation" else 0
        if root.endswith(".csv"):
            names = [name.strip() for name in options.films.split(",") if name.strip()]
            return read_texts(root, split, reading, options.held_out, names, most)
        return self._films(root, split, reading)


def _take(model: AutoAD, folder: str, parts: Sequence[str]) -> None:
    """Replace parts of a model, those that both have, by another's."""
    other = autoad_files.load(Path(folder))
    for name in parts:
        if not hasattr(model, name) or not hasattr(other, name):
            continue
        try:
            getattr(model, name).load_state_dict(getattr(other, name).state_dict())
        except RuntimeError as error:
            raise UsageError(
                f"{folder}: its {name} has other sizes than this model's; give the same options as there"
            ) from error
