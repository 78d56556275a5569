"""What JSFusion and CT-SAN learn from: captioned clips, choices and blanks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from cinescribe import storage
from cinescribe.annotations import catalogue
from cinescribe.annotations.types import BLANK, CaptionedClip, FillIn, MultipleChoice
from cinescribe.cineworld import questions
from cinescribe.errors import UsageError
from cinescribe.models.clip_frames import ClipFrames, Timed
from cinescribe.models.vocabulary import BLANKED, PADDING, Vocabulary
from train.recipe import Split

Question = TypeVar("Question", MultipleChoice, FillIn)


@dataclass(frozen=True, slots=True)
class Source:
    """Where annotations are.

    Attributes:
        name: of the data set, of `cinescribe.annotations`.
        folder: with its files; must be local.
        split: the name of the data set's split that stands for validation.
    """

    name: str
    folder: str
    split: str

    def clips(self, split: Split) -> list[CaptionedClip]:
        """Of captions."""
        return list(catalogue.load(self.name, self._local()).clips(self._name(split)))

    def choices(self, split: Split) -> list[MultipleChoice]:
        """Of multiple choice; only LSMDC and Cineworld have such."""
        if self.name == "lsmdc":
            from cinescribe.annotations.lsmdc import read_multiple_choice

            return _whole(read_multiple_choice(self._local(), self._name(split)))
        return list(questions.multiple_choice(self._local(), self._kind(), self._name(split)))

    def blanks(self, split: Split) -> list[FillIn]:
        """Of fill-in-the-blank; only LSMDC and Cineworld have such."""
        if self.name == "lsmdc":
            from cinescribe.annotations.lsmdc import read_fill_in

            return _whole(read_fill_in(self._local(), self._name(split)))
        return list(questions.fill_in(self._local(), self._kind(), self._name(split)))

    def _name(self, split: Split) -> str:
        return "train" if split == "train" else self.split

    def _kind(self) -> questions.Kind:
        if self.name == "cineworld-films":
            return "films"
        if self.name == "cineworld-howtos":
            return "howtos"
        raise UsageError(
            f"{self.name} has no choices or blanks; lsmdc, cineworld-films and cineworld-howtos have"
        )

    def _local(self) -> Path:
        if storage.is_s3(self.folder):
            raise UsageError(
                f"{self.folder}: annotations are read locally; give a folder as --annotations-at"
            )
        return Path(self.folder)


def _whole(questions: Sequence[Question]) -> list[Question]:
    """As `Annotations.clips` has LSMDC's: a video is the clip alone, and its times are those of the film."""
    return [replace(question, start=None, end=None) for question in questions]


@dataclass(frozen=True, slots=True)
class PairBatch:
    """Videos, sentences, and which of them are to be scored.

    Attributes:
        frames: [videos, frames, width].
        frame_counts: [videos].
        ids: [sentences, words].
        word_counts: [sentences].
        pairs: [pairs, 2] number of the video and of the sentence; question after question.
        answers: [questions] number of the right one among a question's candidates.
        captions: [videos] of each video, for the truth of concept words.
    """

    frames: Tensor
    frame_counts: Tensor
    ids: Tensor
    word_counts: Tensor
    pairs: Tensor
    answers: Tensor
    captions: Sequence[str]


@dataclass(frozen=True, slots=True)
class BlankBatch:
    """Sentences with a blank.

    Attributes:
        frames, frame_counts: as of `PairBatch`, video k is of sentence k.
        ids, word_counts: of the sentences.
        blanks: [sentences] place of the blank.
        answers: [sentences] number of the word, -100 where the vocabulary lacks it.
        captions: with the word in its place.
    """

    frames: Tensor
    frame_counts: Tensor
    ids: Tensor
    word_counts: Tensor
    blanks: Tensor
    answers: Tensor
    captions: Sequence[str]


def pair_batch(
    frames: ClipFrames,
    vocabulary: Vocabulary,
    words: int,
    videos: Sequence[Timed],
    sentences: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    answers: Sequence[int],
    captions: Sequence[str] = (),
) -> PairBatch:
    """Read and put together."""
    ids, counts = vocabulary.batch(sentences, words)
    return PairBatch(*frames.batch(videos), ids, counts, torch.tensor(pairs), torch.tensor(answers), captions)


def blank_batch(
    frames: ClipFrames, vocabulary: Vocabulary, words: int, chosen: Sequence[FillIn]
) -> BlankBatch:
    """Read and put together; a sentence that is too long is cut so that its blank stays."""
    rows = []
    for one in chosen:
        ids = vocabulary.ids(one.sentence, 10**6)
        blank = ids.index(BLANKED)
        first = max(0, min(blank - words // 2, len(ids) - words))
        rows.append(ids[first : first + words])
    counts = torch.tensor([len(row) for row in rows])
    ids_of = torch.full((len(rows), int(counts.max())), PADDING)
    for number, row in enumerate(rows):
        ids_of[number, : len(row)] = torch.tensor(row)
    words_said = [one.answer.lower() for one in chosen]
    answers = [vocabulary.number(word) if word in vocabulary else -100 for word in words_said]
    return BlankBatch(
        *frames.batch(chosen),
        ids_of,
        counts,
        torch.tensor([row.index(BLANKED) for row in rows]),
        torch.tensor(answers),
        [one.sentence.replace(BLANK, one.answer) for one in chosen],
    )


def other_clips(
    random: np.random.Generator, count: int, own: int, same: Callable[[int], bool], most: int
) -> list[int]:
    """Numbers of `most` other examples, drawn at random, none of which is `same` as one's own.

    Raises:
        UsageError: there are not so many.
    """
    chosen: list[int] = []
    for _ in range(20 * count):
        number = int(random.integers(count))
        if number != own and number not in chosen and not same(number):
            chosen.append(number)
        if len(chosen) == most:
            return chosen
    raise UsageError(f"{count} examples are too few to draw {most} wrong ones; give less --candidates")
