"""Breakfast's own files, and finetuning on ordered actions by soft-DTW."""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from cinescribe.cineworld.world import WorldSettings, write_world
from cinescribe.errors import UsageError
from cinescribe.models import tan_files
from cinescribe.models.tan import TANConfig, TANPair
from tests.train.test_tan import FIRST
from tests.train.worlds import ACTIONS, write_howtos
from train import recipes
from train.recipe import Pick
from train.recipes import breakfast_data
from train.recipes.breakfast_data import ActionVideo, Segment, words_of_label
from train.recipes.tan_breakfast import alignment

CEREALS = "1-30 SIL  \n31-150 take_bowl  \n151-430 pour_cereals\n"
SEGMENTS = [Segment(0, 2, "SIL"), Segment(2, 10, "take_bowl"), Segment(10, 430 / 15, "pour_cereals")]


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def put_features(root: Path, film: str, seconds: int = 29) -> None:
    path = root / "features" / "s3d" / f"{film}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.ones((seconds, 8), np.float32))


@pytest.fixture(scope="module")
def tan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small TAN that has learned nothing."""
    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("tan")
    words = sorted({word for action in ACTIONS for word in action.split()} | {"background"})
    config = TANConfig(16, 512, 32, 2, 1, 1, head="none")
    pair = TANPair(config, words=len(words) + 1)
    tan_files.save(tan_files.SavedTAN(pair, "fresh", words, "tiny", 16), place, average=False)
    return place


def test_both_published_forms_are_the_same_segments(tmp_path: Path) -> None:
    put(tmp_path / "segmentation_coarse" / "cereals" / "P03_cereals.txt", CEREALS)
    for film in ("P03_cam01_P03_cereals", "P03_webcam02_P03_cereals", "P03_stereo01_P03_cereals_ch1"):
        put_features(tmp_path, film)
    held_out = breakfast_data.read(str(tmp_path), "validation", "s3d")
    assert len(held_out) == 3
    assert all(held_out.videos[film] == SEGMENTS for film in held_out.ids)
    labels = "SIL\n" * 30 + "take_bowl\n" * 120 + "pour_cereals\n" * 280
    put(tmp_path / "groundTruth" / "P03_cam01_P03_cereals.txt", labels)
    (tmp_path / "segmentation_coarse" / "cereals" / "P03_cereals.txt").unlink()
    by_frame = breakfast_data.read(str(tmp_path), "validation", "s3d")
    assert by_frame.videos == {"P03_cam01_P03_cereals": SEGMENTS}
    dropped = breakfast_data.read(str(tmp_path), "validation", "s3d", background=False)
    assert dropped.videos == {"P03_cam01_P03_cereals": SEGMENTS[1:]}


@pytest.mark.parametrize(("number", "held_out"), [(1, {3, 15}), (2, {16, 28}), (3, {29, 41}), (4, {42, 54})])
def test_persons_are_held_out(tmp_path: Path, number: int, held_out: set[int]) -> None:
    for person in (3, 15, 16, 28, 29, 41, 42, 54):
        put(tmp_path / "segmentation_coarse" / "tea" / f"P{person:02}_tea.txt", "1-90 stir_tea\n")
        put_features(tmp_path, f"P{person:02}_cam01_P{person:02}_tea", 6)

    def persons(split: str) -> set[int]:
        found = breakfast_data.read(str(tmp_path), split, "s3d", number)  # type: ignore[arg-type]
        return {int(film[1:3]) for film in found.ids}

    assert persons("validation") == held_out
    assert persons("train") == {3, 15, 16, 28, 29, 41, 42, 54} - held_out


def test_what_can_not_be_read_or_aligned_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path / "segmentation_coarse" / "tea" / "P30_tea.txt", "1-30 SIL\nstir_tea 31-90\n")
    put_features(tmp_path, "P30_cam01_P30_tea")
    with pytest.raises(UsageError, match=r"P30_tea.txt, line 2: 'stir_tea 31-90'"):
        breakfast_data.read(str(tmp_path), "train", "s3d")
    put(tmp_path / "segmentation_coarse" / "tea" / "P30_tea.txt", CEREALS)
    put_features(tmp_path, "P30_cam01_P30_tea", 2)
    with pytest.raises(UsageError, match="no video to train on"):
        breakfast_data.read(str(tmp_path), "train", "s3d")
    assert "P30_cam01_P30_tea" in caplog.text
    put(tmp_path / "segmentation_coarse" / "tea" / "P30_tea.txt", "1-30 SIL\n31-20 stir_tea\n")
    with pytest.raises(UsageError, match=r"P30_tea.txt, line 2: frames 31 to 20"):
        breakfast_data.read(str(tmp_path), "train", "s3d")


def test_other_data_in_the_same_form_say_what_is_missing(tmp_path: Path) -> None:
    put(tmp_path / "groundTruth" / "rgb-01-1.txt", "cut_tomato\n" * 60)
    put_features(tmp_path, "rgb-01-1", 4)
    with pytest.raises(UsageError, match=r"rgb-01-1: its name tells no person.*actions.json"):
        breakfast_data.read(str(tmp_path), "train", "s3d")
    for times in ("NaN, 2", "2, 1", "-1, 2", "0, Infinity"):
        put(tmp_path / "actions.json", f'{{"rgb-01-1": [[{times}, "cut_tomato"]]}}')
        with pytest.raises(UsageError, match=r"actions.json, rgb-01-1"):
            breakfast_data.read(str(tmp_path), "train", "s3d")


def test_labels_are_read_as_words() -> None:
    told = {
        "pour_milk": "pour milk",
        "put_fruit2bowl": "put fruit to bowl",
        "put_toppingOnTop": "put topping on top",
        "add_saltnpepper": "add salt and pepper",
        "stirfry_egg": "stir fry egg",
        "SIL": "background",
        "cut the onions up": "cut the onions up",
    }
    assert {label: words_of_label(label) for label in told} == told


def test_features_of_hdf5_files(tmp_path: Path) -> None:
    from cinescribe.feature_store import FeatureStore

    (tmp_path / "features" / "each").mkdir(parents=True)
    array = np.arange(40, dtype=np.float32).reshape(10, 4)
    with h5py.File(tmp_path / "features" / "all_5fps.h5", "w") as file:
        file["10142"] = array
    with h5py.File(tmp_path / "features" / "each" / "P03_tea.h5", "w") as file:
        file["features"] = array
    together, each = FeatureStore(str(tmp_path), "all_5fps"), FeatureStore(str(tmp_path), "each")
    assert (together.ids(), each.ids()) == (["10142"], ["P03_tea"])
    assert "10142" in together
    assert np.array_equal(together.read("10142").array, array.astype(np.float16))
    assert np.array_equal(each.read("P03_tea").array, array.astype(np.float16))
    assert (together.read("10142").hz, each.read("P03_tea").hz) == (5.0, 1.0)
    (tmp_path / "features" / "broken.h5").write_bytes(b"no HDF5")
    with pytest.raises(UsageError, match=r"broken\.h5: not an HDF5 file"):
        FeatureStore(str(tmp_path), "broken")


def test_the_loss_of_knowing_nothing(tan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipes.load("tan-breakfast", {"tan": str(tan)})
    actions, seconds = 3, 12
    monkeypatch.setattr(recipe, "similarity", lambda model, video: torch.zeros(actions, seconds))
    video = ActionVideo("a", torch.zeros(seconds, 16), [], ["a", "b", "c"])
    loss = float(recipe.loss(torch.nn.Identity(), [video, video]).loss)
    # every second is at distance 1, and there are 11 over 2 ways to cut 12 seconds into 3
    assert loss == pytest.approx((seconds / 0.07 - math.log(math.comb(11, 2))) / seconds)


def test_a_perfect_matrix_finds_the_true_cut_to_a_second(tan: Path) -> None:
    segments = [Segment(0, 4, "SIL"), Segment(4, 10, "a"), Segment(10, 12.4, "b")]
    similarity = torch.zeros(3, 12)
    similarity[0, :4], similarity[1, 4:10], similarity[2, 10:] = 1, 1, 1
    found = alignment(ActionVideo("v", torch.zeros(12, 1), segments, []), similarity)
    assert found.true == found.found == [(0, 60), (60, 150), (150, 186)]
    scores = recipes.load("tan-breakfast", {"tan": str(tan)}).score([found])
    assert (scores["frame_accuracy"], scores["iou"], scores["iod"]) == (1, 1, 1)
    # equal parts of 62 frames
    assert scores["even_frame_accuracy"] == pytest.approx((60 + 62 + 36) / 186)


def test_a_world_tells_the_actions_of_its_videos(tmp_path: Path) -> None:
    write_world(str(tmp_path), WorldSettings(3, video_dim=8, film_dim=8), films=0, videos=10)
    videos = breakfast_data.read(str(tmp_path), "train", "world-s3d")
    assert len(videos) == 8
    for film in videos.ids:
        truth = json.loads((tmp_path / "truth" / f"{film}.json").read_text())
        segments = videos.videos[film]
        assert all(a.end == b.start for a, b in pairwise(segments))
        assert segments[0].start == 0
        assert 0 <= truth["duration"] - segments[-1].end < 1
        steps = [segment for segment in segments if segment.label != "SIL"]
        assert [(s.start, s.end) for s in steps] == [(s["start"], s["end"]) for s in truth["steps"]]


def test_it_cuts_better_after_finetuning_and_goes_on_from_its_folder(tmp_path: Path) -> None:
    write_howtos(tmp_path)
    first = recipes.load("tan-stage1", {**FIRST, "batch": 10})
    windows = first.data(str(tmp_path), "train")
    torch.manual_seed(0)
    tan = _stepped(first, windows, range(8), [Pick(video, video) for video in range(10)], 2e-3)
    first.save(tan, tmp_path / "tan")
    _write_actions(tmp_path / "actions")

    recipe = recipes.load("tan-breakfast", {"tan": str(tmp_path / "tan")})
    training, held_out = (recipe.data(str(tmp_path / "actions"), split) for split in ("train", "validation"))  # type: ignore[arg-type]

    def scores(model: torch.nn.Module) -> dict[str, float]:
        with torch.no_grad():
            return dict(recipe.score(recipe.evaluate(model.eval(), held_out, range(len(held_out)))))

    before = scores(recipe.model(training))
    model = _stepped(recipe, training, range(12), [Pick(video, 0) for video in range(0, 14, 2)], 1e-3)
    after = scores(model)
    assert after["frame_accuracy"] > before["frame_accuracy"]
    assert after["iou"] > before["iou"]
    kinds = ("", "pooled_", "even_")
    assert set(after) == {f"{kind}{name}" for kind in kinds for name in ("frame_accuracy", "iou", "iod")}
    assert after["even_frame_accuracy"] == before["even_frame_accuracy"]
    recipe.save(model, tmp_path / "best")
    saved = tan_files.load(tmp_path / "best")
    assert (saved.text, saved.features, saved.window) == ("fresh", "tiny", 16)
    again = recipes.load("tan-breakfast", {"tan": str(tmp_path / "best")})
    assert scores(again.model(training)) == pytest.approx(after)


def test_it_needs_a_tan(tan: Path) -> None:
    with pytest.raises(UsageError, match="--tan"):
        recipes.load("tan-breakfast", {})
    for wrong in ({"background": "maybe"}, {"encoders": "all"}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            recipes.load("tan-breakfast", {"tan": str(tan), **wrong})


def _stepped(recipe: Any, data: Any, steps: range, picks: list[Pick], rate: float) -> torch.nn.Module:
    """A model after some steps on the same examples, each time other windows of them."""
    model: torch.nn.Module = recipe.model(data).train()
    optimiser = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], lr=rate)
    for step in steps:
        batch = data.batch([Pick(pick.index, 100 * step + pick.seed) for pick in picks])
        recipe.loss(model, batch).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    return model


def _write_actions(root: Path) -> None:
    """Twenty videos of four of the actions of `write_howtos`, harder to see; the first six are held out."""
    random = np.random.default_rng(0)
    looks = random.standard_normal((len(ACTIONS), 16))  # the same as there
    actions = {}
    (root / "features" / "tiny").mkdir(parents=True)
    for number in range(20):
        chosen, lengths = random.permutation(len(ACTIONS))[:4], random.integers(2, 12, 4)
        ends = np.cumsum(lengths)
        rows = looks[np.repeat(chosen, lengths)] + 1.5 * random.standard_normal((ends[-1], 16))
        np.save(root / "features" / "tiny" / f"v{number:02}.npy", rows.astype(np.float32))
        actions[f"v{number:02}"] = [
            [float(end - length), float(end), ACTIONS[action]]
            for action, length, end in zip(chosen, lengths, ends, strict=True)
        ]
    (root / "actions.json").write_text(json.dumps(actions))
    splits = {"all": {"train": sorted(actions)[6:], "val": sorted(actions)[:6]}}
    (root / "splits.json").write_text(json.dumps(splits))
