"""Videos with timed sentences, {video: {"duration", "timestamps", "sentences"}}: ActivityNet's form."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cinescribe.annotations.files import captions_of, find_splits, span_of
from cinescribe.annotations.types import CaptionedClip
from cinescribe.errors import UsageError


@dataclass(frozen=True, slots=True)
class TimedSentences:
    """A video's sentences, and the start and end of each, seconds."""

    video_id: str
    sentences: tuple[str, ...]
    spans: tuple[tuple[float, float], ...]


Splits = dict[str, tuple[CaptionedClip, ...]]


def read_timed(folder: Path, files: Mapping[str, str]) -> dict[str, list[TimedSentences]]:
    """The videos of each split whose file is there.

    Args:
        folder: of the files.
        files: their names by split.

    Raises:
        UsageError: none is there, or one is not of this form; names it and the video.
    """
    splits = {}
    for split, file in find_splits(folder, {split: [name] for split, name in files.items()}).items():
        content = file.json()
        if not isinstance(content, dict):
            raise UsageError(f"{file.name}, line 1: an object of videos is wanted")
        videos = []
        for video, told in content.items():
            where = f"{file.name}, {video}"
            try:
                said, times = told["sentences"], told["timestamps"]
                together = list(zip(said, times, strict=True))
            except (KeyError, TypeError, ValueError) as error:
                raise UsageError(f"{where}: sentences and as many timestamps are wanted ({error})") from error
            kept = [(text, time) for text, time in together if captions_of([text], where)]
            videos.append(
                TimedSentences(
                    video,
                    captions_of([text for text, _ in kept], where),
                    tuple(span_of(time, where) for _, time in kept),
                )
            )
        splits[split] = videos
    return splits


def paragraphs(splits: Mapping[str, list[TimedSentences]]) -> Splits:
    """Whole videos, all sentences of each as one caption."""
    return {
        split: tuple(
            CaptionedClip(v.video_id, None, None, (" ".join(v.sentences),) if v.sentences else ())
            for v in videos
        )
        for split, videos in splits.items()
    }


def sentences(splits: Mapping[str, list[TimedSentences]]) -> Splits:
    """Each sentence with its span."""
    return {
        split: tuple(
            CaptionedClip(v.video_id, start, end, (text,))
            for v in videos
            for text, (start, end) in zip(v.sentences, v.spans, strict=True)
        )
        for split, videos in splits.items()
    }
