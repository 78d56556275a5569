"""CT-SAN (Yu et al. 2017; chapter 4 of the thesis): description, blanks, multiple choice, retrieval.

The concept detector is trained with the description; the other tasks take it over (`--detector`) and train
it on. All losses have the penalty of the attentions and the loss of the concepts beside their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cinescribe.errors import UsageError
from cinescribe.models import ct_san_files
from cinescribe.models.concepts import concept_words
from cinescribe.models.ct_san import CTSANConfig, Task, Watched, Watcher, concept_loss
from cinescribe.models.ct_san_decoding import describe
from cinescribe.models.ct_san_retrieval import score_clips
from cinescribe.models.ct_san_tasks import (
    Choice,
    Description,
    FillIn,
    Retrieval,
    build,
    transfer,
)
from cinescribe.models.ranking import ranking_loss
from cinescribe.models.vocabulary import Vocabulary, word_vectors, words_of
from train.recipe import Data, Optimisation, Outcome, Pick, option
from train.recipes.clip_examples import Blanks, Choices, Matches, SentenceBatch, Sentences
from train.recipes.clip_recipe import ClipRecipe
from train.recipes.clip_tasks import BlankBatch, PairBatch

_EVALUATED = 32  # clips at once


@dataclass(frozen=True, kw_only=True)
class Options(Optimisation):
    """What the four tasks share: section 4.2; "[gap]" where it doesn't tell."""

    batch: int = option(32, "clips or questions of a step [gap]")
    learning_rate: float = option(1e-4, "[gap]")
    weight_decay: float = option(0.0, "none: AdamW without it is Adam [gap]")
    warmup: int = option(0, "none [gap]")
    schedule: str = option("constant", "[gap]")
    clip: float = option(5.0, "largest norm of the gradient [gap]")
    features: str = option("res5c", "of the video: feature maps, rows x columns x channels, channels last")
    grid: int = option(7, "rows of such a map; section 4.2.1. 1 for features without places")
    hz: float = option(2.4, "frames a second, 40 of a clip; section 4.2.1: one of ten frames")
    annotations: str = option("cineworld-films", "data set of `cinescribe.annotations`")
    annotations_at: str = option("", "local folder of its files; default: the data's")
    validation: str = option("validation", "its split that is evaluated")
    most: int = option(0, "clips or questions evaluated; 0 for all; section 4.3.1: 1,000 in retrieval")
    least: int = option(4, "times that training captions use a word; section 4.2.1: more than three")
    vectors: str = option("word2vec", "of words; section 4.2.1: skip-grams. A GloVe text file, or fresh")
    concepts: int = option(2000, "V, words that a video may show; section 4.2.2")
    attends: bool = option(True, "to concept words; no is Base-SAN")
    detector: str = option("", "folder of a description model whose concept detector is taken over")
    attention_weight: float = option(1e-3, "lambda 1 [gap]")
    concept_weight: float = option(1.0, "lambda 2 [gap]")
    width: int = option(500, "D; section 4.2.2")
    sketch: int = option(8000, "of the bilinear pooling, in retrieval; section 4.2.7")


@dataclass(frozen=True, kw_only=True)
class DescriptionOptions(Options):
    """Description."""

    beams: int = option(1, "of the evaluation's sentences; 1 is greedy")


@dataclass(frozen=True, kw_only=True)
class MatchOptions(Options):
    """Multiple choice and retrieval."""

    candidates: int = option(5, "of a question; of retrieval [gap], as multiple choice has")


