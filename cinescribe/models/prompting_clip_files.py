"""Prompting CLIP on disk: our folder, and the checkpoints of its authors' code.

A folder holds `model.safetensors` (what is learned; with a text half of its own also that) and `config.json`
(sizes, the CLIP model, and what it was trained on).
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cinescribe.errors import WeightsError
from cinescribe.models import folders
from cinescribe.models.folders import SETTINGS, TENSORS

if TYPE_CHECKING:
    from torch import Tensor

    from cinescribe.models.prompted_text import PromptedText
    from cinescribe.models.prompting_clip import PromptingCLIP


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a model was trained on: the table `features/<features>`, so many a second."""

    features: str
    hz: float


def save(model: "PromptingCLIP", folder: Path, inputs: Inputs) -> None:
    """Write a model into a folder, made if need be; files of the same names in it are replaced."""
    tensors = {
        name: value
        for name, value in model.state_dict().items()
        if not (name.startswith("text.") and model.text.source)
    }
    text = model.text
    first = next(iter(text.transformer.resblocks), None) if not text.source else None
    told = {
        "prompting_clip": dataclasses.asdict(model.config),
        "clip": text.source,
        "text": None
        if text.source
        else {
            "dim": text.dim,
            "width": text.width,
            "layers": len(text.transformer.resblocks),
            "heads": first.attn.num_heads if first is not None else 1,
        },
        "inputs": dataclasses.asdict(inputs),
    }
    folders.write(folder, tensors, told)


def load(folder: Path, device: str = "cpu") -> "tuple[PromptingCLIP, Inputs]":
    """The model that `save` wrote, in evaluation mode, and what it was trained on.

    Raises:
        WeightsError: something is missing or not of such a model, or the CLIP model can't be had.
    """
    from cinescribe.encoders import clip
    from cinescribe.models.prompted_text import fresh_text, from_clip
    from cinescribe.models.prompting_clip import PromptingCLIP, PromptingCLIPConfig
    from cinescribe.zoo.checkpoints import read_state

    try:
        told = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        config = PromptingCLIPConfig(
            **{**told["prompting_clip"], "gaps": tuple(told["prompting_clip"]["gaps"])}
        )
        inputs, source = Inputs(**told["inputs"]), told["clip"]
        text = from_clip(clip.load(source)) if source else fresh_text(**told["text"])
        model = PromptingCLIP(text, config)
    except WeightsError:  # of CLIP: it tells what to do
        raise
    except Exception as error:  # sizes that can't be met are refused by torch and by the model in many ways
        raise WeightsError(
            f"{folder}: not a folder of Prompting CLIP ({error}); give the folder best or last of a run of "
            "`cinescribe train prompting-clip`"
        ) from error
    _fill(model, read_state(folder / TENSORS), str(folder))
    return model.to(device).eval(), inputs


def load_text(folder: Path) -> "PromptedText":
    """The text half of the model that `save` wrote, frozen, to be prompted anew; errors as of `load`."""
    text = load(folder)[0].text
    text.frozen = True
    return text.requires_grad_(False)


def load_released(path: Path) -> "PromptingCLIP":
    """The model of a checkpoint of the authors' code, in evaluation mode.

    Its CLIP text half is in the file. Frames are to be given as CLIP's picture half makes them, not at
    length 1. The published one, of HMDB-51, has one temporal layer.

    Raises:
        WeightsError: it isn't a checkpoint, or not of Prompting CLIP: the message names what is amiss.
    """
    from cinescribe.zoo.checkpoints import read_checkpoint, read_state

    checkpoint: Mapping[str, Tensor] = (
        read_state(path) if path.suffix == ".safetensors" else read_checkpoint(path)
    )
    return from_released(checkpoint.get("state_dict", checkpoint), str(path))  # type: ignore[arg-type]


def from_released(state: "Mapping[str, Tensor]", source: str) -> "PromptingCLIP":
    """As `load_released`, of tensors by name; `source` is named in errors."""
    from cinescribe.models.prompted_text import from_state
    from cinescribe.models.prompting_clip import PromptingCLIP, PromptingCLIPConfig

    tensors = {name.removeprefix("module."): value for name, value in state.items()}
    clip = {
        name.removeprefix("clipmodel."): value
        for name, value in tensors.items()
        if name.startswith("clipmodel.")
    }
    own = {name: value.float() for name, value in tensors.items() if not name.startswith("clipmodel.")}
    layers = {name.split(".")[2] for name in own if name.startswith("temporalModelling.resblocks.")}
    try:
        text = from_state(clip)
        frames = own["temporalEmbedding.weight"].shape[0]
    except (KeyError, RuntimeError) as error:
        raise WeightsError(
            f"{source}: not a checkpoint of Prompting CLIP ({' '.join(str(error).split())[:300]})"
        ) from error
    if not layers:
        own.pop("temporalEmbedding.weight")  # there, but unused, where nothing temporal was trained
    config = PromptingCLIPConfig(frames=frames, layers=len(layers), gaps=(), scale=1.0)
    model = PromptingCLIP(text, config)
    _fill(model, own, source)
    return model.eval()


def _fill(model: "PromptingCLIP", tensors: "Mapping[str, Tensor]", source: str) -> None:
    """Give a model what it learned, all of it, or raise WeightsError."""
    try:
        missing, unexpected = model.load_state_dict(dict(tensors), strict=False)
    except RuntimeError as error:
        raise WeightsError(f"{source}: not the tensors of this model: {error}") from error
    given = any(name.startswith("text.") for name in tensors)
    missing = [name for name in missing if given or not name.startswith("text.")]
    if missing or unexpected:
        raise WeightsError(
            f"{source}: {len(missing)} tensors are missing and {len(unexpected)} unknown, such as "
            f"{(missing + unexpected)[0]}; it is not of this Prompting CLIP"
        )
