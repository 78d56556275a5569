"""The released weights of Collaborative Experts, tested on a file of their names and shapes.

A file is a dictionary: `arch` (CENet), `epoch`, `state_dict`, `optimizer`, `monitor_best`, `config`. The
tensors are named `text_pooling.*`, `pooling.<expert>.*` and `ce.*`; the experts stand in the order of the
alphabet of their names in `config`, which the tensors don't tell.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cinescribe.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

    from cinescribe.models.collaborative_experts import CEConfig, CollaborativeExperts, ExpertConfig

# Lengths the sequences were padded to on MSR-VTT; a file of another data set has its own in its settings.
_TOKENS = {"audio": 29, "ocr": 49, "speech": 32, "text": 37}
_HINT = "is it a released file of collaborative-experts?"


def load_released(
    path: Path, experts: "Sequence[str]", tokens: "Mapping[str, int] | None" = None
) -> "CollaborativeExperts":
    """The model with the weights of a released file, in evaluation mode on the CPU.

    Only tensors and plain values are read of the file, its `config` is not.

    Args:
        path: of the checkpoint (`trained_model.pth`).
        experts: the file's experts in the order of the alphabet of their long names there; for MSR-VTT the
            names of `cinescribe.models.collaborative_experts.MSR_VTT`.
        tokens: lengths that sequences and "text" are padded to; by default those of MSR-VTT.

    Raises:
        WeightsError: it isn't a checkpoint, or not of this model: the message names the tensors amiss.
    """
    from cinescribe.zoo.checkpoints import read_state

    state = read_state(path, "" if path.suffix == ".safetensors" else "state_dict")
    return model_from_state(state, experts, {**_TOKENS, **(tokens or {})}, str(path))


def model_from_state(
    state: "Mapping[str, Tensor]", experts: "Sequence[str]", tokens: "Mapping[str, int]", source: str
) -> "CollaborativeExperts":
    """As `load_released`, of tensors by name; `source` is named in errors."""
    import torch

    from cinescribe.models.collaborative_experts import CollaborativeExperts

    tensors = {name.removeprefix("module."): value for name, value in state.items()}
    with torch.device("meta"):  # every tensor comes from the file, so none is made before
        model = CollaborativeExperts(_config(tensors, experts, tokens, source))
    try:
        model.load_state_dict({name: value.clone() for name, value in tensors.items()}, assign=True)
    except RuntimeError as error:
        raise WeightsError(
            f"{source}: the tensors are not those of this model ({' '.join(str(error).split())[:400]}); "
            f"{_HINT}"
        ) from error
    return model.eval()


def _config(
    state: "Mapping[str, Tensor]", names: "Sequence[str]", tokens: "Mapping[str, int]", source: str
) -> "CEConfig":
    """Sizes and the aggregation, as the tensors tell."""
    from cinescribe.models.collaborative_experts import CEConfig, TextConfig

    try:
        text_dim, clusters = state["text_pooling.clusters2"].shape[1:]
        ghosts = state["text_pooling.clusters"].shape[1] - clusters
        count = state["ce.moe_fc.weight"].shape[0]
        common = "ce.video_dim_reduce.0.fc.weight" in state
        layer = "ce.video_dim_reduce.{}.fc.weight" if common else "ce.video_GU.{}.fc.weight"
        weights = [state[layer.format(number)] for number in range(count)]
    except KeyError as error:
        raise WeightsError(f"{source}: no tensor {error}; {_HINT}") from error
    if len(names) != count:
        raise WeightsError(
            f"{source}: has {count} experts, and {len(names)} are named: give them in the file's order"
        )
    pooled = {match[1] for name in state if (match := re.match(r"pooling\.(.+)\.clusters2$", name))}
    if strange := sorted(pooled - set(names)):
        raise WeightsError(f"{source}: pools {', '.join(strange)}, not among the experts that are named")
    return CEConfig(
        experts=tuple(
            _expert(state, name, int(weight.shape[1]), tokens)
            for name, weight in zip(names, weights, strict=True)
        ),
        text=TextConfig(int(text_dim), int(clusters), int(ghosts), tokens["text"]),
        width=int(weights[0].shape[0]),
        aggregation=(
            "collaborative" if "ce.g_reason_1.weight" in state else "projected" if common else "native"
        ),
    )


def _expert(
    state: "Mapping[str, Tensor]", name: str, pooled: int, tokens: "Mapping[str, int]"
) -> "ExpertConfig":
    from cinescribe.models.collaborative_experts import ExpertConfig

    centres = state.get(f"pooling.{name}.clusters2")
    if centres is None:
        return ExpertConfig(name, pooled)
    if name not in tokens:
        raise WeightsError(f"expert {name} is a sequence: say how many tokens it was padded to")
    return ExpertConfig(name, int(centres.shape[1]), int(centres.shape[2]), tokens[name])
