"""Examples of JSFusion's and CT-SAN's tasks: pairs to be ranked, choices, blanks, sentences to be said."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from cinescribe.annotations.types import CaptionedClip, FillIn, MultipleChoice
from cinescribe.errors import UsageError
from cinescribe.models.clip_frames import ClipFrames, Timed
from cinescribe.models.vocabulary import END, PADDING, Vocabulary
from train.recipe import Pick
from train.recipes.clip_tasks import (
    BlankBatch,
    PairBatch,
    blank_batch,
    other_clips,
    pair_batch,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """How clips and sentences are read: frames, vocabulary, and words of a sentence at most."""

    frames: ClipFrames
    vocabulary: Vocabulary
    words: int


class Matches:
    """Captions and their clips; a question is a caption and its own clip among wrong ones.

    Args:
        clips: with captions.
        reading: how they are read.
        candidates: of a question, wrong ones drawn at random; 0 for all clips of the batch.
    """

    def __init__(self, clips: Sequence[CaptionedClip], reading: Reading, candidates: int) -> None:
        self.clips, self.reading, self._candidates = clips, reading, candidates
        self.examples = [(number, caption) for number, clip in enumerate(clips) for caption in clip.captions]

    def __len__(self) -> int:
        return len(self.examples)

    def batch(self, picks: Sequence[Pick]) -> PairBatch:
        """The questions; the right clip is the first candidate, or stands on the diagonal."""
        own = [self.examples[pick.index] for pick in picks]
        if not self._candidates:
            size = len(own)
            pairs = [(video, text) for video in range(size) for text in range(size)]
            return self._batch([clip for clip, _ in own], [text for _, text in own], pairs, list(range(size)))
        videos: list[int] = []
        pairs = []
        for sentence, pick in enumerate(picks):
            number, caption = own[sentence]
            wrong = other_clips(
                np.random.default_rng(pick.seed),
                len(self.clips),
                number,
                partial(self._says, caption),
                self._candidates - 1,
            )
            pairs += [(len(videos) + place, sentence) for place in range(self._candidates)]
            videos += [number, *wrong]
        return self._batch(videos, [text for _, text in own], pairs, [0] * len(own))

    def _says(self, caption: str, clip: int) -> bool:
        return caption in self.clips[clip].captions

    def _batch(
        self, videos: Sequence[int], texts: Sequence[str], pairs: list[tuple[int, int]], answers: list[int]
    ) -> PairBatch:
        clips = [self.clips[number] for number in videos]
        captions = [" ".join(clip.captions) for clip in clips]
        reading = self.reading
        return pair_batch(
            reading.frames, reading.vocabulary, reading.words, clips, texts, pairs, answers, captions
        )


class Choices:
    """Clips with sentences to choose from.

    Args:
        questions: of the clips.
        reading: how they are read.
        further: wrong sentences of other questions that are added in training (section 5.3.6 of the thesis).
    """

    def __init__(self, questions: Sequence[MultipleChoice], reading: Reading, further: int = 0) -> None:
        self.questions, self.reading, self._further = questions, reading, further

    def __len__(self) -> int:
        return len(self.questions)

    def batch(self, picks: Sequence[Pick]) -> PairBatch:
        """Questions picked, each with as many further sentences."""
        texts: list[str] = []
        pairs = []
        for video, pick in enumerate(picks):
            question = self.questions[pick.index]
            right = question.candidates[question.answer]
            others = other_clips(
                np.random.default_rng(pick.seed),
                len(self.questions),
                pick.index,
                partial(self._same, right),
                self._further,
            ) if self._further else []  # fmt: skip
            some = [*question.candidates, *(self._right(number) for number in others)]
            pairs += [(video, len(texts) + place) for place in range(len(some))]
            texts += some
        chosen = [self.questions[pick.index] for pick in picks]
        return self._batch(chosen, texts, pairs)

    def all_of(self, items: Sequence[int]) -> PairBatch:
        """Questions as they are."""
        chosen = [self.questions[item] for item in items]
        texts = [text for question in chosen for text in question.candidates]
        count = len(chosen[0].candidates)
        pairs = [(text // count, text) for text in range(len(texts))]
        return self._batch(chosen, texts, pairs)

    def _batch(
        self, chosen: Sequence[MultipleChoice], texts: Sequence[str], pairs: Sequence[tuple[int, int]]
    ) -> PairBatch:
        reading = self.reading
        return pair_batch(
            reading.frames,
            reading.vocabulary,
            reading.words,
            chosen,
            texts,
            pairs,
            [question.answer for question in chosen],
            [question.candidates[question.answer] for question in chosen],
        )

    def _same(self, right: str, number: int) -> bool:
        return self._right(number) == right

    def _right(self, number: int) -> str:
        question = self.questions[number]
        return question.candidates[question.answer]


class Blanks:
    """Clips with sentences that lack a word; in training only those whose word the vocabulary has."""

    def __init__(self, questions: Sequence[FillIn], reading: Reading, *, training: bool) -> None:
        known = [one for one in questions if one.answer.lower() in reading.vocabulary]
        if training and not known:
            raise UsageError(f"none of {len(questions)} blanks' words is in the vocabulary of the captions")
        self.questions = known if training else list(questions)
        self.reading = reading

    def __len__(self) -> int:
        return len(self.questions)

    def batch(self, picks: Sequence[Pick]) -> BlankBatch:
        """The questions picked."""
        chosen = [self.questions[pick.index] for pick in picks]
        return blank_batch(self.reading.frames, self.reading.vocabulary, self.reading.words, chosen)


@dataclass(frozen=True, slots=True)
class SentenceBatch:
    """Clips and sentences to be said of them.

    Attributes:
        frames: [clips, frames, width].
        frame_counts: [clips].
        ids: [clips, words], the end included.
        word_counts: [clips].
        captions: the same as text.
    """

    frames: Tensor
    frame_counts: Tensor
    ids: Tensor
    word_counts: Tensor
    captions: Sequence[str]


class Sentences:
    """Captions and their clips, to be described."""

    def __init__(self, clips: Sequence[CaptionedClip], reading: Reading, *, training: bool) -> None:
        self.reading = reading
        self.examples: list[tuple[CaptionedClip, Sequence[str]]] = [
            (clip, some)
            for clip in clips
            for some in ([(caption,) for caption in clip.captions] if training else [clip.captions])
        ]

    def __len__(self) -> int:
        return len(self.examples)

    def batch(self, picks: Sequence[Pick]) -> SentenceBatch:
        """The captions picked, and their clips."""
        chosen = [self.examples[pick.index] for pick in picks]
        reading = self.reading
        captions = [some[0] for _, some in chosen]
        rows = [[*reading.vocabulary.ids(text, reading.words - 1), END] for text in captions]
        counts = torch.tensor([len(row) for row in rows])
        ids = torch.full((len(rows), int(counts.max())), PADDING)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = torch.tensor(row)
        clips: list[Timed] = [clip for clip, _ in chosen]
        return SentenceBatch(*reading.frames.batch(clips), ids, counts, captions)
