"""Trained models as a run of `cinescribe evaluate`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from cinescribe.cineworld.world import WorldSettings, write_world
from train import recipes
from train.recipes import clip_run

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


def table(out: Path) -> np.ndarray:
    found: np.ndarray = load_file(out / "similarity-0.safetensors")["similarity"]
    return found


def test_a_run_has_the_scores_of_the_evaluation(world: str, models: dict[str, Any], tmp_path: Path) -> None:
    recipe, model, folder = models["jsfusion-retrieval"]
    arguments = ["--data", world, "--annotations", "cineworld-films", "--split", "validation"]
    assert clip_run.main([*arguments, "--model", str(folder), "--out", str(tmp_path / "one")]) == 0
    data = recipe.data(world, "validation")
    with torch.no_grad():
        rows = recipe.evaluate(model, data, range(len(data)))
    one = table(tmp_path / "one")
    np.testing.assert_allclose(one, [scores for _, scores in rows], rtol=1e-4, atol=1e-5)
    both = [str(folder), str(models["ct-san-choice"][2])]
    assert clip_run.main([*arguments, "--model", both[1], "--out", str(tmp_path / "other")]) == 0
    assert clip_run.main([*arguments, "--model", *both, "--out", str(tmp_path / "mean")]) == 0
    mean = (one + table(tmp_path / "other")) / 2
    np.testing.assert_allclose(table(tmp_path / "mean"), mean, rtol=1e-4, atol=1e-5)


def test_what_can_not_be_run_is_told(
    world: str, models: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", world, "--annotations", "cineworld-films", "--out", str(tmp_path / "run")]
    blank = str(models["jsfusion-fill-in"][2])
    for model, split, message in (
        (blank, "test", "it fills in blanks"),
        (str(tmp_path), "test", "no model of `cinescribe train`"),
        (blank, "exam", "its splits: train, validation, test"),
    ):
        assert clip_run.main([*arguments, "--model", model, "--split", split]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
