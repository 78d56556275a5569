"""TAN's data and its two stages."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cinescribe import storage, tables
from cinescribe.errors import UsageError
from cinescribe.models import tan_files
from tests.train.worlds import write_howtos
from train import folder, loop, recipes
from train.recipe import Pick
from train.recipes import tan_data
from train.recipes.tan_data import HeldOut, Sentence, Windows, cut
from train.settings import Settings

SMALL = {
    "features": "tiny",
    "window": 16,
    "batch": 8,
    "warmup": 5,
    "learning_rate": 2e-3,
}
FIRST = {**SMALL, "text": "fresh", "dim": 32, "layers": 1, "heads": 2}


@pytest.fixture(scope="module")
def howtos(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("howtos")
    write_howtos(root)
    return str(root)


def read(root: str, split: str = "train", **other: object) -> Windows | HeldOut:
    given = {"features": "tiny", "window": 16, "longest": 1000.0, "subtitles": "subtitles.json"}
    return tan_data.read(root, split, align="htm_align_val.json", **{**given, **other})  # type: ignore[arg-type]


def test_a_window_begins_with_a_sentence_and_cuts_what_reaches_out() -> None:
    said = [
        Sentence(2.4, 5.6, "a"),
        Sentence(6.0, 6.3, "short"),
        Sentence(7.2, 30.0, "long"),
        Sentence(60, 80, "z"),
    ]
    first, found = cut(said, 100, 20, np.random.default_rng(0))
    starts = {2: [(0, 4, "a"), (5, 20, "long")], 6: [(1, 20, "long")], 7: [(0, 20, "long")]}
    assert [(s.start, s.end, s.text) for s in found] == starts[first]
    seen = {cut(said, 100, 20, np.random.default_rng(seed))[0] for seed in range(40)}
    assert seen == {2, 6, 7}  # the one at 60 s has no whole window behind it


def test_a_window_without_sentences_holds_the_unknown_one() -> None:
    for said in ([], [Sentence(1, 3, "a"), Sentence(5, 9, "b")], [Sentence(1, 300, "after the end")]):
        assert cut(said, 70, 64, np.random.default_rng(0)) == (0, [Sentence(0, 64, "[UNK]")])


def test_what_is_held_out_is_never_trained_on(howtos: str) -> None:
    windows, held_out = read(howtos), read(howtos, "validation")
    assert isinstance(windows, Windows)
    assert isinstance(held_out, HeldOut)
    assert windows.ids == sorted(f"video {n}" for n in range(10))
    assert held_out.ids == ["video 10", "video 11"]


def test_howto100m_files_are_read_as_our_tables_are(howtos: str, tmp_path: Path) -> None:
    ours = read(howtos)
    assert isinstance(ours, Windows)
    (tmp_path / "features" / "tiny").mkdir(parents=True)
    subtitles = {}
    for film in ours.ids:
        np.save(tmp_path / "features" / "tiny" / f"{film}.webm.npy", ours.features.read(film).array)
        row = tables.read_row(howtos, "speech", film)
        assert row is not None
        lines = tables.utterances_of(row)
        subtitles[film] = {name: [getattr(line, name) for line in lines] for name in ("start", "end", "text")}
    (tmp_path / "subtitles.json").write_text(json.dumps(subtitles))
    (tmp_path / "htm_align_val.json").write_text("{}")
    theirs = read(str(tmp_path))
    picks = [Pick(index, index) for index in range(10)]
    one, other = ours.batch(picks), theirs.batch(picks)
    assert other is not None
    assert torch.equal(one.video, other.video)
    assert one.texts == other.texts
    assert torch.equal(one.start, other.start)


def test_seconds_without_features_are_padding(howtos: str) -> None:
    windows = read(howtos)
    assert isinstance(windows, Windows)
    film = windows.ids[0]
    array = windows.features.read(film).array
    holes = array.copy()
    holes[10:12] = np.nan
    video, hidden = tan_data._stacked([array[:20], holes[4:20]])
    assert hidden[0].tolist() == [False] * 20
    assert hidden[1].nonzero().flatten().tolist() == [6, 7, 16, 17, 18, 19]
    assert not bool(video.isnan().any())


def test_too_short_videos_are_told_of(howtos: str) -> None:
    with pytest.raises(UsageError, match=r"12 have speech.* 0 of them are longer than a window of 64 s"):
        read(howtos, window=64)
    with pytest.raises(UsageError, match="encoders with features there: tiny"):
        read(howtos, features="s3d")


def test_two_stages_learn_to_align(howtos: str, tmp_path: Path) -> None:
    def train(name: str, options: dict[str, object], steps: int) -> list[dict[str, object]]:
        out = str(tmp_path / name)
        settings = Settings(
            recipe=name,
            data=howtos,
            out=out,
            options={**options, "steps": steps},
            log_every=1,
            evaluate_every=steps // 2,
        )
        loop.train(recipes.load(name, settings.options), settings)
        return folder.read_lines(out)

    lines = train("tan-stage1", FIRST, 40)
    losses = [float(line["loss"]) for line in lines if "loss" in line]  # type: ignore[arg-type]
    assert np.mean(losses[-5:]) < 0.75 * losses[0]
    first = lines[-1]["evaluation"]
    assert first["recall"] > 0.5  # type: ignore[index]
    best = str(tmp_path / "tan-stage1" / "best")
    saved = tan_files.load(Path(best))
    assert (saved.text, saved.features, saved.pair.online.config.head) == ("fresh", "tiny", "none")
    assert saved.window == 16
    assert "thanks" not in saved.words  # only said in held-out videos
    lines = train("tan-stage2", {**SMALL, "stage1": best, "learning_rate": 1e-3}, 10)
    assert lines[-1]["evaluation"]["recall"] > 0.5  # type: ignore[index]
    second = tan_files.load(tmp_path / "tan-stage2" / "last").pair
    assert second.online.config.head == "two-way"
    # the average has moved away from stage 1, and is not the network
    weights = [p.online.video_pre_proj.weight for p in (saved.pair, second)]
    average = second.target.video_pre_proj.weight
    assert not torch.equal(average, weights[0])
    assert not torch.equal(average, weights[1])
    assert bool((average - weights[0]).norm() < (weights[1] - weights[0]).norm())


def test_stage_2_needs_a_first(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--stage1"):
        recipes.load("tan-stage2", {})
    assert not storage.list_names(str(tmp_path))
