"""The data sets by name, and the one way to read any of them."""

import importlib
from pathlib import Path

from cinescribe.annotations.types import Annotations
from cinescribe.errors import UsageError

# What a folder of each holds, and the function that reads it.
DATA_SETS = {
    "msrvtt": ("MSR-VTT, the authors' division", "msrvtt:read_full"),
    "msrvtt-1k-a": ("MSR-VTT, 9,000 for training, JSFusion's 1,000 for the test", "msrvtt:read_1k_a"),
    "msrvtt-7k": ("MSR-VTT, 7,010 for training, JSFusion's 1,000 for the test", "msrvtt:read_7k"),
    "msrvtt-1k-b": ("MSR-VTT, 6,656 for training, Miech's 1,000 for the test", "msrvtt:read_1k_b"),
    "msvd": ("MSVD", "msvd:read"),
    "lsmdc": ("LSMDC 2016, retrieval and description", "lsmdc:read"),
    "didemo": ("DiDeMo, a paragraph a video", "didemo:read"),
    "didemo-moments": ("DiDeMo, moments", "didemo:read_moments"),
    "activitynet": ("ActivityNet Captions, a paragraph a video", "activitynet:read"),
    "activitynet-moments": ("ActivityNet Captions, moments", "activitynet:read_moments"),
    "youcook2": ("YouCook2, steps", "youcook2:read"),
    "cineworld-films": ("Cineworld, described clips of films", "cineworld:read_films"),
    "cineworld-howtos": ("Cineworld, steps of how-to videos", "cineworld:read_howtos"),
    "cineworld-actions": ("Cineworld, actions of films as classes", "cineworld:read_actions"),
    "clips": ("your own: SPLIT.jsonl with video, start, end, captions", "clips:read"),
}


def load(name: str, path: Path | str) -> Annotations:
    """A data set.

    Args:
        name: a key of `DATA_SETS`.
        path: folder with its files, as their authors publish them.

    Raises:
        UsageError: there is no data set of that name, a file is missing, or one is not as published: the
            message names the file, and the line or the entry.
    """
    if name not in DATA_SETS:
        raise UsageError(f"no data set {name!r}; there are: {', '.join(DATA_SETS)}")
    module, _, function = DATA_SETS[name][1].partition(":")
    found = getattr(importlib.import_module(f"cinescribe.annotations.{module}"), function)(Path(path))
    if not isinstance(found, Annotations):
        raise TypeError(f"{name}: {function} gave a {type(found).__name__}")
    return found
