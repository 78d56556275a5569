"""JSFusion (Yu, Kim and Kim 2018; chapter 5 of the thesis): retrieval, multiple choice, fill-in-the-blank.

A question is one right pair and wrong ones; the right one must lead each by a margin. A question's pairs stay
together, so parts and workers change the loss only through batch normalisation, which takes the mean and
variance of the part that is computed at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cinescribe.errors import UsageError
from cinescribe.models import jsfusion_files
from cinescribe.models.jsfusion import VARIANTS, JSFusion, JSFusionConfig
from cinescribe.models.jsfusion_retrieval import score_clips
from cinescribe.models.ranking import matrix_loss, ranking_loss, weight_penalty
from cinescribe.models.vocabulary import SPECIALS, word_vectors
from train.recipe import Data, Optimisation, Outcome, Pick, option
from train.recipes.clip_examples import Blanks, Choices, Matches
from train.recipes.clip_recipe import ClipRecipe
from train.recipes.clip_tasks import BlankBatch, PairBatch

_EVALUATED = 32  # choices or blanks at once


@dataclass(frozen=True, kw_only=True)
class Options(Optimisation):
    """What the three tasks share: sections 5.3.1 and 5.3.5; "[code]" where only the published code tells."""

    batch: int = option(10, "questions of a step [code]")
    steps: int = option(1_000_000, "of the optimiser [code]; the best model is kept")
    learning_rate: float = option(1e-4, "section 5.3.5")
    weight_decay: float = option(0.0, "none: AdamW without it is the paper's Adam; see --penalty")
    warmup: int = option(0, "none")
    schedule: str = option("halve", "times .5 every 100,000 steps [code]; or cosine, constant, decay")
    clip: float = option(5.0, "largest norm of the gradient [code]")
    penalty: float = option(5e-4, "lambda, times the sum of the squares of the weights; section 5.3.5")
    features: str = option(
        "appearance,audio",
        "of the video, side by side; section 5.3.1: ResNet-152 and VGGish. Without audio, leave it out",
    )
    hz: float = option(5.0, "frames a second, 40 of a clip; section 5.3.1")
    annotations: str = option("cineworld-films", "data set of `cinescribe.annotations`")
    annotations_at: str = option("", "local folder of its files; default: the data's")
    validation: str = option("validation", "its split that is evaluated")
    most: int = option(1000, "clips or questions that are evaluated; section 5.4.1: 1,000; 0 for all")
    least: int = option(4, "times that training captions use a word; section 5.3.1: more than three")
    vectors: str = option(
        "word2vec", "of words: a GloVe text file (section 5.3.1: glove.42B.300d), word2vec, or fresh"
    )
    variant: str = option("JSFusion", f"of Tables 5.2 and 5.3 or the code: {', '.join(VARIANTS)}")
    scale: int = option(1, "all widths are divided by it, for small runs")


@dataclass(frozen=True, kw_only=True)
class MatchOptions(Options):
    """Retrieval and multiple choice."""

    margin: float = option(10.0, "Delta; section 5.3.5")
    candidates: int = option(10, "L, pairs of a question, one right; 0 for all of the batch's part [code]")


@dataclass(frozen=True, kw_only=True)
class ChoiceOptions(MatchOptions):
    """Multiple choice."""

    most: int = option(0, "questions that are evaluated; 0 for all")


@dataclass(frozen=True, kw_only=True)
class BlankOptions(Options):
    """Fill-in-the-blank."""

    batch: int = option(32, "section 5.3.6")
    most: int = option(0, "questions that are evaluated; 0 for all")


class _JSFusionRecipe(ClipRecipe):
    name: str
    task: jsfusion_files.Task
    most_frames, most_words = JSFusionConfig().frames, JSFusionConfig().words
    Options: type[Options] = MatchOptions

    def __init__(self, options: Any) -> None:
        if options.variant not in VARIANTS:
            raise UsageError(f"--variant {options.variant}: one of {', '.join(VARIANTS)}")
        if "blank_alone" in VARIANTS[options.variant] and self.task != "fill-in":
            raise UsageError(f"--variant {options.variant}: it reads blanks; train jsfusion-fill-in with it")
        super().__init__(options)

    def model(self, data: Data) -> JSFusion:
        """All weights random but the words' vectors."""
        if not isinstance(data, Matches | Choices | Blanks):
            raise TypeError(f"not of JSFusion: {data}")
        reading, options = data.reading, self.options
        clips = data.clips if isinstance(data, Matches) else data.questions
        width = reading.frames.width(clips[0].video_id)
        config = replace(JSFusionConfig(video_width=width), **VARIANTS[options.variant])
        if self.task == "fill-in":
            config = config.for_blanks(len(reading.vocabulary.words))
        config = scaled(config, options.scale)
        vectors = word_vectors(reading.vocabulary, options.vectors, config.word_width)
        return JSFusion(config, len(reading.vocabulary), vectors)

    def loss(self, model: nn.Module, batch: Any) -> Outcome:
        """Eq. 5.6: every wrong candidate's lag behind the margin."""
        if not isinstance(model, JSFusion) or not isinstance(batch, PairBatch):
            raise TypeError(f"not of JSFusion: {model}, {batch}")
        scores = self._scores(model, batch)
        answers = batch.answers.to(scores.device)
        if self.options.candidates:
            ranking = ranking_loss(scores, answers, self.options.margin)
        else:
            ranking = matrix_loss(scores, self.options.margin)
        right = (scores.argmax(1) == answers).float().mean()
        penalty = weight_penalty(model, self.options.penalty)
        return Outcome(ranking + penalty, len(scores), {"ranking": ranking, "right": right})

    def _scores(self, model: JSFusion, batch: PairBatch) -> torch.Tensor:
        """[questions, candidates]."""
        device = model.out.weight.device
        video = model.encode_video(batch.frames.to(device), batch.frame_counts.to(device))
        text = model.encode_text(batch.ids.to(device), batch.word_counts.to(device))
        return model.score(video, text, batch.pairs.to(device)).float().view(len(batch.answers), -1)

    def evaluate(self, model: nn.Module, data: Data, items: Sequence[int]) -> list[Any]:
        """Whether each question is answered right."""
        if not isinstance(model, JSFusion) or not isinstance(data, Choices):
            raise TypeError(f"can't evaluate {model} on {data}")
        right: list[Any] = []
        for start in range(0, len(items), _EVALUATED):
            batch = data.all_of(items[start : start + _EVALUATED])
            scores = self._scores(model, batch)
            right += (scores.argmax(1).cpu() == batch.answers).tolist()
        return right

    def save(self, model: nn.Module, folder: Path) -> None:
        """As `cinescribe.models.jsfusion_files` reads it."""
        if not isinstance(model, JSFusion) or self._vocabulary is None:
            raise TypeError(f"not a JSFusion of this recipe: {model}")
        names = [name.strip() for name in self.options.features.split(",")]
        saved = jsfusion_files.SavedJSFusion(model, self._vocabulary, self.task, names, self.options.hz)
        jsfusion_files.save(saved, folder)