class _CTSANRecipe(ClipRecipe):
    name: str
    task: Task
    most_frames, most_words = CTSANConfig().frames, CTSANConfig().words
    Options: type[Options] = Options

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self._concepts: list[int] = []

    def _learn_words(self, captions: Sequence[str]) -> Vocabulary:
        """The concepts, too, are words of the training captions."""
        vocabulary = super()._learn_words(captions)
        self._concepts = concept_words(captions, vocabulary, self.options.concepts)
        return vocabulary

    def model(self, data: Data) -> nn.Module:
        """All weights random but the words' vectors, and the concept detector where it is taken over."""
        if not isinstance(data, Sentences | Blanks | Choices | Matches):
            raise TypeError(f"not of CT-SAN: {data}")
        reading, options = data.reading, self.options
        width, cells = reading.frames.width(_first_video(data)), options.grid**2
        if width % cells:
            raise UsageError(f"{options.features}: {width} numbers, no map of {options.grid} rows; --grid 1?")
        config = CTSANConfig(
            input_grid=options.grid,
            input_channels=width // cells,
            width=options.width,
            sketch=options.sketch,
            semantic_attention=options.attends,
        )
        vectors = word_vectors(reading.vocabulary, options.vectors, config.word_width)
        model = build(self.task, config, len(reading.vocabulary), self._concepts, vectors)
        if options.detector:
            taken = ct_san_files.load(Path(options.detector))
            if taken.vocabulary.words != reading.vocabulary.words:
                raise UsageError(f"{options.detector}: it knows other words; train it on the same data")
            transfer(taken.model.watcher, model)
        return model

    def save(self, model: nn.Module, folder: Path) -> None:
        """As `cinescribe.models.ct_san_files` reads it."""
        if not isinstance(model, Description | FillIn | Choice | Retrieval) or self._vocabulary is None:
            raise TypeError(f"not a CT-SAN of this recipe: {model}")
        names = [name.strip() for name in self.options.features.split(",")]
        saved = ct_san_files.SavedCTSAN(model, self.task, self._vocabulary, names, self.options.hz)
        ct_san_files.save(saved, folder)

    def _outcome(
        self, own: Tensor, penalty: Tensor, watched: Watched, captions: Sequence[str], **metrics: Tensor
    ) -> Outcome:
        """Eq. 4.14, 4.20, 4.23, 4.26: the task's own loss, the attentions' penalty and the concepts' loss."""
        loss = own + self.options.attention_weight * penalty
        metrics = {"own": own, **metrics}
        if watched.logits is not None:
            concepts = concept_loss(watched.logits, self._truth(captions).to(watched.logits.device))
            loss = loss + self.options.concept_weight * concepts
            metrics["concepts"] = concepts
        return Outcome(loss, len(watched.states[-1][0]), metrics)

    def _truth(self, captions: Sequence[str]) -> Tensor:
        """[videos, concepts], 1 for the concept words of a video's caption."""
        if self._vocabulary is None:
            raise TypeError("no data was read")
        places = {number: place for place, number in enumerate(self._concepts)}
        truth = torch.zeros(len(captions), len(self._concepts))
        for row, caption in enumerate(captions):
            known = (self._vocabulary.number(word) for word in words_of(caption) if word in self._vocabulary)
            for number in known:
                if number in places:
                    truth[row, places[number]] = 1
        return truth


class Describing(_CTSANRecipe):
    """`ct-san`: description."""

    name = "ct-san"
    task = "description"
    best = ("cider",)
    Options = DescriptionOptions

    def loss(self, model: nn.Module, batch: Any) -> Outcome:
        """Eq. 4.14."""
        if not isinstance(model, Description) or not isinstance(batch, SentenceBatch):
            raise TypeError(f"not of CT-SAN's description: {model}, {batch}")
        watched = _watch(model.watcher, batch)
        device = model.out.weight.device
        likelihood, penalty = model(watched, batch.ids.to(device), batch.word_counts.to(device))
        per_word = likelihood.sum() / batch.word_counts.sum()
        return self._outcome(likelihood.mean(), penalty, watched, batch.captions, per_word=per_word)

    def evaluate(self, model: nn.Module, data: Data, items: Sequence[int]) -> list[Any]:
        """The true captions of each clip and the model's."""
        if not isinstance(model, Description) or not isinstance(data, Sentences):
            raise TypeError(f"can't evaluate {model} on {data}")
        said: list[Any] = []
        for start in range(0, len(items), _EVALUATED):
            some = items[start : start + _EVALUATED]
            batch = data.batch([Pick(item, 0) for item in some])
            found = describe(
                model, _watch(model.watcher, batch), self.options.beams, model.watcher.config.words
            )
            for item, beams in zip(some, found, strict=True):
                said.append((tuple(data.examples[item][1]), data.reading.vocabulary.text(beams[0].words)))
        return said


