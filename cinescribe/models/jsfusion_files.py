"""JSFusion on disk: `model.safetensors`, `config.json` and `words.txt` (one a line)."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cinescribe.errors import WeightsError
from cinescribe.models import folders
from cinescribe.models.folders import SETTINGS, TENSORS, WORDS
from cinescribe.models.vocabulary import Vocabulary

if TYPE_CHECKING:
    from cinescribe.models.jsfusion import JSFusion

FILES = TENSORS, SETTINGS, WORDS
Task = Literal["retrieval", "choice", "fill-in"]


@dataclass(frozen=True, slots=True)
class SavedJSFusion:
    """A JSFusion and what it reads.

    Attributes:
        model: the network.
        vocabulary: of its sentences.
        task: what it was trained for.
        features: encoders of the video, whose features stand side by side.
        hz: frames a second.
    """

    model: "JSFusion"
    vocabulary: Vocabulary
    task: Task
    features: Sequence[str]
    hz: float


def save(saved: SavedJSFusion, folder: Path) -> None:
    """Write a model into a folder, made if need be; files of the same names in it are replaced."""
    settings = {
        "jsfusion": dataclasses.asdict(saved.model.config),
        "task": saved.task,
        "features": list(saved.features),
        "hz": saved.hz,
    }
    folders.write(folder, saved.model.state_dict(), settings, saved.vocabulary.words)


def load(folder: Path) -> SavedJSFusion:
    """The model that `save` wrote, in evaluation mode on the CPU.

    Raises:
        WeightsError: something is missing, or not of such a model.
    """
    from safetensors.torch import load_file

    from cinescribe.models.jsfusion import JSFusion, JSFusionConfig

    try:
        settings: dict[str, Any] = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        sizes = settings["jsfusion"]
        config = JSFusionConfig(**{**sizes, "dense": tuple(sizes["dense"])})
        vocabulary = Vocabulary((folder / WORDS).read_text(encoding="utf-8").split("\n")[:-1])
        model = JSFusion(config, len(vocabulary))
        model.load_state_dict(load_file(folder / TENSORS))
        features, hz = folders.inputs_of(settings)
        return SavedJSFusion(model.eval(), vocabulary, settings["task"], features, hz)
    except Exception as error:  # sizes that can't be met are refused by torch and by the model in many ways
        raise WeightsError(
            f"{folder}: not a folder of JSFusion ({' '.join(str(error).split())[:300]}); it holds "
            f"{', '.join(FILES)}, as `cinescribe train jsfusion` writes them"
        ) from error