class Retrieval(_JSFusionRecipe):
    """`jsfusion-retrieval`."""

    name = "jsfusion-retrieval"
    task = "retrieval"
    best = ("geometric_mean",)

    def evaluate(self, model: nn.Module, data: Data, items: Sequence[int]) -> list[Any]:
        """For each caption its clip's number and its scores with all clips."""
        if not isinstance(model, JSFusion) or not isinstance(data, Matches):
            raise TypeError(f"can't evaluate {model} on {data}")
        if not items:
            return []
        chosen = [data.examples[item] for item in items]
        reading, texts = data.reading, [text for _, text in chosen]
        table = score_clips(model, reading.vocabulary, reading.frames, data.clips, texts)
        return [(owner, row.tolist()) for (owner, _), row in zip(chosen, table, strict=True)]


class Choice(_JSFusionRecipe):
    """`jsfusion-choice`."""

    name = "jsfusion-choice"
    task = "choice"
    Options = ChoiceOptions

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        if options.candidates < 5:
            raise UsageError(f"--candidates {options.candidates}: a question has five of its own")


class FillIn(_JSFusionRecipe):
    """`jsfusion-fill-in`."""

    name = "jsfusion-fill-in"
    task = "fill-in"
    Options = BlankOptions

    def loss(self, model: nn.Module, batch: Any) -> Outcome:
        """Eq. 5.7: cross-entropy of the words."""
        if not isinstance(model, JSFusion) or not isinstance(batch, BlankBatch):
            raise TypeError(f"not of JSFusion: {model}, {batch}")
        logits = self._logits(model, batch)
        answers = batch.answers.to(logits.device) - len(SPECIALS)
        words = nn.functional.cross_entropy(logits, answers)
        right = (logits.argmax(1) == answers).float().mean()
        penalty = weight_penalty(model, self.options.penalty)
        return Outcome(words + penalty, len(answers), {"words": words, "right": right})

    def _logits(self, model: JSFusion, batch: BlankBatch) -> torch.Tensor:
        """[questions, words], without the special ones."""
        device = model.out.weight.device
        video = model.encode_video(batch.frames.to(device), batch.frame_counts.to(device))
        text = model.encode_text(batch.ids.to(device), batch.word_counts.to(device))
        return model.fill(video, text, batch.blanks.to(device)).float()

    def evaluate(self, model: nn.Module, data: Data, items: Sequence[int]) -> list[Any]:
        """Whether each word is found; one that the vocabulary lacks never is."""
        if not isinstance(model, JSFusion) or not isinstance(data, Blanks):
            raise TypeError(f"can't evaluate {model} on {data}")
        right: list[Any] = []
        for start in range(0, len(items), _EVALUATED):
            batch = data.batch([Pick(item, 0) for item in items[start : start + _EVALUATED]])
            said = self._logits(model, batch).argmax(1).cpu() + len(SPECIALS)
            right += (said == batch.answers).tolist()
        return right


def scaled(config: JSFusionConfig, scale: int) -> JSFusionConfig:
    """A config of smaller widths."""
    widths = {
        name: max(8, getattr(config, name) // scale)
        for name in ("hidden", "joint", "attention", "fusion", "channels")
    }
    first, second, third = (max(8, width // scale) for width in config.dense)
    return replace(config, **widths, dense=(first, second, third))
