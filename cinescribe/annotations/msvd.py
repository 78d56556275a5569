"""MSVD (Chen and Dolan 2011): 1,970 clips with up to 81 captions each.

Files as the retrieval papers share them: `captions_msvd.json`, {clip: [caption]}, and `train_list.txt`,
`val_list.txt`, `test_list.txt` (1,200, 100 and 670 clips).
"""

from pathlib import Path

from cinescribe.annotations.files import captions_of, need
from cinescribe.annotations.types import Annotations, CaptionedClip
from cinescribe.errors import UsageError

_LISTS = {"train": "train_list.txt", "validation": "val_list.txt", "test": "test_list.txt"}


def read(folder: Path) -> Annotations:
    """The three splits.

    Raises:
        UsageError: a file is missing or not as published; names it and the line.
    """
    file = need(folder, "captions_msvd.json")
    captions = file.json()
    if not isinstance(captions, dict):
        raise UsageError(f"{file.name}, line 1: an object of lists of captions is wanted")
    splits = {}
    for split, name in _LISTS.items():
        listed = need(folder, name)
        clips = []
        for line, clip in enumerate(listed.lines(), 1):
            if clip not in captions:
                raise UsageError(f"{listed.name}, line {line}: {clip} has no captions in {file.name}")
            clips.append(CaptionedClip(clip, None, None, captions_of(captions[clip], f"{file.name}, {clip}")))
        splits[split] = tuple(clips)
    return Annotations("msvd", splits)
