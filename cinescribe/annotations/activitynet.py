"""ActivityNet Captions (Krishna et al. 2017): videos whose events are described one after the other.

Files of the authors: `train.json` (10,009 videos), `val_1.json` (4,917) and `val_2.json` (4,885, another
account of nearly the same videos). Retrieval takes a video's sentences as one paragraph (Zhang et al. 2018)
and is measured on `val_1.json`.
"""

from pathlib import Path

from cinescribe.annotations.timed import paragraphs, read_timed, sentences
from cinescribe.annotations.types import Annotations

_FILES = {"train": "train.json", "validation": "val_1.json", "validation-2": "val_2.json"}


def read(folder: Path) -> Annotations:
    """Whole videos with their sentences as one paragraph; splits whose file is not there are left out.

    Raises:
        UsageError: no file is there, or it is not as published; names it and the place.
    """
    return Annotations("activitynet", paragraphs(read_timed(folder, _FILES)))


def read_moments(folder: Path) -> Annotations:
    """Each sentence with its span, seconds.

    Two spans of the published training file are the wrong way round and are put right; two are empty and a
    few end after the video does: they stay so.

    Raises:
        UsageError: as `read`.
    """
    return Annotations("activitynet-moments", sentences(read_timed(folder, _FILES)))
