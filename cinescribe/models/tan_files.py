"""TAN on disk: `model.safetensors`, `config.json` and, with words of its own, `words.txt` (one a line).

The tensors are named as in the released file (`online.*`, `target.*`, `lang_model.*`); without an average the
network is its own.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cinescribe.errors import WeightsError
from cinescribe.models import folders
from cinescribe.models.folders import SETTINGS, TENSORS, WORDS

if TYPE_CHECKING:
    from cinescribe.models.tan import TANPair

FILES = TENSORS, SETTINGS, WORDS


@dataclass(frozen=True, slots=True)
class SavedTAN:
    """A TAN and what it reads.

    Attributes:
        pair: the network, its average and the sentence encoder, if it is trained.
        text: how sentences become vectors: a name of the zoo's sentence encoders, or the name of the words'
            origin where `pair.lang_model` encodes them.
        words: of `pair.lang_model` in order; empty without one.
        features: encoder of the video.
        window: seconds it was trained to see at once.
    """

    pair: "TANPair"
    text: str
    words: Sequence[str]
    features: str
    window: int


def save(saved: SavedTAN, folder: Path, *, average: bool = True) -> None:
    """Write a model into a folder, made if need be; files of the same names in it are replaced.

    Args:
        saved: the model.
        folder: where to.
        average: its average, too; there is none to speak of after stage 1.
    """
    tensors = {
        name: value
        for name, value in saved.pair.state_dict().items()
        if average or not name.startswith("target.")
    }
    settings = {
        "tan": dataclasses.asdict(saved.pair.online.config),
        "momentum": saved.pair.momentum,
        "text": saved.text,
        "features": saved.features,
        "window": saved.window,
    }
    folders.write(folder, tensors, settings, saved.words)


def load(folder: Path) -> SavedTAN:
    """The model that `save` wrote, in evaluation mode on the CPU.

    Raises:
        WeightsError: something is missing, or not of such a model.
    """
    try:
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # before torch is loaded, which takes seconds
        raise _not_one(folder, error) from error

    from safetensors.torch import load_file

    from cinescribe.models.tan import TANConfig, TANPair

    try:
        tensors = load_file(folder / TENSORS)
        own = any(name.startswith("lang_model.") for name in tensors)
        words = (folder / WORDS).read_text(encoding="utf-8").split("\n")[:-1] if own else []
        pair = TANPair(TANConfig(**settings["tan"]), settings["momentum"], len(words) + 1 if own else None)
        if not any(name.startswith("target.") for name in tensors):
            average = {name: value for name, value in tensors.items() if name.startswith("online.")}
            tensors |= {f"target.{name.removeprefix('online.')}": value for name, value in average.items()}
        pair.load_state_dict(tensors)
        return SavedTAN(pair.eval(), settings["text"], words, settings["features"], settings["window"])
    except Exception as error:  # sizes that can't be met are refused by torch and by the model in many ways
        raise _not_one(folder, error) from error


def _not_one(folder: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f"{folder}: not a folder of TAN ({' '.join(str(error).split())[:300]}); give the folder "
        "best or last of a run of `cinescribe train tan-stage1` or `tan-stage2`"
    )
