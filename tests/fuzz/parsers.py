"""Every parser of the project, by name."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from cinescribe import subtitles
from cinescribe.annotations import lsmdc
from cinescribe.annotations.catalogue import load
from cinescribe.errors import UsageError
from tests.fuzz import models
from tests.fuzz.promise import Parser

# ---- subtitles ----------------------------------------------------------------------------------


def _vtt(path: Path) -> None:
    found = subtitles.read_subtitles(path)
    again = subtitles.from_vtt(subtitles.to_vtt(found))
    assert [(u.start, u.text, u.speaker) for u in again] == [(u.start, u.text, u.speaker) for u in found]
    assert all(u.end == max(v.end, round(v.start + 0.001, 3)) for u, v in zip(again, found, strict=True))


def _srt(path: Path) -> None:
    written = subtitles.to_srt(subtitles.read_subtitles(path))
    assert subtitles.to_srt(subtitles.from_srt(written)) == written


def _jsonl(path: Path) -> None:
    found = subtitles.read_subtitles(path)
    assert subtitles.from_jsonl(subtitles.to_jsonl(found)) == found


def _rttm(path: Path) -> None:
    written = subtitles.to_rttm(subtitles.read_rttm(path), "a film")
    path.with_name("again.rttm").write_text(written, encoding="utf-8")
    assert subtitles.to_rttm(subtitles.read_rttm(path.with_name("again.rttm")), "a film") == written


def _problems(path: Path) -> None:
    """The rest of a subtitle file can be had; the errors are then in a list."""
    for name in ("film.vtt", "film.srt", "film.jsonl"):
        problems: list[Any] = []
        other = path.with_name(name)
        other.write_bytes(path.read_bytes())
        try:
            subtitles.read_subtitles(other, problems)
        except subtitles.SubtitleError as error:
            problems.append(error)
        assert all(name in str(problem) for problem in problems)
    subtitles.read_rttm(path, "a", [])


# ---- published data -----------------------------------------------------------------------------

_MSRVTT = {
    "videos": [{"video_id": "v0", "split": "train"}, {"video_id": "v1", "split": "test"}],
    "sentences": [{"video_id": "v0", "caption": "a dog"}, {"video_id": "v1", "caption": "rain"}],
}


_MSVD = ("train", "val", "test")


def _beside_msrvtt(folder: Path) -> None:
    (folder / "train_val_videodatainfo.json").write_text(json.dumps(_MSRVTT))
    (folder / "MSRVTT_JSFUSION_test.csv").write_text("video_id,sentence\nv1,rain\n")
    (folder / "train_list_jsfusion.txt").write_text("v0\n")


def _data_set(name: str, file: str, data_set: str = "", prepare: Any = lambda folder: None) -> Parser:
    return Parser(name, file, lambda path: load(data_set or name, path.parent), prepare)


def _packed(path: Path) -> None:
    load("youcook2", path.parent)


def _world(folder: Path) -> None:
    splits = {"howtos": {"train": ["film"], "val": [], "test": []}}
    (folder / "splits.json").write_text(json.dumps(splits))
    (folder / "truth").mkdir()


def _truth(path: Path) -> None:
    path.replace(path.parent / "truth" / "film.json")
    load("cineworld-howtos", path.parent)


def _mad(path: Path) -> None:
    from train.recipes import mad_data
    from train.recipes.autoad_data import Reading

    for split in ("train", "validation"):
        mad_data.read(
            str(path.parent), split, Reading(None, 8, 1, 1), annotations=path.name, lines=3, seconds=60.0,  # type: ignore[arg-type]
            share=0.5,
        )  # fmt: skip


def _texts(path: Path) -> None:
    from train.recipes.autoad_data import Reading, read_texts

    read_texts(str(path), "train", Reading(None, 8, 1, 1), 0.5)


def _features(folder: Path) -> None:
    import numpy as np

    (folder / "features").mkdir()
    (folder / "features" / "eye").mkdir()
    np.save(folder / "features" / "eye" / "P03_cam01_P03_cereals.npy", np.zeros((9, 2), np.float16))


def _actions(path: Path) -> None:
    from train.recipes import breakfast_data

    breakfast_data.read(str(path.parent), "train", "eye")


def _segments(path: Path) -> None:
    from train.recipes import breakfast_data

    target = path.parent / "segmentation_coarse" / "cereals" / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    breakfast_data.read(str(path.parent), "validation", "eye")


def _splits(path: Path) -> None:
    from train.splits import told

    for split in ("train", "validation"):
        told(str(path.parent), split)  # type: ignore[arg-type]


def _h5(path: Path) -> None:
    from cinescribe.feature_store import FeatureStore

    store = FeatureStore(str(path.parents[1]), "eye")
    for film in store.ids():
        store.read(film)


def _npy(path: Path) -> None:
    from cinescribe.feature_store import FeatureStore

    target = path.parent / "features" / "mouth" / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    FeatureStore(str(path.parent), "mouth").read(path.stem)


def _curated(path: Path) -> None:
    from cinescribe.speech.curation import curate_files

    curate_files([path], sentences="pauses")


def _true_spans(path: Path) -> None:
    from pipelines.align import read_truth

    read_truth(str(path), str(path.parent), "eye")


# ---- what the commands take ---------------------------------------------------------------------


def _intervals(path: Path) -> None:
    from cinescribe.describe.intervals import read_intervals

    for spans in read_intervals(str(path)).values():
        assert all(0 <= start < end for start, end in spans)


def _correction(path: Path) -> None:
    from cinescribe.describe import corrections

    target = path.parent / corrections.TABLE / path.name
    target.parent.mkdir(exist_ok=True)
    path.replace(target)
    for one in corrections.read(str(path.parent), "a").by_interval.values():
        assert isinstance(one.text, str)
        assert isinstance(one.author, str)


def _keys(path: Path) -> None:
    from serve.settings import read_keys

    read_keys(str(path))


def _time(path: Path) -> None:
    from cinescribe.search.command import parser

    text = path.read_bytes().decode("utf-8", "surrogateescape").rstrip("\n")
    try:
        arguments = parser().parse_args(["index", "dog", f"--from={text}"])
    except SystemExit as error:  # argparse has told what is wrong
        raise UsageError(str(error)) from error
    assert 0 <= arguments.start < float("inf")


def _address(path: Path) -> None:
    """Whatever is allowed leads to the allowed host and folder, as an HTTP client sees it."""
    from urllib.parse import unquote, urlsplit

    from serve.addresses import is_allowed

    address = path.read_bytes().decode("utf-8", "surrogateescape")
    if not is_allowed(address, ("https://media.example.org/stills/",)):
        raise UsageError("not allowed")
    parts = urlsplit(address)
    assert (parts.scheme, (parts.hostname or "").rstrip(".")) == ("https", "media.example.org")
    assert parts.port in (None, 443, 0)  # 0 is taken for none
    assert parts.path.startswith("/stills/")
    assert not {"..", "."} & set(unquote(parts.path).split("/"))


# ---- checkpoints --------------------------------------------------------------------------------


def _expert(path: Path) -> None:
    from cinescribe.annotations import ce_features

    target = path.with_name("out.safetensors")
    ce_features.convert(path, target)
    ce_features.read(target)


def _expert_tensors(path: Path) -> None:
    from cinescribe.annotations import ce_features

    found = ce_features.read(path)
    for number in range(len(found.videos)):
        found.of(number)


def _arrays(path: Path) -> None:
    from cinescribe.zoo.checkpoints import read_arrays

    read_arrays(path)


def _state(path: Path) -> None:
    from cinescribe.zoo.checkpoints import read_state

    read_state(path)


def _pipeline(path: Path) -> None:
    from cinescribe.speech.diarization import _refuse_foreign_code

    _refuse_foreign_code(path)


def _run_lines(folder: Path) -> None:
    import numpy as np

    (folder / "videos.jsonl").write_text('{"film": "a", "start": 0, "end": 1}\n')
    np.save(folder / "similarity.npy", np.zeros((2, 1), np.float32))


def _run(path: Path) -> None:
    from cinescribe.evaluation.run import read_run

    read_run([path.parent])


@cache
def _application(folder: Path) -> Any:
    from tests.fuzz.requests import Application

    return Application(folder)


_ALL = [
    Parser("vtt", "film.vtt", _vtt),
    Parser("srt", "film.srt", _srt),
    Parser("jsonl", "film.jsonl", _jsonl),
    Parser("rttm", "film.rttm", _rttm),
    Parser("problems", "film.rttm", _problems),
    _data_set("msrvtt", "test_videodatainfo.json", prepare=_beside_msrvtt),
    _data_set("msrvtt-list", "MSRVTT_train.9k.csv", "msrvtt-1k-a", _beside_msrvtt),
    _data_set(
        "msvd", "captions_msvd.json",
        prepare=lambda folder: [(folder / f"{split}_list.txt").write_text("a\n") for split in _MSVD],
    ),
    _data_set("lsmdc", "LSMDC16_annos_training.csv"),
    Parser(
        "lsmdc-choice", "LSMDC16_multiple_choice_test_randomized.csv",
        lambda path: lsmdc.read_multiple_choice(path.parent, "test"),
    ),
    Parser(
        "lsmdc-fill-in", "LSMDC16_annos_val_FIB.csv",
        lambda path: lsmdc.read_fill_in(path.parent, "validation"),
    ),
    _data_set("didemo", "val_data.json"),
    _data_set("didemo-moments", "val_data.json"),
    _data_set("activitynet", "train.json"),
    _data_set("activitynet-moments", "train.json"),
    _data_set("youcook2", "youcookii_annotations_trainval.json"),
    _data_set("clips", "train.jsonl"),
    Parser("zip", "archive.zip", _packed, names_folder=True),
    Parser("world", "film.json", _truth, _world, names_folder=True),
    Parser("mad", "MAD_val.json", _mad),
    Parser("mad-csv", "mad-v2-ad-named.csv", _mad),
    Parser("texts", "descriptions.csv", _texts),
    Parser("actions", "actions.json", _actions, _features),
    Parser("segments", "P03_cereals.txt", _segments, _features),
    Parser("splits", "splits.json", _splits),
    Parser("npy", "film.npy", _npy, _features),
    Parser("h5", "features/eye.h5", _h5, lambda folder: (folder / "features").mkdir()),
    Parser("curation", "many.json", _curated),
    Parser("true-spans", "htm_align.json", _true_spans),
    Parser("run", "texts.jsonl", _run, _run_lines, names_folder=True),
    Parser("intervals", "intervals.csv", _intervals),
    Parser("correction", "a@0-1000.parquet", _correction),
    Parser("keys", "keys", _keys),
    Parser("time", "", _time),
    Parser("address", "", _address),
    Parser("expert", "face.pickle", _expert),
    Parser("expert-tensors", "face.safetensors", _expert_tensors),
    Parser("arrays", "arrays.pkl", _arrays),
    Parser("checkpoint", "model.pt", _state),
    Parser("tensors", "model.safetensors", _state),
    Parser("pipeline", "config.yaml", _pipeline),
    *(
        Parser(f"model-{name}", models.FILE, models.load(name), write, names_folder=True, values_only=True)
        for name, write in models.WRITERS.items()
    ),
    Parser("request", "", lambda path: _application(path.parent).ask(path)),
]  # fmt: skip

PARSERS = {parser.name: parser for parser in _ALL}
"""All of them, in the order in which they are told of."""

NATIVE = frozenset({"h5", "correction"})
"""Those that C libraries read: only the command changes their inputs, as a fault there ends the process."""

SLOW = frozenset({"model-collaborative_experts", "model-prompting_clip"})
"""Those that only the command reads: five seconds pass until torch or CLIP is ready for their first input."""
