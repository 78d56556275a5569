"""`cinescribe evaluate --model`: trained models write their own run, whatever kind they are of."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from cinescribe.annotations.catalogue import load
from cinescribe.cineworld.world import WorldSettings, write_world
from cinescribe.cli import main
from train import recipes

COMMON = {"features": "world-clip", "vectors": "fresh", "least": 2, "most": 0}
KINDS: dict[str, dict[str, object]] = {
    "jsfusion-retrieval": {"scale": 64},
    "jsfusion-fill-in": {"scale": 64},
    "ct-san-choice": {"grid": 1, "concepts": 20, "width": 8},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("world")
    write_world(str(root), WorldSettings(film_dim=16), 10, 0)
    return str(root)


@pytest.fixture(scope="module")
def models(world: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """By recipe: the recipe, its model and its folder."""
    made = {}
    for name, options in KINDS.items():
        recipe: Any = recipes.load(name, {**COMMON, **options})
        torch.manual_seed(0)
        model = recipe.model(recipe.data(world, "train")).eval()
        folder = tmp_path_factory.mktemp(name)
        recipe.save(model, folder)
        made[name] = (recipe, model, folder)
    return made


def table(out: Path, seed: int = 0) -> np.ndarray:
    found: np.ndarray = load_file(out / f"similarity-{seed}.safetensors")["similarity"]
    return found


def test_models_are_seeds_or_one_ensemble(
    world: str, models: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, model, folder = models["jsfusion-retrieval"]
    other = models["ct-san-choice"][2]
    given = ["evaluate", "--data", world, "--annotations", "cineworld-films", "--split", "validation"]
    both = [*given, "--model", str(folder), str(other), "--out"]
    assert main([*both, str(tmp_path / "seeds")]) == 2  # seeds of what?
    assert str(other) in capsys.readouterr().err
    assert main([*given, "--model", str(folder), str(folder), "--out", str(tmp_path / "seeds")]) == 0
    data = recipe.data(world, "validation")
    with torch.no_grad():
        rows = recipe.evaluate(model, data, range(len(data)))
    first, second = table(tmp_path / "seeds", 0), table(tmp_path / "seeds", 1)
    np.testing.assert_allclose(first, [scores for _, scores in rows], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(first, second)
    assert main([*given, "--model", str(other), "--out", str(tmp_path / "other")]) == 0
    assert main([*both, str(tmp_path / "one"), "--ensemble"]) == 0
    assert sorted(path.name for path in (tmp_path / "one").glob("similarity*")) == [
        "similarity-0.safetensors"
    ]
    mean = (first + table(tmp_path / "other")) / 2
    np.testing.assert_allclose(table(tmp_path / "one"), mean, rtol=1e-4, atol=1e-5)


def test_clips_that_can_not_be_seen_are_told_or_left_out(
    world: str, models: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = load("cineworld-films", world).splits["test"][:3]
    rows = [{"video": c.video_id, "start": c.start, "end": c.end, "captions": c.captions} for c in clips]
    rows[1]["video"] = "elsewhere"
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ["evaluate", "--model", str(models["jsfusion-retrieval"][2]), "--data", world]
    given += ["--annotations", "clips", "--annotations-at", str(tmp_path), "--out", str(tmp_path / "run")]
    assert main(given) == 2
    told = capsys.readouterr().err
    assert "can't see 1 of 3 clips of clips (test), such as of elsewhere" in told
    assert "world-clip" in told
    assert not (tmp_path / "run").exists()
    assert main([*given, "--leave-out"]) == 0
    told = capsys.readouterr()
    assert "1 of 3 clips left out" in told.err
    assert "2 texts, 2 videos" in told.out


def test_what_can_not_be_scored_is_told(
    world: str, models: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["evaluate", "--data", world, "--annotations", "cineworld-films", "--out", str(tmp_path / "run")]
    blank = str(models["jsfusion-fill-in"][2])
    for model, split, message in (
        (blank, "test", "it fills in blanks"),
        (str(tmp_path), "test", "no model there"),
        (blank, "exam", "there are: train, validation, test"),
    ):
        assert main([*given, "--model", model, "--split", split]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "similarity-5.safetensors").touch()
    assert main([*given, "--model", blank]) == 2
    assert "another run's similarity-5.safetensors" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["evaluate", "--model", blank, "--data", world])
    assert "--model needs --data, --annotations and --out" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*given, "--model", "s3://bucket/best"])
    assert "s3://bucket/best: give a folder of this machine" in capsys.readouterr().err
