"""Videos with ordered lists of actions: Breakfast as it is published, or `actions.json`.

Breakfast (Kuehne et al. 2014) is read from its own files under the data folder:

    segmentation_coarse/cereals/P03_cereals.txt    "1-30 SIL" a line: first and last frame, 15 a second
    groundTruth/P03_cam01_P03_cereals.txt          a label a frame, as later work passes it on

Features are those of `cinescribe extract` on its videos (P03/cam01/P03_cereals.avi), or files named as in
either form; the cameras of a person and a dish share the annotation of `segmentation_coarse`.

`actions.json` has {video: [[start, end, label], ...]} in seconds; what lies between and after is
background, "SIL".
"""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import PurePosixPath

import numpy as np
import torch
from torch import Tensor

from cinescribe import storage
from cinescribe.annotations.files import span_of
from cinescribe.errors import UsageError
from cinescribe.feature_store import FeatureStore
from train.recipe import Pick, Split
from train.recipes.autoad_data import decoded
from train.recipes.tan_data import seconds_of
from train.splits import divide, read_json, told

logger = logging.getLogger(__name__)

BACKGROUND = "SIL"  # Breakfast's label of what is no action
FPS = 15  # frames a second of Breakfast's videos and annotation
ACTIONS = "actions.json"
_TEST_PERSONS = {1: (3, 15), 2: (16, 28), 3: (29, 41), 4: (42, 54)}  # of each of the four splits
_SPELLED = {"saltnpepper": "salt and pepper", "stirfry": "stir fry"}


@dataclass(frozen=True, slots=True)
class Segment:
    """An action and when it is done, seconds."""

    start: float
    end: float
    label: str


@dataclass(frozen=True, slots=True)
class ActionVideo:
    """A video and its actions in order.

    Attributes:
        film: its id.
        video: [seconds, width] float32 features, one a second; zero where nothing was seen.
        segments: what is done when; training uses the labels and their order alone.
        texts: the labels as they are read, one for each segment.
    """

    film: str
    video: Tensor
    segments: Sequence[Segment]
    texts: Sequence[str]


class ActionVideos:
    """Videos of a split."""

    def __init__(self, videos: Mapping[str, Sequence[Segment]], features: FeatureStore) -> None:
        self.ids = sorted(videos)
        self.videos, self.features = videos, features

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, picks: Sequence[Pick]) -> list[ActionVideo]:
        """The videos picked, whole."""
        return [self.video(self.ids[pick.index]) for pick in picks]

    def video(self, film: str) -> ActionVideo:
        """One video."""
        array = np.nan_to_num(seconds_of(self.features, film).astype(np.float32))
        segments = self.videos[film]
        return ActionVideo(
            film, torch.from_numpy(array), segments, [words_of_label(segment.label) for segment in segments]
        )


def words_of_label(label: str) -> str:
    """A label as a TAN reads it: "put_toppingOnTop" is "put topping on top", "SIL" is "background"."""
    if label == BACKGROUND:
        return "background"
    for spelling, words in _SPELLED.items():
        label = label.replace(spelling, words)
    label = re.sub(r"(?<=[a-z])2(?=[a-z])", " to ", label)
    return re.sub(r"(?<=[a-z])([A-Z])", r" \1", label).replace("_", " ").lower()


def read(
    root: str, split: Split, features: str, test_persons: int = 1, background: bool = True
) -> ActionVideos:
    """The videos under a root that have features and a list of actions.

    Held out are the persons of one of Breakfast's four splits; with `actions.json` what `splits.json` says,
    or else the first 5% of the sorted videos. Videos with more actions than seconds can't be aligned in order
    and are left out with a warning.

    Args:
        root: folder or `s3://` prefix.
        split: which videos.
        features: of the video, one a second.
        test_persons: number of the split, 1 to 4.
        background: keep the background as an action among the others, else drop it from the lists.

    Raises:
        UsageError: nothing is left, or a file can't be read.
    """
    store = FeatureStore(root, features)
    listed = read_json(root, ACTIONS)
    videos = _listed(root, listed) if listed is not None else _breakfast(root, store.ids())
    videos = {film: segments for film, segments in videos.items() if film in store}
    if listed is not None:
        videos = {film: _to_the_end(segments, store.seconds(film)) for film, segments in videos.items()}
    if not background:
        videos = {
            film: [segment for segment in segments if segment.label != BACKGROUND]
            for film, segments in videos.items()
        }
    chosen = told(root, split) if listed is not None else _of_persons(videos, split, test_persons)
    if chosen is None:
        chosen = set(divide(videos, 0.05, len(videos), split))
    kept = {film: segments for film, segments in videos.items() if film in chosen and segments}
    crowded = [film for film in sorted(kept) if len(kept[film]) > len(seconds_of(store, film))]
    if crowded:
        logger.warning(
            "%d of %d videos have more actions than seconds and are left out (%s)",
            len(crowded),
            len(kept),
            ", ".join(crowded[:3]),
        )
    kept = {film: segments for film, segments in kept.items() if film not in crowded}
    if not kept and split == "train":
        raise UsageError(
            f"{root}: no video to train on; {len(videos)} have features {features} and a list of actions "
            f"({ACTIONS}, segmentation_coarse/ or groundTruth/), and none of them is for training"
        )
    return ActionVideos(kept, store)


