"""LSMDC 2016 (Rohrbach et al. 2017): clips of films with their audio description, and its three tests.

The annotations are given to registered researchers; the files are read under the names that they have there,
with "someone" in place of names (`..._someone.csv`) where that is the version that was given. A line has
the clip, when it was said (aligned) and what was cut (extracted), and then the test's own values.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from cinescribe.annotations.files import AnnotationFile, find_splits, need
from cinescribe.annotations.types import BLANK, Annotations, CaptionedClip, FillIn, MultipleChoice
from cinescribe.errors import UsageError

_DESCRIPTION = {
    "train": ("LSMDC16_annos_training.csv", "LSMDC16_annos_training_someone.csv"),
    "validation": ("LSMDC16_annos_val.csv", "LSMDC16_annos_val_someone.csv"),
    "test": ("LSMDC16_challenge_1000_publictect.csv", "LSMDC16_challenge_1000_publictest.csv"),
    "test-description": ("LSMDC16_annos_test.csv", "LSMDC16_annos_test_someone.csv"),
}
_CHOICE = {
    "train": ("LSMDC16_multiple_choice_train.csv",),
    "validation": ("LSMDC16_multiple_choice_valid.csv",),
    "test": ("LSMDC16_multiple_choice_test_randomized.csv",),
}
_FILL_IN = {
    "train": ("LSMDC16_annos_training_FIB.csv",),
    "validation": ("LSMDC16_annos_val_FIB.csv",),
    "test": ("LSMDC16_annos_test_FIB.csv",),
}
_TIME = re.compile(r"(\d{1,3})\.(\d{1,2})\.(\d{1,2})\.(\d{1,3})")


def read(folder: Path) -> Annotations:
    """Clips with their description, which is both the retrieval and the description test.

    101,079 for training, 7,408 for validation, 1,000 for the retrieval test ("test"), and 10,053 for the
    description test ("test-description"). Splits whose file is not there are left out. Times are seconds
    of the film, of what was cut out.

    Raises:
        UsageError: no file is there, or a line is not as published; names file and line.
    """
    splits = {}
    for split, file in find_splits(folder, _DESCRIPTION).items():
        clips = []
        for line, values in file.tabbed(6):
            start, end = _extracted(values, file, line)
            clips.append(CaptionedClip(values[0], start, end, (values[5],)))
        splits[split] = tuple(clips)
    return Annotations("lsmdc", splits, cut=True)


def read_multiple_choice(folder: Path, split: str) -> tuple[MultipleChoice, ...]:
    """Clips with five descriptions of which one is theirs; 101,079, 7,408 and 10,053 of them.

    In training and validation the right one comes first, as in the files.

    Raises:
        UsageError: the file is not there, or a line is not as published; names file and line.
    """
    file = _of(folder, _CHOICE, split)
    found = []
    for line, values in file.tabbed(11 if split == "test" else 10):
        start, end = _extracted(values, file, line)
        answer = 0
        if split == "test":
            if values[10] not in {"1", "2", "3", "4", "5"}:
                raise UsageError(f"{file.name}, line {line}: the answer is {values[10]!r}, not one of 1 to 5")
            answer = int(values[10]) - 1
        found.append(MultipleChoice(values[0], start, end, tuple(values[5:10]), answer))
    return tuple(found)


def read_fill_in(folder: Path, split: str) -> tuple[FillIn, ...]:
    """Clips with a description that lacks a word; 296,960, 21,689 and 30,349 of them.

    Raises:
        UsageError: as `read_multiple_choice`.
    """
    file = _of(folder, _FILL_IN, split)
    found = []
    for line, values in file.tabbed(8):
        start, end = _extracted(values, file, line)
        if values[6].count(BLANK) != 1 or not values[7]:
            raise UsageError(f"{file.name}, line {line}: a sentence with one {BLANK} and its word are wanted")
        found.append(FillIn(values[0], start, end, values[6], values[7]))
    return tuple(found)


def _of(folder: Path, files: Mapping[str, tuple[str, ...]], split: str) -> AnnotationFile:
    if split not in files:
        raise UsageError(f"no split {split!r}; there are: {', '.join(files)}")
    return need(folder, *files[split])


def _extracted(values: list[str], file: AnnotationFile, line: int) -> tuple[float | None, float | None]:
    """What was cut, seconds of the film; None where the file doesn't tell, as in the challenge's list."""
    if not values[3] and not values[4]:
        return None, None
    times = []
    for value in values[3:5]:
        found = _TIME.fullmatch(value)
        if found is None:
            raise UsageError(f"{file.name}, line {line}: {value!r} is no time; hh.mm.ss.mmm is wanted")
        hours, minutes, seconds = (int(part) for part in found.groups()[:3])
        times.append(hours * 3600 + minutes * 60 + seconds + int(found[4].ljust(3, "0")) / 1000)
    return times[0], times[1]
