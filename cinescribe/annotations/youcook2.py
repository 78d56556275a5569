"""YouCook2 (Zhou et al. 2018): cooking videos whose steps have a span and a sentence.

The authors' file is `youcookii_annotations_trainval.json`: 1,333 videos with 10,337 steps for training, 457
with 3,492 for validation, on which retrieval is measured; the test's annotations are not public.
"""

from pathlib import Path

from cinescribe.annotations.files import captions_of, need, span_of
from cinescribe.annotations.types import Annotations, CaptionedClip
from cinescribe.errors import UsageError

_FILE = "youcookii_annotations_trainval.json"
_SUBSETS = {"training": "train", "validation": "validation"}


def read(folder: Path) -> Annotations:
    """Each step with its span, seconds.

    Raises:
        UsageError: the file is missing or not as published; names it and the video.
    """
    file = need(folder, _FILE)
    splits: dict[str, list[CaptionedClip]] = {split: [] for split in _SUBSETS.values()}
    try:
        videos = dict(file.json()["database"])
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{file.name}, line 1: an object with a database of videos is wanted") from error
    for video, told in videos.items():
        where = f"{file.name}, {video}"
        try:
            split, steps = _SUBSETS[told["subset"]], told["annotations"]
            for step in steps:
                start, end = span_of(step["segment"], where)
                said = captions_of([step["sentence"]], where)
                splits[split].append(CaptionedClip(video, start, end, said))
        except (KeyError, TypeError) as error:
            raise UsageError(f"{where}: subset and annotations are wanted, not as it is ({error})") from error
    return Annotations("youcook2", {split: tuple(clips) for split, clips in splits.items()})
