"""The published annotation files: counts of the real ones, and small files of the right shape."""

import json
import zipfile
from pathlib import Path

import pytest

from cinescribe.annotations import lsmdc
from cinescribe.annotations.catalogue import DATA_SETS, load
from cinescribe.annotations.types import BLANK, CaptionedClip
from cinescribe.errors import UsageError

CAPTIONS = Path(__file__).parents[2] / ".." / "shared" / "data" / "captions"

# Data set, folder of the real files, and (clips, captions) of each split as the papers count them.
PUBLISHED = [
    ("msrvtt", "msrvtt", {"train": (6513, 130260), "validation": (497, 9940), "test": (2990, 59800)}),
    ("msrvtt-1k-a", "msrvtt", {"train": (9000, 180000), "test": (1000, 1000)}),
    ("msrvtt-7k", "msrvtt", {"train": (7010, 140200), "test": (1000, 1000)}),
    ("msvd", "msvd", {"train": (1200, 48774), "validation": (100, 4290), "test": (670, 27763)}),
    ("didemo", "didemo", {"validation": (1065, 1065), "test": (1004, 1004)}),
    ("didemo-moments", "didemo", {"validation": (4180, 4180), "test": (4021, 4021)}),
    ("activitynet", "activitynet", {"train": (10009, 10009), "validation": (4917, 4917)}),
    ("activitynet-moments", "activitynet", {"train": (37421, 37421), "validation": (17505, 17505)}),
    ("youcook2", "youcook2", {"train": (10337, 10337), "validation": (3492, 3492)}),
]


@pytest.mark.skipif(not CAPTIONS.is_dir(), reason="the shared annotation files are not here")
@pytest.mark.parametrize(("name", "folder", "counts"), PUBLISHED, ids=[name for name, _, _ in PUBLISHED])
def test_splits_are_as_large_as_published(name: str, folder: str, counts: dict[str, tuple[int, int]]) -> None:
    found = load(name, CAPTIONS / folder)
    assert {
        split: (len(clips), sum(len(clip.captions) for clip in clips))
        for split, clips in found.splits.items()
    } == counts
    names = {split: {clip.video_id for clip in clips} for split, clips in found.splits.items()}
    for first in names:
        for second in names:
            assert first == second or not names[first] & names[second]


def _write(path: Path, content: object) -> None:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def _msrvtt(folder: Path) -> None:
    train = {
        "videos": [{"video_id": "v0", "split": "train"}, {"video_id": "v1", "split": "validate"}],
        "sentences": [
            {"video_id": "v0", "caption": "a dog runs"},
            {"video_id": "v1", "caption": "a cat sleeps "},
            {"video_id": "v0", "caption": "a dog in a park"},
        ],
    }
    test = {
        "videos": [{"video_id": "v2", "split": "test"}],
        "sentences": [{"video_id": "v2", "caption": "rain"}, {"video_id": "v2", "caption": "it rains"}],
    }
    with zipfile.ZipFile(folder / "train_val_annotation.zip", "w") as packed:
        packed.writestr("train_val_videodatainfo.json", json.dumps(train))
    _write(folder / "test_videodatainfo.json", test)


def test_msrvtt_packed_and_not(tmp_path: Path) -> None:
    _msrvtt(tmp_path)
    splits = load("msrvtt", tmp_path).splits
    assert splits["train"] == (CaptionedClip("v0", None, None, ("a dog runs", "a dog in a park")),)
    assert splits["validation"][0].captions == ("a cat sleeps",)
    (tmp_path / "train_list_miech.txt").write_text("v0\nv1\n")
    (tmp_path / "test_list_miech.txt").write_text("v2\n")
    miech = load("msrvtt-1k-b", tmp_path).splits
    assert [clip.video_id for clip in miech["train"]] == ["v0", "v1"]
    assert miech["test"] == (CaptionedClip("v2", None, None, ("rain",)),)


def test_lsmdc_and_its_tests(tmp_path: Path) -> None:
    clip = "0001_Film_00.01.10.500-00.01.12.500"
    times = "00.01.10.800\t00.01.12.100\t00.01.10.500\t00.01.12.500"
    _write(tmp_path / "LSMDC16_annos_training.csv", f'{clip}\t{times}\tSomeone says "no and leaves.\n')
    _write(tmp_path / "LSMDC16_challenge_1000_publictect.csv", f"{clip}b\t\t\t\t\tRain falls.\n")
    found = load("lsmdc", tmp_path)
    assert found.splits == {
        "train": (CaptionedClip(clip, 70.5, 72.5, ('Someone says "no and leaves.',)),),
        "test": (CaptionedClip(f"{clip}b", None, None, ("Rain falls.",)),),
    }
    assert found.clips("train") == (CaptionedClip(clip, None, None, found.splits["train"][0].captions),)
    choices = "one.\ttwo.\tthree.\tfour.\tfive."
    _write(tmp_path / "LSMDC16_multiple_choice_test_randomized.csv", f"{clip}\t{times}\t{choices}\t4\n")
    _write(tmp_path / "LSMDC16_multiple_choice_train.csv", f"{clip}\t{times}\t{choices}\n")
    (test,) = lsmdc.read_multiple_choice(tmp_path, "test")
    assert test.candidates[test.answer] == "four."
    (train,) = lsmdc.read_multiple_choice(tmp_path, "train")
    assert train.candidates[train.answer] == "one."
    line = f"{clip}\t{times}\tSomeone leaves.\tSomeone {BLANK}.\tleaves\n"
    _write(tmp_path / "LSMDC16_annos_val_FIB.csv", line)
    (blank,) = lsmdc.read_fill_in(tmp_path, "validation")
    assert blank.sentence.replace(BLANK, blank.answer) == "Someone leaves."
    assert (blank.start, blank.end) == (70.5, 72.5)


