"""A model on disk: `model.safetensors`, `config.json` and, for words of its own, `words.txt`, one a line."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

TENSORS, SETTINGS, WORDS = "model.safetensors", "config.json", "words.txt"


def write(
    folder: Path, tensors: "Mapping[str, Tensor]", settings: Mapping[str, Any], words: Sequence[str] = ()
) -> None:
    """Write a model into a folder, made if need be; files of the same names in it are replaced.

    Args:
        folder: where to.
        tensors: by name, on any device.
        settings: what a model of these tensors is built from.
        words: of its vocabulary, in order; without any there is no such file.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    save_file(kept, folder / TENSORS)
    if words:
        (folder / WORDS).write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    (folder / SETTINGS).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def inputs_of(settings: Mapping[str, Any]) -> tuple[tuple[str, ...], float]:
    """The names of the features that a model reads, and its frames a second; of `features` and `hz`.

    Raises:
        ValueError: they can't be meant.
    """
    features, hz = settings["features"], settings["hz"]
    if not isinstance(hz, int | float) or not (math.isfinite(hz) and hz > 0):
        raise ValueError(f"hz is {hz!r}, where frames a second are wanted")
    named = isinstance(features, list) and all(isinstance(name, str) and name for name in features)
    if not named or not features or any("/" in name or "\\" in name or ".." in name for name in features):
        raise ValueError(f"features are {features!r}, where a list of names of tables is wanted")
    return tuple(features), float(hz)
