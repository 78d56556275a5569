"""How the claims benchmark trains: the product's own loop and recipes, in this process."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.claims_table import Bench
from train import loop
from train.recipe import Data, Recipe
from train.settings import Settings

if TYPE_CHECKING:
    from torch import nn


class Unevaluated:
    """Put before a recipe: nothing is evaluated while it trains, for no model is chosen by held-out films."""

    def evaluate(self, model: "nn.Module", data: Data, items: Sequence[int]) -> list[Any]:
        """Nothing."""
        return []


def trained(recipe: Recipe, data: Path, name: str, bench: Bench) -> Path:
    """Folder of the model after the last step of a training, which is done, or gone on with, if need be.

    The model after the last step is taken, never the best of several: nothing is chosen on held-out films.

    Args:
        recipe: with the number of its steps.
        data: root of the data, or a CSV file.
        name: of the model; those of a seed have a folder each.
        bench: where it is trained.
    """
    import torch

    torch.set_num_threads(bench.threads)
    out, steps = bench.out / "models" / name, recipe.options.steps
    told = out / "last" / "metrics.json"
    if not told.exists() or json.loads(told.read_text())["step"] != steps:
        settings = Settings(
            recipe=recipe.name,
            data=str(data),
            out=str(out),
            options={},
            seed=bench.seed,
            log_every=max(1, steps // 20),
            evaluate_every=steps,
            checkpoint_every=max(1, steps // 4),
        )
        loop.train(recipe, settings)
    return out / "last"