class FillingIn(_CTSANRecipe):
    """`ct-san-fill-in`."""

    name = "ct-san-fill-in"
    task = "fill-in"

    def loss(self, model: nn.Module, batch: Any) -> Outcome:
        """Eq. 4.20."""
        if not isinstance(batch, BlankBatch):
            raise TypeError(f"not of CT-SAN's blanks: {batch}")
        logits, penalty, watched = self._logits(model, batch)
        answers = batch.answers.to(logits.device)
        words = nn.functional.cross_entropy(logits, answers)
        right = (logits.argmax(1) == answers).float().mean()
        return self._outcome(words, penalty, watched, batch.captions, right=right)

    def _logits(self, model: nn.Module, batch: BlankBatch) -> tuple[Tensor, Tensor, Watched]:
        if not isinstance(model, FillIn):
            raise TypeError(f"not of CT-SAN's blanks: {model}")
        watched, device = _watch(model.watcher, batch), model.out.weight.device
        arguments = (batch.ids.to(device), batch.word_counts.to(device), batch.blanks.to(device))
        logits, penalty = model(watched, *arguments)
        return logits.float(), penalty, watched

    def evaluate(self, model: nn.Module, data: Data, items: Sequence[int]) -> list[Any]:
        """Whether each word is found; one that the vocabulary lacks never is."""
        if not isinstance(data, Blanks):
            raise TypeError(f"can't evaluate on {data}")
        right: list[Any] = []
        for start in range(0, len(items), _EVALUATED):
            batch = data.batch([Pick(item, 0) for item in items[start : start + _EVALUATED]])
            right += (self._logits(model, batch)[0].argmax(1).cpu() == batch.answers).tolist()
        return right


class _Matching(_CTSANRecipe):
    """Multiple choice and retrieval: scores of pairs."""

    Options = MatchOptions

    def _scores(self, model: nn.Module, batch: PairBatch) -> tuple[Tensor, Tensor, Watched]:
        """[questions, candidates], the penalty, and the videos."""
        if not isinstance(model, Choice | Retrieval):
            raise TypeError(f"not of CT-SAN's matching: {model}")
        watched, device = _watch(model.watcher, batch), model.out.weight.device
        pairs = batch.pairs.to(device)
        ids, counts = batch.ids.to(device)[pairs[:, 1]], batch.word_counts.to(device)[pairs[:, 1]]
        scores, penalty = model(watched.of(pairs[:, 0]), ids, counts)
        return scores.float().view(len(batch.answers), -1), penalty, watched

    def loss(self, model: nn.Module, batch: Any) -> Outcome:
        """Eq. 4.23 and 4.26."""
        if not isinstance(batch, PairBatch) or not isinstance(model, Choice | Retrieval):
            raise TypeError(f"not of CT-SAN's matching: {model}, {batch}")
        scores, penalty, watched = self._scores(model, batch)
        config, answers = model.watcher.config, batch.answers.to(scores.device)
        margin = config.choice_margin if self.task == "choice" else config.retrieval_margin
        right = (scores.argmax(1) == answers).float().mean()
        ranking = ranking_loss(scores, answers, margin)
        return self._outcome(ranking, penalty, watched, batch.captions, right=right)


class Choosing(_Matching):
    """`ct-san-choice`."""

    name = "ct-san-choice"
    task = "choice"

    def evaluate(self, model: nn.Module, data: Data, items: Sequence[int]) -> list[Any]:
        """Whether each question is answered right."""
        if not isinstance(data, Choices):
            raise TypeError(f"can't evaluate on {data}")
        right: list[Any] = []
        for start in range(0, len(items), _EVALUATED):
            batch = data.all_of(items[start : start + _EVALUATED])
            right += (self._scores(model, batch)[0].argmax(1).cpu() == batch.answers).tolist()
        return right


class Retrieving(_Matching):
    """`ct-san-retrieval`."""

    name = "ct-san-retrieval"
    task = "retrieval"
    best = ("geometric_mean",)

    def evaluate(self, model: nn.Module, data: Data, items: Sequence[int]) -> list[Any]:
        """For each caption its clip's number and its scores with all clips."""
        if not isinstance(model, Retrieval) or not isinstance(data, Matches):
            raise TypeError(f"can't evaluate {model} on {data}")
        if not items:
            return []
        chosen = [data.examples[item] for item in items]
        reading, texts = data.reading, [text for _, text in chosen]
        table = score_clips(model, reading.vocabulary, reading.frames, data.clips, texts)
        return [(owner, row.tolist()) for (owner, _), row in zip(chosen, table, strict=True)]


def _watch(watcher: Watcher, batch: SentenceBatch | BlankBatch | PairBatch) -> Watched:
    device = watcher.words.weight.device
    return watcher.watch(batch.frames.to(device), batch.frame_counts.to(device))


def _first_video(data: Sentences | Blanks | Choices | Matches) -> str:
    if isinstance(data, Sentences):
        return data.examples[0][0].video_id
    return data.clips[0].video_id if isinstance(data, Matches) else data.questions[0].video_id