def _listed(root: str, listed: object) -> dict[str, list[Segment]]:
    """Of `actions.json`, the gaps between actions filled with background."""
    address = storage.join(root, ACTIONS)
    try:
        found = {
            str(film): [Segment(float(start), float(end), str(label)) for start, end, label in rows]
            for film, rows in listed.items()  # type: ignore[attr-defined]
        }
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{address}: should be {{video: [[start, end, label], ...]}} ({error})") from error
    for film, segments in found.items():
        for one in segments:
            span_of((one.start, one.end), f"{address}, {film}")
            if one.end < one.start:
                raise UsageError(f"{address}, {film}: an action ends at {one.end:g} s before it starts")
        for before, after in pairwise(segments):
            if after.start < before.end:
                raise UsageError(f"{address}: actions of {film} overlap at {after.start:g} s")
    return {film: _filled(segments) for film, segments in found.items()}


def _filled(segments: Iterable[Segment]) -> list[Segment]:
    filled: list[Segment] = []
    last = 0.0
    for segment in segments:
        if segment.start > last:
            filled.append(Segment(last, segment.start, BACKGROUND))
        filled.append(segment)
        last = segment.end
    return filled


def _to_the_end(segments: list[Segment], seconds: float) -> list[Segment]:
    """With the background after the last action, if it lasts a second."""
    last = segments[-1].end if segments else 0.0
    return [*segments, Segment(last, seconds, BACKGROUND)] if seconds - last >= 1 else segments


# ---- Breakfast's own files ----------------------------------------------------------------------


def _breakfast(root: str, films: Sequence[str]) -> dict[str, list[Segment]]:
    """The annotation of each film that has one."""
    frames = storage.join(root, "groundTruth")
    by_video = {
        name.removesuffix(".txt"): storage.join(frames, name)
        for name in storage.list_names(frames)
        if name.endswith(".txt")
    }
    coarse = storage.join(root, "segmentation_coarse")
    by_dish = {
        name.removesuffix(".txt"): storage.join(coarse, dish, name)
        for dish in storage.list_folders(coarse)
        for name in storage.list_names(storage.join(coarse, dish))
        if name.endswith(".txt")
    }
    videos: dict[str, list[Segment]] = {}
    for film in films:
        joined = "_".join(PurePosixPath(film).parts[-3:])  # P03/cam01/P03_cereals
        known = next((by_video[name] for name in (film, joined) if name in by_video), None)
        if known is not None:
            videos[film] = _of_labels(known)
        elif (address := by_dish.get(_person_and_dish(film))) is not None:
            videos[film] = _of_segments(address)
    return videos


def _person_and_dish(film: str) -> str:
    """ "P03_cereals" of P03/cam01/P03_cereals, P03_cam01_P03_cereals or P03/stereo/P03_cereals_ch1."""
    found = re.search(r"(P\d\d_[a-z]+)(?:_ch\d)?$", film)
    return found[1] if found else ""


def _of_segments(address: str) -> list[Segment]:
    """ "1-30 SIL" a line: first and last frame, counted from 1."""
    segments = []
    for number, line in enumerate(decoded(storage.read_bytes(address)).splitlines(), 1):
        if not line.strip():
            continue
        found = re.fullmatch(r"(\d{1,9})-(\d{1,9})\s+(\S+)", line.strip())
        if found is None:
            raise UsageError(f'{address}, line {number}: {line!r}, where "FIRST-LAST LABEL" is expected')
        first, last = int(found[1]), int(found[2])
        if not 1 <= first <= last:
            raise UsageError(
                f"{address}, line {number}: frames {first} to {last} are none; they count from 1"
            )
        segments.append(Segment((first - 1) / FPS, last / FPS, found[3]))
    return segments


def _of_labels(address: str) -> list[Segment]:
    """A label a frame."""
    labels = decoded(storage.read_bytes(address)).split()
    segments, first = [], 0
    for label, run in groupby(labels):
        count = len(list(run))
        segments.append(Segment(first / FPS, (first + count) / FPS, label))
        first += count
    return segments


def _of_persons(videos: Iterable[str], split: Split, number: int) -> set[str]:
    """The videos of the persons of a split's test, or of the others."""
    if number not in _TEST_PERSONS:
        raise UsageError(f"--test-persons {number}: Breakfast's splits are 1 to 4")
    first, last = _TEST_PERSONS[number]
    named = {film: _person_and_dish(film) for film in videos}
    if odd := sorted(film for film, name in named.items() if not name):
        raise UsageError(
            f"{odd[0]}: its name tells no person, as Breakfast's do (P03_cam01_P03_cereals), by whom the "
            f"split is made; list the actions of other videos in {ACTIONS}"
        )
    persons = {film: int(name[1:3]) for film, name in named.items()}
    return {film for film, person in persons.items() if (first <= person <= last) == (split != "train")}
