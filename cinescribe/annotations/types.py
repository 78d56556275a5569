"""What every captioned data set is to the rest: clips with captions in splits, and LSMDC's two tests."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cinescribe.errors import UsageError

BLANK = "_____"  # how LSMDC writes the missing word


@dataclass(frozen=True, slots=True)
class CaptionedClip:
    """A video, or a part of one, with what was said of it.

    Attributes:
        video_id: as the data set names it.
        start: seconds from the first frame; None where the whole video is meant.
        end: seconds, exclusive; None where the whole video is meant.
        captions: in the order of the file; one or several, each of the whole clip.
    """

    video_id: str
    start: float | None
    end: float | None
    captions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Annotations:
    """A data set's clips by split.

    Attributes:
        name: of the data set.
        splits: such as train, validation, test; clips in the order of the files.
        cut: a video is the clip alone, and the clip's times are those of the film that it was cut from.
    """

    name: str
    splits: Mapping[str, tuple[CaptionedClip, ...]]
    cut: bool = False

    def clips(self, split: str) -> tuple[CaptionedClip, ...]:
        """The clips of a split as parts of their videos: those that were cut out are the whole video.

        Raises:
            UsageError: there is no such split; tells those that there are.
        """
        if split not in self.splits:
            raise UsageError(f"{self.name}: no split {split!r}; there are: {', '.join(self.splits)}")
        if self.cut:
            return tuple(replace(clip, start=None, end=None) for clip in self.splits[split])
        return self.splits[split]


@dataclass(frozen=True, slots=True)
class MultipleChoice:
    """A clip and the captions to choose from (LSMDC has five).

    Attributes:
        video_id: as the data set names it.
        start: seconds, or None where the whole video is meant.
        end: seconds, exclusive, or None.
        candidates: captions, one of which is the clip's own.
        answer: index of that one, from 0.
    """

    video_id: str
    start: float | None
    end: float | None
    candidates: tuple[str, ...]
    answer: int


@dataclass(frozen=True, slots=True)
class FillIn:
    """A clip and a caption of it that lacks one word.

    Attributes:
        video_id: as the data set names it.
        start: seconds, or None where the whole video is meant.
        end: seconds, exclusive, or None.
        sentence: with `BLANK` once in place of the word.
        answer: the word.
    """

    video_id: str
    start: float | None
    end: float | None
    sentence: str
    answer: str
