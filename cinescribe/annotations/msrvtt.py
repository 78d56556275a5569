"""MSR-VTT (Xu et al. 2016): 10,000 clips with 20 captions each, in its three common divisions.

Files of the authors: `train_val_videodatainfo.json` and `test_videodatainfo.json`, packed or not. The full
division is told by them; 1k-A and 1k-B are lists that Yu et al. 2018 (JSFusion) and Miech et al. 2018 made.
"""

from collections.abc import Iterable
from pathlib import Path

from cinescribe.annotations.files import AnnotationFile, find, need
from cinescribe.annotations.types import Annotations, CaptionedClip
from cinescribe.errors import UsageError

_FILES = ("train_val_videodatainfo.json", "test_videodatainfo.json")
_SPLITS = {"train": "train", "validate": "validation", "test": "test"}


def read_full(folder: Path) -> Annotations:
    """The authors' division: 6,513 clips for training, 497 for validation, 2,990 for the test.

    Raises:
        UsageError: a file is missing or not as published; names it and the place.
    """
    captions, split_of = _captions(folder)
    splits: dict[str, list[CaptionedClip]] = {name: [] for name in _SPLITS.values()}
    for video, split in split_of.items():
        splits[split].append(CaptionedClip(video, None, None, tuple(captions[video])))
    return Annotations("msrvtt", {name: tuple(clips) for name, clips in splits.items()})


def read_1k_a(folder: Path) -> Annotations:
    """1k-A: 9,000 clips for training; for the test 1,000, each with the one caption of JSFusion's list.

    Raises:
        UsageError: as `read_full`.
    """
    return _jsfusion(folder, "msrvtt-1k-a", "MSRVTT_train.9k.csv", "train_list_jsfusion.txt")


def read_7k(folder: Path) -> Annotations:
    """1k-A's test, and for training only the 7,010 clips that are not of the authors' test.

    Raises:
        UsageError: as `read_full`.
    """
    return _jsfusion(folder, "msrvtt-7k", "MSRVTT_train.7k.csv")


def read_1k_b(folder: Path) -> Annotations:
    """1k-B: 6,656 clips for training; for the test 1,000, each with its first caption.

    The lists are `train_list_miech.txt` and `test_list_miech.txt` of the Collaborative Experts' authors.

    Raises:
        UsageError: as `read_full`.
    """
    captions, _ = _captions(folder)
    train, test = need(folder, "train_list_miech.txt"), need(folder, "test_list_miech.txt")
    first = {video: said[:1] for video, said in captions.items()}
    splits = {
        "train": _chosen(train, enumerate(train.lines(), 1), captions),
        "test": _chosen(test, enumerate(test.lines(), 1), first),
    }
    return Annotations("msrvtt-1k-b", splits)


def _jsfusion(folder: Path, name: str, *train_lists: str) -> Annotations:
    captions, _ = _captions(folder)
    train = need(folder, *train_lists)
    if train.name.endswith(".csv"):
        listed = [(line, values[0]) for line, values in train.table("video_id")]
    else:
        listed = list(enumerate(train.lines(), 1))
    test = need(folder, "MSRVTT_JSFUSION_test.csv")
    clips = []
    for line, (video, sentence) in test.table("video_id", "sentence"):
        if not sentence.strip():
            raise UsageError(f"{test.name}, line {line}: {video} has no sentence")
        clips.append(CaptionedClip(video, None, None, (sentence.strip(),)))
    return Annotations(name, {"train": _chosen(train, listed, captions), "test": tuple(clips)})


def _chosen(
    file: AnnotationFile, listed: Iterable[tuple[int, str]], captions: dict[str, list[str]]
) -> tuple[CaptionedClip, ...]:
    clips = []
    for line, video in listed:
        if video not in captions:
            raise UsageError(
                f"{file.name}, line {line}: {video} is in neither {' nor '.join(_FILES)}; both are needed"
            )
        clips.append(CaptionedClip(video, None, None, tuple(captions[video])))
    return tuple(clips)


def _captions(folder: Path) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Captions by video in the order of the files, and each video's split."""
    captions: dict[str, list[str]] = {}
    split_of: dict[str, str] = {}
    found = [file for file in (find(folder, name) for name in _FILES) if file is not None]
    if not found:
        need(folder, *_FILES)
    for file in found:
        content = file.json()
        if not isinstance(content, dict) or not all(
            isinstance(content.get(name), list) for name in ("videos", "sentences")
        ):
            raise UsageError(f"{file.name}, line 1: an object with lists of videos and sentences is wanted")
        for number, video in enumerate(content["videos"]):
            try:
                split_of[video["video_id"]] = _SPLITS[video["split"]]
            except (KeyError, TypeError) as error:
                raise UsageError(f"{file.name}, videos[{number}]: no {error}, or no known split") from error
            captions.setdefault(video["video_id"], [])
        for number, sentence in enumerate(content["sentences"]):
            try:
                said = sentence["caption"].strip()
                if said:
                    captions[sentence["video_id"]].append(said)
            except (KeyError, TypeError, AttributeError) as error:
                raise UsageError(
                    f"{file.name}, sentences[{number}]: no caption of a video: {error}"
                ) from error
    return captions, split_of
