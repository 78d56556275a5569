"""How a run is done, beside its recipe's own options."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A run; see `cinescribe train --help` for what each means. It travels to the workers."""

    recipe: str
    data: str
    out: str
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    parts: int = 1
    precision: str = "auto"
    workers: tuple[int, int] = (1, 1)
    threads: int = 0
    max_steps: int = 0
    log_every: int = 10
    evaluate_every: int = 1000
    checkpoint_every: int = 500
    max_failures: int = 3
    address: str = ""
    quiet: bool = False

    def identity(self, options: Any) -> dict[str, Any]:
        """What the numbers of a run follow from: a folder holds a run of one identity.

        Args:
            options: of the recipe, with its defaults.
        """
        return {
            "recipe": self.recipe,
            "data": self.data,
            "seed": self.seed,
            "parts": self.parts,
            "precision": self.precision,
            **asdict(options),
        }


def run_name(out: str) -> str:
    """A name for Ray's books, from the run's folder."""
    return f"cinescribe-{hashlib.sha256(out.encode()).hexdigest()[:12]}"
