"""AutoAD on disk: our folder of safetensors and settings, and the layout of its authors' code.

A folder holds `model.safetensors` (all tensors, the language model's included, named as in that code),
`config.json` (sizes, variants, the language model's architecture, and what it was trained on) and the
tokeniser's files.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cinescribe.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

    from cinescribe.models.autoad import AutoAD
    from cinescribe.models.language_model import LanguageModel

_TENSORS, _SETTINGS = "model.safetensors", "config.json"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a model was trained on, and has to be given.

    Attributes:
        features: encoder of the frames, as in `features/<encoder>`.
        hz: features a second.
        frames: of a clip (`uniform_frames`).
        subtitles: the lines of dialogue before a clip, only the names in them, or none.
    """

    features: str
    hz: float
    frames: int
    subtitles: Literal["lines", "names", "none"] = "lines"


def save(model: "AutoAD", folder: Path, inputs: Inputs | None = None) -> None:
    """Write a model into a folder, made if need be; files of the same names in it are replaced.

    Args:
        model: the model.
        folder: where to.
        inputs: what it was trained on; None for one that never saw pictures.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Tensor] = {}
    places: set[int] = set()
    for name, value in model.state_dict().items():
        if value.data_ptr() not in places:  # a language model's output layer is often its input table
            tensors[name] = value.detach().cpu().contiguous()
            places.add(value.data_ptr())
    save_file(tensors, folder / _TENSORS)
    model.language_model.tokeniser.save_pretrained(folder)
    settings = {
        "autoad": dataclasses.asdict(model.config),
        "language_model": {"name": model.language_model.name, "config": model.gpt.config.to_dict()},
        "inputs": None if inputs is None else dataclasses.asdict(inputs),
    }
    (folder / _SETTINGS).write_text(json.dumps(settings, indent=1, default=str) + "\n", encoding="utf-8")


def load(folder: Path) -> "AutoAD":
    """The model that `save` wrote, in evaluation mode on the CPU.

    Raises:
        WeightsError: something is missing, or not of such a model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from cinescribe.models.autoad import AutoAD, AutoADConfig
    from cinescribe.models.language_model import LanguageModel

    try:
        settings = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
        described = settings["language_model"]
        config = AutoADConfig(**settings["autoad"])
        architecture = AutoConfig.for_model(described["config"].pop("model_type"), **described["config"])
        tokeniser = AutoTokenizer.from_pretrained(folder, local_files_only=True, config=architecture)
        tensors = load_file(folder / _TENSORS)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise WeightsError(
            f"{folder}: not a folder of AutoAD ({' '.join(str(error).split())[:300]}); it holds {_TENSORS}, "
            f"{_SETTINGS} and a tokeniser, as cinescribe.models.autoad_files.save writes them"
        ) from error
    empty = AutoModelForCausalLM.from_config(architecture).float()
    model = AutoAD(LanguageModel(empty, tokeniser, described["name"]), config)
    _fill(model, tensors, str(folder))
    return model.eval()


def load_inputs(folder: Path) -> Inputs:
    """What the model in a folder was trained on.

    Raises:
        WeightsError: the folder doesn't tell.
    """
    try:
        return Inputs(**json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))["inputs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{folder / _SETTINGS}: doesn't tell which features the model was trained on ({error}); give the "
            "folder best or last of a run of `cinescribe train autoad`, or save it with its Inputs"
        ) from error


def from_official(state: "Mapping[str, Tensor]", language_model: "LanguageModel", source: str) -> "AutoAD":
    """The model of a checkpoint of the authors' code, in evaluation mode. They published none themselves.

    Args:
        state: its tensors by name. Without `gpt.*` the language model stays as it is given.
        language_model: GPT-2, as in the code, or what the checkpoint was trained with.
        source: named in errors.

    Raises:
        WeightsError: tensors are missing or have other shapes.
    """
    from cinescribe.models.autoad import AutoAD, AutoADConfig

    # Causal masks, which older versions of transformers kept among the weights.
    tensors = {
        name.removeprefix("module."): value
        for name, value in state.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    try:
        latents, width = tensors["perceiver.latent"].shape
        longest = tensors["perceiver.temporal_pos_embed"].shape[0]
    except KeyError as error:
        raise WeightsError(f"{source}: no tensor {error}; is it a checkpoint of AutoAD?") from error
    layers = {name.split(".")[3] for name in tensors if name.startswith("perceiver.encoder.resblocks.")}
    config = AutoADConfig(
        frame_width=width,
        latents=latents,
        layers=len(layers),
        heads=max(1, width // 64),
        longest=longest,
        uses_context="context_special_token.weight" in tensors,
        uses_subtitles="subtitle_special_token.weight" in tensors,
    )
    if not any(name.startswith("gpt.") for name in tensors):
        tensors |= {f"gpt.{name}": value for name, value in language_model.model.state_dict().items()}
    model = AutoAD(language_model, config)
    _fill(model, tensors, source)
    return model.eval()


def _fill(model: "AutoAD", tensors: "Mapping[str, Tensor]", source: str) -> None:
    """Give a model all of its tensors, or raise WeightsError."""
    places = {name: value.data_ptr() for name, value in model.state_dict().items()}
    given = {places[name] for name in tensors if name in places}
    try:
        missing, unexpected = model.load_state_dict(dict(tensors), strict=False)
    except RuntimeError as error:
        raise WeightsError(f"{source}: not the tensors of this AutoAD: {error}") from error
    missing = [name for name in missing if places[name] not in given]  # those tied to another are there
    if missing or unexpected:
        raise WeightsError(
            f"{source}: {len(missing)} tensors are missing and {len(unexpected)} unknown, such as "
            f"{(missing + unexpected)[0]}; it is not of this AutoAD"
        )
