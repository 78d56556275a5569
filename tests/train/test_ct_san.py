"""CT-SAN's data and recipes, on a small world."""

from pathlib import Path
from typing import Any

import pytest
import torch

from cinescribe.cineworld.world import WorldSettings, write_world
from cinescribe.errors import UsageError
from cinescribe.models import ct_san_files
from cinescribe.models.ct_san_tasks import Description
from cinescribe.models.vocabulary import END
from train import recipes
from train.recipe import Pick

SMALL = {
    "features": "world-clip",
    "grid": 1,
    "vectors": "fresh",
    "least": 2,
    "concepts": 40,
    "width": 16,
    "sketch": 64,
    "most": 10,
}
TASKS = ("ct-san", "ct-san-fill-in", "ct-san-choice", "ct-san-retrieval")


def step(model: torch.nn.Module, loss: torch.Tensor) -> None:
    """Of the gradient's signs."""
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        for value in model.parameters():
            if value.grad is not None:
                value -= 5e-3 * value.grad.sign()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("world")
    write_world(str(root), WorldSettings(film_dim=36), 10, 0)
    return str(root)


@pytest.fixture(scope="module")
def described(world: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A description model of the world, hardly trained."""
    recipe: Any = recipes.load("ct-san", SMALL)
    folder = tmp_path_factory.mktemp("described")
    torch.manual_seed(1)
    recipe.save(recipe.model(recipe.data(world, "train")), folder)
    return str(folder)


@pytest.mark.parametrize("name", TASKS)
def test_it_learns_what_it_is_shown_is_scored_and_saved(world: str, tmp_path: Path, name: str) -> None:
    recipe: Any = recipes.load(name, SMALL)
    data, held_out = recipe.data(world, "train"), recipe.data(world, "validation")
    torch.manual_seed(0)
    model = recipe.model(data).train()
    batch = data.batch([Pick(k, k) for k in range(4)])
    losses = []
    for _ in range(8):
        outcome = recipe.loss(model, batch)
        step(model, outcome.loss)
        losses.append({"loss": outcome.loss, **outcome.metrics})
    for part in ("loss", "own", "concepts"):
        assert float(losses[-1][part].detach()) < float(losses[0][part].detach()), part
    model.eval()
    with torch.no_grad():
        results = recipe.evaluate(model, held_out, range(len(held_out)))
    assert len(results) == 10
    numbers = recipe.score(results)
    assert numbers[recipe.best[0]] >= 0
    recipe.save(model, tmp_path)
    assert ct_san_files.load(tmp_path).task == recipe.task


def test_a_map_of_several_cells_has_as_many_traces(world: str) -> None:
    recipe: Any = recipes.load("ct-san", {**SMALL, "grid": 3})
    data = recipe.data(world, "train")
    model = recipe.model(data)
    assert (model.watcher.config.grid, model.watcher.config.input_channels) == (2, 4)
    assert model.watcher.detector.out.weight.shape == (40, 4 * 16)
    assert torch.isfinite(recipe.loss(model, data.batch([Pick(0, 0)])).loss)
    with pytest.raises(UsageError, match="36 numbers, no map of 7 rows"):
        recipes.load("ct-san", {**SMALL, "grid": 7}).model(data)


def test_the_loss_is_the_sum_of_its_parts(world: str) -> None:
    options = {**SMALL, "attention_weight": 0.0}
    losses = {}
    for weight in (0.0, 1.0, 3.0):
        recipe: Any = recipes.load("ct-san", {**options, "concept_weight": weight})
        data = recipe.data(world, "train")
        torch.manual_seed(0)
        outcome = recipe.loss(recipe.model(data).eval(), data.batch([Pick(0, 0), Pick(5, 0)]))
        losses[weight] = float(outcome.loss.detach())
        assert float(outcome.metrics["own"].detach()) == pytest.approx(losses[0.0], rel=1e-5)
        concepts = float(outcome.metrics["concepts"].detach())
    assert losses[3.0] - losses[0.0] == pytest.approx(3 * concepts, rel=1e-4)
    assert losses[1.0] - losses[0.0] == pytest.approx(concepts, rel=1e-4)


def test_the_truth_of_concepts_is_the_captions_words(world: str) -> None:
    recipe: Any = recipes.load("ct-san", SMALL)
    data = recipe.data(world, "train")
    batch = data.batch([Pick(0, 0), Pick(7, 0)])
    truth = recipe._truth(batch.captions)
    words = [recipe._vocabulary.text([number]) for number in recipe._concepts]
    for caption, row in zip(batch.captions, truth, strict=True):
        said = caption.lower().replace(".", " ").replace(",", " ").split()
        assert {word for word, there in zip(words, row, strict=True) if there} == set(said) & set(words)
    ends = [int(row[count - 1]) for row, count in zip(batch.ids, batch.word_counts, strict=True)]
    assert ends == [END, END]


def test_without_attention_there_are_no_concepts(world: str) -> None:
    recipe: Any = recipes.load("ct-san", {**SMALL, "attends": False})
    data = recipe.data(world, "train")
    model = recipe.model(data)
    assert not [name for name, _ in model.named_parameters() if "detector" in name or "scale" in name]
    outcome = recipe.loss(model, data.batch([Pick(0, 0)]))
    assert "concepts" not in outcome.metrics
    assert float(outcome.loss.detach()) == float(outcome.metrics["own"].detach())


def test_the_detector_of_a_description_is_taken_over(world: str, described: str) -> None:
    recipe: Any = recipes.load("ct-san-choice", {**SMALL, "detector": described})
    model = recipe.model(recipe.data(world, "train"))
    taken = ct_san_files.load(Path(described)).model
    assert isinstance(taken, Description)
    assert torch.equal(model.watcher.detector.out.weight, taken.watcher.detector.out.weight)
    other: Any = recipes.load("ct-san-choice", {**SMALL, "detector": described, "least": 3})
    with pytest.raises(UsageError, match="other words"):
        other.model(other.data(world, "train"))
