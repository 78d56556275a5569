"""The model that is kept as the best one: of TAN the one that aligns best, whatever its loss."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.train.toy import Line, Options
from train import folder, loop
from train.recipes.tan import FirstStage, SecondStage
from train.settings import Settings

NUMBERS = (
    {"recall": 0.30, "auc": 0.7, "loss": 0.1},
    {"recall": 0.50, "auc": 0.6, "loss": 0.9},
    {"recall": 0.40, "auc": 0.9, "loss": 0.2},
)


class Scripted(Line):
    """A line whose evaluations give the numbers above, in turn, and which is kept as TAN is."""

    best = FirstStage.best

    def __init__(self, options: Options, numbers: Iterator[Mapping[str, float]]) -> None:
        super().__init__(options)
        self._numbers = numbers

    def score(self, results: Sequence[Any]) -> Mapping[str, float]:
        return next(self._numbers)


def trained(tmp_path: Path, numbers: Sequence[Mapping[str, float]]) -> loop.Progress:
    settings = Settings(recipe="line", data="", out=str(tmp_path), evaluate_every=2, quiet=True)
    return loop.train(Scripted(Options(steps=6), iter(numbers)), settings)


def test_the_highest_recall_of_held_out_videos_is_kept(tmp_path: Path) -> None:
    assert SecondStage.best == FirstStage.best
    assert trained(tmp_path, NUMBERS).best_step == 4
    assert '"recall": 0.5' in (tmp_path / "best" / "metrics.json").read_text()
    assert folder.read_lines(str(tmp_path))[-1]["evaluation"] == NUMBERS[2]


def test_without_true_spans_it_is_the_least_loss(tmp_path: Path) -> None:
    losses = [{"loss": numbers["loss"]} for numbers in NUMBERS]
    assert trained(tmp_path, losses).best_step == 2
