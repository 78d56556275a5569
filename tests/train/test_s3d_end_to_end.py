"""Finetuning S3D on clips with texts: what is cut out of videos, what learns, and where it goes on from."""

import csv
import json
import logging
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from cinescribe import tables
from cinescribe.cineworld.howto import HowTo, Step, action_of
from cinescribe.cineworld.howto_film import Picture, render_howto
from cinescribe.encoders import s3d
from cinescribe.errors import MediaError, UsageError, WeightsError
from cinescribe.models import s3d_joint
from cinescribe.models.s3d_joint import S3DJoint
from train import recipes
from train.recipe import Pick
from train.recipes.s3d_data import Clips

DEEDS = (("chop", "carrot", "knife"), ("fry", "onion", "pan"), ("wash", "apple", ""))
SMALL = {
    "start": "fresh",
    "frames": 8,
    "size": 64,
    "batch": 3,
    "clips": 1,
    "shortest": 5.0,
    "evaluated_clips": 2,
    "freeze_norms": False,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos of 12 s, in each of which one thing is done from 2 to 10 s, and what `align` writes."""
    place = tmp_path_factory.mktemp("clips")
    rows = []
    for number, (deed, thing, tool) in enumerate(DEEDS):
        step = Step(2.0, 10.0, deed, thing, tool)
        video = HowTo(number, "cooking", number, 12.0, (step,), ())
        render_howto(video, place / "media" / f"v{number}.mp4", Picture(96, 72, 5))
        rows += [(f"v{number}", second, action_of(video, step)) for second in (4.0, 6.0, 8.0)]
        film: tables.Row = {
            "film_id": f"v{number}",
            "uri": "",
            "etag": "",
            "duration": 12.0,
            "fps": 5.0,
            "width": 96,
            "height": 72,
            "rotation": 0,
            "audio_rate": 0,
            "shots": [],
        }
        tables.write_row(str(place), "films", f"v{number}", film)
    with (place / "htm_aa.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("vid", "timestamp", "text"), *rows, ("not there", 3.0, "a")])
    ids = [f"v{number}" for number in range(3)]
    (place / "splits.json").write_text(json.dumps({"all": {"train": ids, "val": ids}}))
    return place


def clips_of(root: Path, split: str = "train", **options: object) -> Clips:
    recipe = recipes.load("s3d-end-to-end", {**SMALL, **options})
    data = recipe.data(str(root), split)  # type: ignore[arg-type]
    assert isinstance(data, Clips)
    return data


def test_clips_are_square_and_at_the_second_of_their_text(root: Path) -> None:
    held_out = clips_of(root, "validation", evaluated_clips=3)
    batch = held_out.batch([Pick(0, 0)])
    assert batch.videos.shape == (3, 8, 64, 64, 3)
    assert batch.videos.dtype == torch.uint8
    assert list(batch.texts) == ["chop the carrots"] * 3
    early, middle, late = (clip.float() for clip in batch.videos)
    # the carrots are cut into ever more pieces: three clips of one step differ, and none shows the pause
    assert not torch.equal(early, middle)
    assert not torch.equal(middle, late)
    for clip in (early, middle, late):
        orange = (clip[..., 0] - clip[..., 2] > 120).float().mean()
        assert float(orange) > 0.01


def test_a_pick_is_the_same_clip_again_and_its_seed_moves_it(root: Path) -> None:
    data = clips_of(root)
    one, again, other = (data.batch([Pick(0, seed)]) for seed in (1, 1, 2))
    assert torch.equal(one.videos, again.videos)
    assert not torch.equal(one.videos, other.videos)
    assert len(clips_of(root, clips=5).batch([Pick(0, 0)]).texts) == 5  # of three texts


def test_videos_that_can_not_be_read_are_left_out_with_a_warning(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "v0.mp4").write_bytes(b"no film")
    (tmp_path / "v1.mp4").symlink_to(root / "media" / "v1.mp4")
    data = clips_of(root, videos=str(tmp_path))
    with caplog.at_level(logging.WARNING):
        assert list(data.batch([Pick(0, 0), Pick(1, 0)]).texts) == ["fry the onions"]
    assert "v0.mp4" in caplog.text
    with pytest.raises(MediaError, match=r"v0\.mp4"):
        data.batch([Pick(0, 0)])


def test_published_paths_are_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "part_1").mkdir()
    (tmp_path / "part_1" / "any.mp4").symlink_to(root / "media" / "v2.mp4")
    (tmp_path / "vid_to_path.json").write_text(json.dumps({"v2": "part_1/any.mp4", "v1": "gone.mp4"}))
    assert clips_of(root, videos=str(tmp_path)).ids == ["v2"]


def test_what_is_missing_is_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"names 4, of which 3 are in .*media, and 0 of these last 64 to"):
        clips_of(root, shortest=64.0)
    with pytest.raises(UsageError, match=r"other\.csv: not there"):
        clips_of(root, pairs="other.csv")
    for row in ("v1,nan,a", "v1,inf,a", 'v1,1,"' + "a" * 140000):
        (root / "odd.csv").write_text(f"vid,timestamp,text\n{row}\n", encoding="utf-8-sig")
        with pytest.raises(UsageError, match=r"odd\.csv, line 2"):
            clips_of(root, pairs="odd.csv")
    (tmp_path / "vid_to_path.json").write_text('["v1.mp4"]')
    with pytest.raises(UsageError, match=r"vid_to_path\.json: should be"):
        clips_of(root, videos=str(tmp_path))
    with pytest.raises(UsageError, match="must be even"):
        recipes.load("s3d-end-to-end", {**SMALL, "frames": 7})
    with pytest.raises(UsageError, match="info-nce or mil-nce"):
        recipes.load("s3d-end-to-end", {**SMALL, "loss": "other"})
    recipe = recipes.load("s3d-end-to-end", {**SMALL, "start": str(tmp_path / "none.pth")})
    with pytest.raises(WeightsError, match="no such file"):
        recipe.model(clips_of(root))


def test_known_losses() -> None:
    vectors = torch.eye(3)
    same = torch.ones(3, 3)
    assert float(s3d_joint.loss(same, same)) == pytest.approx(2 * math.log(3), rel=1e-5)
    assert float(s3d_joint.loss(vectors, vectors)) < 1e-4
    assert float(s3d_joint.loss(vectors[:1], vectors[:1], "mil-nce")) == pytest.approx(math.log(2))


def test_the_parameters_are_those_of_the_published_model() -> None:
    model = S3DJoint([str(number) for number in range(66_249)])
    video = sum(value.numel() for value in model.s3d.parameters())
    text = sum(value.numel() for value in model.text_module.parameters())
    assert (video, text) == (9_670_800, 21_540_536)
    norms = [module for module in model.s3d.modules() if isinstance(module, torch.nn.BatchNorm3d)]
    assert not any(norm.training or norm.weight.requires_grad for norm in norms)
    assert not model.text_module.word_embd.weight.requires_grad


def test_the_video_network_learns_slower(root: Path) -> None:
    recipe = recipes.load("s3d-end-to-end", {"start": "fresh"})
    model = recipe.model(clips_of(root))
    optimiser = recipe.optimiser(model)  # type: ignore[attr-defined]
    factor = {id(v): group["factor"] for group in optimiser.param_groups for v in group["params"]}
    assert factor[id(model.s3d.conv1.conv1.weight)] == pytest.approx(1e-3)  # type: ignore[union-attr]
    assert factor[id(model.s3d.fc.weight)] == factor[id(model.text_module.fc1.weight)] == 1.0  # type: ignore[union-attr]
    trained = {id(value) for value in model.parameters() if value.requires_grad}
    assert trained == set(factor)


def test_it_learns_and_is_read_like_the_published_weights(root: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    recipe = recipes.load("s3d-end-to-end", {**SMALL, "learning_rate": 1e-3, "backbone_learning_rate": 1e-3})
    data, held_out = recipe.data(str(root), "train"), recipe.data(str(root), "validation")
    model = recipe.model(data).train()
    optimiser = recipe.optimiser(model)  # type: ignore[attr-defined]
    losses = []
    for step in range(12):
        loss = recipe.loss(model, data.batch([Pick(video, step) for video in range(3)])).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-3:]) < 0.7 * losses[0]
    model.eval()
    with torch.no_grad():
        results = recipe.evaluate(model, held_out, range(3))
    scores = recipe.score(results)
    assert set(scores) == {"recall_1", "recall_5", "recall_10", "median_rank", "geometric_mean"}
    assert [vectors.shape for vectors in results[0]] == [(2, 512), (2, 512)]
    recipe.save(model, tmp_path / "best")
    weights = str(tmp_path / "best" / s3d.WEIGHTS_FILE)
    batch = held_out.batch([Pick(0, 0)])
    told = s3d.S3DText(weights, variant="tan").encode(batch.texts)
    with torch.no_grad():
        assert told == pytest.approx(model.texts(batch.texts).numpy(), abs=1e-5)
    again = recipes.load("s3d-end-to-end", {**SMALL, "start": str(tmp_path / "best")})
    resumed = again.model(data).eval()
    with torch.no_grad():
        assert torch.allclose(resumed.videos(batch.videos), model.videos(batch.videos), atol=1e-5)  # type: ignore[operator]
    assert s3d.load(weights, None).spec.dim == 1024
