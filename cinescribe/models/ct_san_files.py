"""CT-SAN on disk: `model.safetensors`, `config.json` and `words.txt` (one a line)."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cinescribe.errors import WeightsError
from cinescribe.models import folders
from cinescribe.models.folders import SETTINGS, TENSORS, WORDS
from cinescribe.models.vocabulary import Vocabulary

if TYPE_CHECKING:
    from cinescribe.models.ct_san import Task
    from cinescribe.models.ct_san_tasks import Model

FILES = TENSORS, SETTINGS, WORDS


@dataclass(frozen=True, slots=True)
class SavedCTSAN:
    """A CT-SAN and what it reads.

    Attributes:
        model: of its task.
        task: which one.
        vocabulary: of its sentences.
        features: encoders of the video, whose features stand side by side.
        hz: frames a second.
    """

    model: "Model"
    task: "Task"
    vocabulary: Vocabulary
    features: Sequence[str]
    hz: float


def save(saved: SavedCTSAN, folder: Path) -> None:
    """Write a model into a folder, made if need be; files of the same names in it are replaced."""
    settings = {
        "ct_san": dataclasses.asdict(saved.model.watcher.config),
        "task": saved.task,
        "features": list(saved.features),
        "hz": saved.hz,
    }
    folders.write(folder, saved.model.state_dict(), settings, saved.vocabulary.words)


def load(folder: Path) -> SavedCTSAN:
    """The model that `save` wrote, in evaluation mode on the CPU.

    Raises:
        WeightsError: something is missing, or not of such a model.
    """
    from safetensors.torch import load_file

    from cinescribe.models.ct_san import CTSANConfig
    from cinescribe.models.ct_san_tasks import build

    try:
        settings: dict[str, Any] = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        vocabulary = Vocabulary((folder / WORDS).read_text(encoding="utf-8").split("\n")[:-1])
        tensors = load_file(folder / TENSORS)
        concepts = tensors["watcher.concept_words"].tolist()
        model = build(settings["task"], CTSANConfig(**settings["ct_san"]), len(vocabulary), concepts)
        model.load_state_dict(tensors)
        features, hz = folders.inputs_of(settings)
        return SavedCTSAN(model.eval(), settings["task"], vocabulary, features, hz)
    except Exception as error:  # sizes that can't be met are refused by torch and by the model in many ways
        raise WeightsError(
            f"{folder}: not a folder of CT-SAN ({' '.join(str(error).split())[:300]}); it holds "
            f"{', '.join(FILES)}, as `cinescribe train ct-san` writes them"
        ) from error
