"""Collaborative Experts on disk: `model.safetensors` and `config.json`.

The tensors are named as in the published weights.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cinescribe.encoders.experts import Expert
from cinescribe.errors import WeightsError
from cinescribe.models import folders
from cinescribe.models.folders import SETTINGS, TENSORS

if TYPE_CHECKING:
    from cinescribe.models.collaborative_experts import CEConfig, CollaborativeExperts

FILES = TENSORS, SETTINGS


@dataclass(frozen=True, slots=True)
class SavedCE:
    """A model and what it reads.

    Attributes:
        model: of which the experts are those of `experts`, in their order.
        text: name of the token encoder, see `cinescribe.encoders.text_tokens`.
        experts: where each expert's input comes from.
    """

    model: "CollaborativeExperts"
    text: str
    experts: Sequence[Expert]


def save(saved: SavedCE, folder: Path) -> None:
    """Write a model into a folder, made if need be; files of the same names in it are replaced."""
    settings = {
        "collaborative_experts": dataclasses.asdict(saved.model.config),
        "text": saved.text,
        "experts": [dataclasses.asdict(expert) for expert in saved.experts],
    }
    folders.write(folder, saved.model.state_dict(), settings)


def load(folder: Path) -> SavedCE:
    """The model that `save` wrote, in evaluation mode on the CPU.

    Raises:
        WeightsError: something is missing, or not of such a model.
    """
    import torch
    from safetensors.torch import load_file

    from cinescribe.models.collaborative_experts import CollaborativeExperts

    try:
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        with torch.device("meta"):  # every tensor comes from the file, so none is made before
            model = CollaborativeExperts(config_of(settings["collaborative_experts"]))
        model.load_state_dict(load_file(folder / TENSORS), assign=True)
        experts = [Expert(**raw) for raw in settings["experts"]]
        return SavedCE(model.eval(), settings["text"], experts)
    except Exception as error:  # sizes that can't be met are refused by torch and by the model in many ways
        raise WeightsError(
            f"{folder}: not a folder of Collaborative Experts ({' '.join(str(error).split())[:300]}); "
            f"it holds {TENSORS} and {SETTINGS}, as `cinescribe train ce` writes them"
        ) from error


def config_of(raw: Mapping[str, Any]) -> "CEConfig":
    """A configuration from what `dataclasses.asdict` made of it."""
    from cinescribe.models.collaborative_experts import CEConfig, ExpertConfig, TextConfig

    experts = tuple(ExpertConfig(**expert) for expert in raw["experts"])
    return CEConfig(**{**raw, "experts": experts, "text": TextConfig(**raw["text"])})
