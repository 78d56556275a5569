"""Collaborative Experts' data and training, on the clips of a small world."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cinescribe import tables
from cinescribe.cineworld.experts import HZ, SEES, write_experts
from cinescribe.cineworld.world import WorldSettings, write_world
from cinescribe.encoders.experts import expert_inputs
from cinescribe.errors import UsageError
from cinescribe.evaluation.run import read_run
from cinescribe.evaluation.scores import evaluate
from cinescribe.evaluation.writing import write
from cinescribe.models import collaborative_experts_files
from cinescribe.models.collaborative_experts_search import encode_windows
from train import folder, loop, recipes
from train.order import picks
from train.recipe import Pick
from train.recipes import ce, ce_data
from train.recipes.ce_data import Clips
from train.settings import Settings

OPTIONS: dict[str, Any] = {
    "annotations": "cineworld-howtos",
    "experts": ",".join(SEES),
    "clusters": "world-deed=2,text=4",
    "tokens": "world-deed=6,text=10",
    "text": "glove-6b-50d",
    "width": 32,
    "batch": 16,
    "learning_rate": 0.05,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = str(tmp_path_factory.mktemp("world"))
    write_world(root, WorldSettings(noise=0.3, video_dim=16, film_dim=16), films=1, videos=10)
    assert write_experts(root) == 11
    return root


def clips(root: str, split: str = "train", **other: Any) -> Clips:
    recipe = recipes.load("ce", {**OPTIONS, **other})
    found = recipe.data(root, split)  # type: ignore[arg-type]
    assert isinstance(found, Clips)
    return found


def test_the_settings_are_those_of_the_paper() -> None:
    names = ("batch", "learning_rate", "weight_decay", "epochs", "margin")
    told = {
        "ce": (64, 0.1, 1e-3, 100, 0.093812),
        "ce-lsmdc": (256, 0.01, 1e-3, 15, 0.121330),
        "ce-didemo": (64, 0.1, 1e-3, 30, 0.166428),
        "ce-msvd": (16, 0.01, 5e-5, 300, 0.307647),
        "ce-activitynet": (32, 0.1, 1e-3, 200, 0.060497),
    }
    for name, values in told.items():
        options = recipes.load(name, {}).options
        assert tuple(getattr(options, field) for field in names) == values
        listed = ce_data.parse_experts(options.experts)
        sequences = {part.split("=")[0] for part in options.clusters.split(",")} - {"text"}
        assert sequences <= listed.keys()
    paper = recipes.load("ce", {}).options
    assert loop.learning_rate(paper, 203, 10_000, 6400) == pytest.approx(0.1 * 0.95**2)


def test_experts_of_a_world_see_their_own_kind(world: str) -> None:
    found = {name: tables.read_features(world, name, "film-00000") for name in SEES}
    row = tables.read_row(world, "films", "film-00000")
    assert row is not None
    for name, features in found.items():
        assert features is not None
        assert features.hz == HZ
        assert len(features.array) == int(row["duration"] * HZ)
        missing = np.isnan(features.array)
        assert bool(missing.all(1).any()) == (name == "world-person")  # nobody is on the title card
        assert np.array_equal(missing.any(1), missing.all(1))


def test_clips_hold_what_the_experts_saw_in_them(world: str) -> None:
    data = clips(world)
    assert len(data) > 20
    batch = data.batch(picks(0, 0, 8, len(data)))
    assert [len(value) for value in batch.experts.values()] == [8] * 4
    assert batch.experts["world-deed"].shape[1:] == (6, 256)
    for row, pick in enumerate(picks(0, 0, 8, len(data))):
        clip = data.clips[pick.index]
        assert batch.texts[row] in clip.captions
        assert clip.start is not None
        assert clip.end is not None
        own = expert_inputs(world, clip.video_id, clip.start, clip.end, data.seen.experts)
        for number, expert in enumerate(data.seen.experts):
            given, expected = batch.experts[expert.name][row], own[expert.name]
            assert bool(batch.available[row, number]) == (expected is not None)
            if expected is None:
                assert bool(given.isnan().all())
            elif expert.tokens:
                np.testing.assert_array_equal(given[: len(expected)], expected)
                assert not bool(given[len(expected) :].any())
            else:
                np.testing.assert_array_equal(given, expected)
    videos = {
        split: {clip.video_id for clip in clips(world, split).clips} for split in ("train", "validation")
    }
    assert videos["train"]
    assert videos["validation"]
    assert not videos["train"] & videos["validation"]


def test_every_caption_is_drawn(world: str) -> None:
    data = clips(world)
    index = max(range(len(data)), key=lambda i: len(set(data.clips[i].captions)))
    drawn = {data.batch([Pick(index, seed)]).texts[0] for seed in range(60)}
    assert drawn == set(data.clips[index].captions)


def test_what_lacks_is_told(world: str) -> None:
    with pytest.raises(UsageError, match=r"no features in .*features/scene"):
        clips(world, experts="world-place,scene")
    with pytest.raises(UsageError, match="stands twice"):
        clips(world, experts="world-place,world-place=world-deed")
    with pytest.raises(UsageError, match="no data set"):
        clips(world, annotations="no-such-set")
    with pytest.raises(UsageError, match="same sequences in both"):
        clips(world, tokens="text=10")
    with pytest.raises(UsageError, match="--variant"):
        clips(world, variant="best")
    with pytest.raises(UsageError, match="Ranger"):
        clips(world, beta2=0.9)
    recipe = recipes.load("ce", OPTIONS)
    data = recipe.data(world, "train")
    model = recipe.model(data)
    with pytest.raises(UsageError, match="no negatives"):
        recipe.loss(model, data.batch([Pick(0, 0)]))


@pytest.mark.parametrize("variant", list(ce.VARIANTS))
def test_every_variant_has_a_loss_and_gradients(world: str, variant: str) -> None:
    recipe = recipes.load("ce", {**OPTIONS, "variant": variant})
    data = recipe.data(world, "train")
    torch.manual_seed(0)
    model = recipe.model(data)
    outcome = recipe.loss(model, data.batch(picks(0, 0, 8, len(data))))
    outcome.loss.backward()  # type: ignore[no-untyped-call]
    without = {name for name, value in model.named_parameters() if value.grad is None}
    unused = {"ce.moe_fc.weight", "ce.moe_fc.bias"} if variant in ("no-mixture", "concat") else set()
    assert without == unused


def test_it_learns_to_find_clips(world: str, tmp_path: Path) -> None:
    settings = Settings(
        recipe="ce",
        data=world,
        out=str(tmp_path / "run"),
        options={**OPTIONS, "steps": 40},
        log_every=1,
        evaluate_every=20,
        checkpoint_every=20,
        quiet=True,
    )
    recipe = recipes.load("ce", settings.options)
    progress = loop.train(recipe, settings)
    lines = folder.read_lines(settings.out)
    losses = [float(line["loss"]) for line in lines if "loss" in line]
    assert np.mean(losses[-5:]) < 0.7 * losses[0]
    scores = [line["evaluation"] for line in lines if "evaluation" in line]
    assert progress.best == pytest.approx(max(score["geometric_mean"] for score in scores))
    last = scores[-1]
    r1, r5, r10 = (last[f"t2v_r{k}"] for k in (1, 5, 10))
    assert last["geometric_mean"] == pytest.approx((r1 * r5 * r10) ** (1 / 3))
    saved = collaborative_experts_files.load(tmp_path / "run" / "last")
    assert [expert.name for expert in saved.experts] == list(SEES)
    assert saved.text == "glove-6b-50d"
    # The model on disk gives the numbers that were logged, and finds the clips it was trained on.
    held_out, seen = clips(world, "validation"), clips(world)
    evaluated = recipe.score(recipe.evaluate(saved.model, held_out, range(len(held_out))))
    assert evaluated == pytest.approx(last, rel=1e-4)
    learned = recipe.score(recipe.evaluate(saved.model, seen, range(len(seen))))
    assert learned["t2v_mean"] < 0.5 * (len(seen) + 1) / 2  # half of guessing
    # So does the run that `cinescribe evaluate` scores.
    write([tmp_path / "run" / "last"], world, "cineworld-howtos", "", "validation", tmp_path / "ranked")
    forward, backward, _ = evaluate(read_run([tmp_path / "ranked"]))
    assert forward.mean["MnR"] == pytest.approx(last["t2v_mean"], rel=1e-4)
    assert backward.mean["MnR"] == pytest.approx(last["v2t_mean"], rel=1e-4)
    # And windows of a film, as an index would hold them, are what the clips are.
    clip = held_out.clips[0]
    assert clip.start is not None
    assert clip.end is not None
    window = encode_windows(saved, world, clip.video_id, [(clip.start, clip.end)])
    experts, available = held_out.seen.inputs([clip])
    whole = saved.model.encode_clips(experts, available)
    torch.testing.assert_close(window.vectors, whole.vectors)
    assert torch.equal(window.available, whole.available)


def test_videos_without_any_feature_are_told(world: str, tmp_path: Path) -> None:
    rows = '{"video": "elsewhere", "start": 0, "end": 5, "captions": ["a man walks"]}\n'
    (tmp_path / "train.jsonl").write_text(rows)
    with pytest.raises(UsageError, match=r"1 videos of clips .*elsewhere"):
        clips(world, annotations="clips", annotations_at=str(tmp_path))


def test_a_data_set_without_validation_has_no_clips_in_it(world: str, tmp_path: Path) -> None:
    film = clips(world).clips[0].video_id
    line = json.dumps({"video": film, "start": 0, "end": 5, "captions": ["a man walks"]})
    (tmp_path / "train.jsonl").write_text(line + "\n")
    assert len(clips(world, annotations="clips", annotations_at=str(tmp_path))) == 1
    assert len(clips(world, "validation", annotations="clips", annotations_at=str(tmp_path))) == 0
