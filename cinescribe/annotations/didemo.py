"""DiDeMo (Hendricks et al. 2017): Flickr videos of 25 to 30 s, whose moments four people placed.

Files of the authors: `train_data.json`, `val_data.json`, `test_data.json`. A moment is a run of 5-second
pieces. Retrieval takes all descriptions of a video as one paragraph (Zhang et al. 2018). The name of a video
is its file's up to the first dot, as some videos come with two endings; so there are as many as published:
8,395, 1,065 and 1,004.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cinescribe.annotations.files import AnnotationFile, captions_of, find_splits
from cinescribe.annotations.types import Annotations, CaptionedClip
from cinescribe.errors import UsageError

PIECE = 5.0  # seconds
_MOST = 10_000  # pieces of a video; the published ones have six
_FILES = {"train": ["train_data.json"], "validation": ["val_data.json"], "test": ["test_data.json"]}


def read(folder: Path) -> Annotations:
    """Videos with their descriptions as one paragraph, in the order of the file.

    Splits whose file is not there are left out.

    Raises:
        UsageError: no file is there, or it is not as published; names it and the place.
    """
    splits = {}
    for split, file in find_splits(folder, _FILES).items():
        said: dict[str, list[str]] = {}
        for where, entry in _entries(file):
            said.setdefault(_video(entry), []).extend(captions_of([entry["description"]], where))
        splits[split] = tuple(
            CaptionedClip(video, None, None, (" ".join(texts),) if texts else ())
            for video, texts in said.items()
        )
    return Annotations("didemo", splits)


def read_moments(folder: Path) -> Annotations:
    """Each description with the span most people gave it; of equally many the earliest and shortest.

    Raises:
        UsageError: as `read`.
    """
    splits = {}
    for split, file in find_splits(folder, _FILES).items():
        clips = []
        for where, entry in _entries(file):
            try:
                votes = Counter((int(first), int(last)) for first, last in entry["times"])
                first, last = min(votes, key=lambda span: (-votes[span], span))
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise UsageError(f"{where}: times should be pairs of piece numbers ({error})") from error
            if not 0 <= first <= last < _MOST:
                raise UsageError(f"{where}: {[first, last]} is no run of pieces")
            said = captions_of([entry["description"]], where)
            clips.append(CaptionedClip(_video(entry), first * PIECE, (last + 1) * PIECE, said))
        splits[split] = tuple(clips)
    return Annotations("didemo-moments", splits)


def _entries(file: AnnotationFile) -> Iterator[tuple[str, dict[str, Any]]]:
    content = file.json()
    if not isinstance(content, list):
        raise UsageError(f"{file.name}, line 1: a list of descriptions is wanted")
    for number, entry in enumerate(content):
        where = f"{file.name}, [{number}]"
        if (
            not isinstance(entry, dict)
            or not isinstance(entry.get("video"), str)
            or "description" not in entry
        ):
            raise UsageError(f"{where}: an object with video and description is wanted")
        yield where, entry


def _video(entry: dict[str, Any]) -> str:
    return str(entry["video"]).partition(".")[0]
