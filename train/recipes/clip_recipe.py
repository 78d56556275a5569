"""What the recipes of JSFusion and CT-SAN share: how their tasks' clips and sentences are read and judged."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from cinescribe.models.clip_frames import ClipFrames
from cinescribe.models.vocabulary import Vocabulary
from train.recipe import Data, NoStep, Split
from train.recipes import clip_scores
from train.recipes.clip_examples import Blanks, Choices, Matches, Reading, Sentences
from train.recipes.clip_tasks import Source


class ClipRecipe(NoStep):
    """A task: "description", "retrieval", "choice" or "fill-in".

    Attributes:
        most_frames: of a clip.
        most_words: of a sentence.
    """

    task: str
    best: tuple[str, ...] = ("accuracy",)
    most_frames: ClassVar[int]
    most_words: ClassVar[int]

    def __init__(self, options: Any) -> None:
        self.options = options
        self._vocabulary: Vocabulary | None = None

    def data(self, root: str, split: Split) -> Data:
        """Clips whose videos have all features; the words are those of the training captions."""
        options = self.options
        source = Source(options.annotations, options.annotations_at or root, options.validation)
        frames = ClipFrames(root, options.features, options.hz, self.most_frames)
        if self._vocabulary is None:
            captions = [text for clip in source.clips("train") for text in clip.captions]
            self._vocabulary = self._learn_words(captions)
        reading, training = Reading(frames, self._vocabulary, self.most_words), split == "train"
        most = None if training else options.most or None
        if self.task == "choice":
            questions = frames.having(source.choices(split), options.annotations)
            return Choices(questions[:most], reading, max(0, options.candidates - 5))
        if self.task == "fill-in":
            blanks = frames.having(source.blanks(split), options.annotations)
            return Blanks(blanks[:most], reading, training=training)
        clips = frames.having(source.clips(split), options.annotations)[:most]
        if self.task == "retrieval":
            return Matches(clips, reading, options.candidates)
        return Sentences(clips, reading, training=training)

    def _learn_words(self, captions: Sequence[str]) -> Vocabulary:
        return Vocabulary.of(captions, self.options.least)

    def score(self, results: Sequence[Any]) -> Mapping[str, float]:
        """Recall and ranks of retrieval, BLEU, ROUGE-L and CIDEr of descriptions, else percent right.

        Args:
            results: of retrieval for each caption its clip's number and its scores with all clips; of
                descriptions the true ones of a clip and the model's; else whether one is answered right.
        """
        if self.task == "description":
            return clip_scores.captions(results)
        if self.task != "retrieval":
            return clip_scores.accuracy(results)
        if not results:
            return {}
        owners, rows = zip(*results, strict=True)
        return clip_scores.retrieval(np.asarray(rows), np.asarray(owners))
