"""What the loop needs to know of a system: a recipe, which reads like the paper's training details."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from cinescribe.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

SCHEDULES = ("cosine", "constant", "decay", "halve")
Split = Literal["train", "validation"]
Batch = Any  # what a recipe's data makes and its loss takes


def option(default: Any, about: str) -> Any:
    """A field of a recipe's options: its value in the paper, and what it is and where the paper says so."""
    return field(default=default, metadata={"help": about})


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """What every recipe tells of its optimiser, AdamW unless it has its own; the values are the paper's."""

    batch: int = option(64, "examples of a step, over all workers")
    steps: int = option(0, "of the optimiser; 0 for as many as the epochs take")
    epochs: float = option(10.0, "times through the data, where the steps are not given")
    learning_rate: float = option(1e-4, "highest learning rate")
    weight_decay: float = option(0.01, "of matrices; none of biases and layer norms")
    beta2: float = option(0.999, "of AdamW; torch's default")
    warmup: int = option(1000, "steps of linear warm-up from 0")
    schedule: str = option(
        "cosine",
        "cosine (to 0 at the last step), constant, decay (x 0.95 an epoch) or halve (every 100,000 steps)",
    )
    clip: float = option(0.0, "largest norm of the gradient; 0 leaves it")

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise UsageError(f"--schedule {self.schedule}: one of {', '.join(SCHEDULES)}")


@dataclass(frozen=True, slots=True)
class Pick:
    """One example of a step.

    Attributes:
        index: of the example in the data.
        seed: what is random about it this time (the window that is cut, the words that are dropped).
    """

    index: int
    seed: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The loss of some examples.

    Attributes:
        loss: scalar, their mean over what the loss counts.
        weight: how much it counts (examples, tokens): a step's loss is the weighted mean of its parts.
        metrics: further scalars worth a curve, averaged likewise.
    """

    loss: "Tensor"
    weight: float
    metrics: "Mapping[str, Tensor]" = field(default_factory=dict)


class Data(Protocol):
    """The examples of a split."""

    def __len__(self) -> int:
        """How many examples there are."""

    def batch(self, picks: Sequence[Pick]) -> Batch:
        """Those examples, read and put together; run in a thread of its own, ahead of the loss."""


class Recipe(Protocol):
    """A system's training. Its attributes are the same in every process."""

    name: str
    options: Any  # an `Optimisation` and the recipe's own
    best: tuple[str, ...]  # numbers of the evaluation: the best model has most ("-name": least) of the first

    def data(self, root: str, split: Split) -> Data:
        """The data under a folder or `s3://` prefix; raises UsageError when it can't be used."""

    def model(self, data: Data) -> "nn.Module":
        """A model to begin with, on the CPU; torch's random state has been set. `data` is for training."""

    def loss(self, model: "nn.Module", batch: Batch) -> Outcome:
        """The loss of a batch."""

    def after_step(self, model: "nn.Module") -> None:
        """Called after each step of the optimiser, such as for a moving average."""

    def evaluate(self, model: "nn.Module", data: Data, items: Sequence[int]) -> list[Any]:
        """What is to be scored, for some of the examples of `data`; the model is in evaluation mode."""

    def score(self, results: Sequence[Any]) -> Mapping[str, float]:
        """The numbers of all examples' results, in the order of the examples."""

    def save(self, model: "nn.Module", folder: Path) -> None:
        """Write the model as its own `load(folder)` reads it."""


@runtime_checkable
class OwnOptimiser(Protocol):
    """A recipe that is not optimised by AdamW has this method besides."""

    def optimiser(self, model: "nn.Module") -> "Optimizer":
        """The optimiser of a model.

        The loop sets the learning rate of its groups before each step, times a group's "factor" if there is
        one.
        """


class NoStep:
    """A recipe that does nothing after a step."""

    def after_step(self, model: "nn.Module") -> None:
        """Nothing."""
