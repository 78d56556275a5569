"""A recipe that is as small as can be: a line through points."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from train.recipe import NoStep, Optimisation, Outcome, Pick, Split, option


@dataclass(frozen=True, kw_only=True)
class Options(Optimisation):
    batch: int = option(8, "points")
    steps: int = option(30, "steps")
    learning_rate: float = option(0.05, "rate")
    warmup: int = option(3, "steps")
    dropout: float = option(0.0, "of the input")


class Points:
    """Points of a plane; half of them count twice, and each is moved at random a little."""

    def __init__(self, seed: int, count: int) -> None:
        random = np.random.default_rng(seed)
        self.x = random.standard_normal((count, 4)).astype(np.float32)
        self.y = self.x @ np.array([1.0, -2.0, 0.5, 3.0], np.float32)

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, picks: Sequence[Pick]) -> tuple[Tensor, Tensor, Tensor]:
        chosen = [pick.index for pick in picks]
        moved = [np.random.default_rng(pick.seed).normal(0, 0.01, 4).astype(np.float32) for pick in picks]
        weights = torch.tensor([1.0 + pick.index % 2 for pick in picks])
        return torch.from_numpy(self.x[chosen] + np.stack(moved)), torch.from_numpy(self.y[chosen]), weights


class Line(NoStep):
    name = "line"
    best = ("-error",)

    def __init__(self, options: Options) -> None:
        self.options = options

    def data(self, root: str, split: Split) -> Points:
        return Points(0, 40) if split == "train" else Points(1, 10)

    def model(self, data: Any) -> nn.Module:
        model = nn.Sequential(nn.Dropout(self.options.dropout), nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        model.add_module("unused", nn.Linear(1, 1))
        return model

    def loss(self, model: nn.Module, batch: Any) -> Outcome:
        x, y, weights = batch
        assert isinstance(model, nn.Sequential)
        said = model[:4](x)[:, 0]
        return Outcome(((said - y) ** 2 * weights).sum() / weights.sum(), float(weights.sum()))

    def evaluate(self, model: nn.Module, data: Any, items: Sequence[int]) -> list[Any]:
        return [float(self.loss(model, data.batch([Pick(item, item)])).loss) for item in items]

    def score(self, results: Sequence[Any]) -> Mapping[str, float]:
        assert len(results) == 10
        return {"error": float(np.mean(results))}

    def save(self, model: nn.Module, folder: Path) -> None:
        (folder / "weights.json").write_text(json.dumps([p.tolist() for p in model.parameters()]))