def test_a_moment_is_where_most_people_put_it(tmp_path: Path) -> None:
    entry = {"video": "a.mov", "description": "a dog", "times": [[1, 1], [0, 2], [1, 1], [4, 4]]}
    _write(tmp_path / "val_data.json", [entry, {**entry, "video": "a.mp4", "description": " barks"}])
    assert load("didemo-moments", tmp_path).splits["validation"][0] == CaptionedClip("a", 5, 10, ("a dog",))
    assert load("didemo", tmp_path).splits["validation"] == (
        CaptionedClip("a", None, None, ("a dog barks",)),
    )


def test_own_clips(tmp_path: Path) -> None:
    _write(tmp_path / "train.jsonl", '{"video": "a", "captions": ["x", "y"], "start": 1, "end": 2.5}\n\n')
    _write(tmp_path / "test.jsonl", '\ufeff{"video": "b", "captions": ["z"]}\n')  # as Windows writes UTF-8
    assert load("clips", tmp_path).splits == {
        "train": (CaptionedClip("a", 1.0, 2.5, ("x", "y")),),
        "test": (CaptionedClip("b", None, None, ("z",)),),
    }


BROKEN = [
    ("msrvtt", {"train_val_videodatainfo.json": '{"videos": [],\n"sentences": ['}, "json, line 2"),
    ("msrvtt", {"test_videodatainfo.json": {"videos": [{"video_id": "v"}], "sentences": []}}, r"videos\[0\]"),
    ("msvd", {"captions_msvd.json": {"a": ["x"]}, "train_list.txt": "a\nb\n"}, "train_list.txt, line 2: b"),
    ("lsmdc", {"LSMDC16_annos_val.csv": "clip\tonly\n"}, "LSMDC16_annos_val.csv, line 1"),
    ("lsmdc", {"LSMDC16_annos_val.csv": "c\t\t\t1:20\t1:30\tA man.\n"}, "line 1: '1:20' is no time"),
    (
        "didemo-moments",
        {"val_data.json": [{"video": "a", "description": "b", "times": [1]}]},
        r"\[0\]: times",
    ),
    ("activitynet", {"train.json": {"v": {"timestamps": [[0, 1]], "sentences": []}}}, "train.json, v:"),
    ("youcook2", {"youcookii_annotations_trainval.json": {"videos": {}}}, "trainval.json, line 1"),
    ("clips", {"train.jsonl": '{"video": "a", "captions": ["x"]}\n{"captions": []}\n'}, "jsonl, line 2"),
    ("youcook2", {}, "no youcookii_annotations_trainval.json there"),
    (
        "activitynet",
        {"train.json": '{"v": {"timestamps": [[5, NaN]], "sentences": ["a"]}}'},
        "train.json, v:",
    ),
    (
        "msrvtt-1k-a",
        {
            "train_val_videodatainfo.json": {"videos": [], "sentences": []},
            "MSRVTT_train.9k.csv": 'video_id\n"' + "v" * 140000,
        },
        "MSRVTT_train.9k.csv, line 2: not CSV",
    ),
]


@pytest.mark.parametrize(("name", "files", "message"), BROKEN)
def test_what_is_wrong_is_told_by_file_and_place(
    tmp_path: Path, name: str, files: dict[str, object], message: str
) -> None:
    for file, content in files.items():
        _write(tmp_path / file, content)
    with pytest.raises(UsageError, match=message):
        load(name, tmp_path)


def test_an_archive_that_asks_for_a_password_is_named(tmp_path: Path) -> None:
    name = "youcookii_annotations_trainval.json"
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, '{"database": {}}')
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[6] |= 1  # the flags of the file: it is encrypted
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(UsageError, match=r"a\.zip: can't be unpacked"):
        load("youcook2", tmp_path)


def test_a_missing_folder_and_an_unknown_name(tmp_path: Path) -> None:
    for name in DATA_SETS:
        with pytest.raises(UsageError, match="nowhere"):
            load(name, tmp_path / "nowhere")
    with pytest.raises(UsageError, match="msrvtt-1k-a"):
        load("msr-vtt", tmp_path)
