"""The released weights of TAN, whose file names its parts as below; tested on a file of these names and
shapes.

`online.*` is the network and `target.*` its average, both without a head after stage 1; `lang_model.*` (in
older files `bert.*`) is the sentence encoder, which the two parts repeat. A file of stage 1 has the network
alone, at the top. The tensors lie under `state_dict`.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cinescribe.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

    from cinescribe.models.tan import TANConfig, TANPair

_TEXT = re.compile(r"(?:(?:online|target)\.)?(?:lang_model|bert)\.(?P<name>.+)")


def load_released(path: Path) -> "TANPair":
    """TAN with the weights of a released file, in evaluation mode.

    Of a file of stage 1 both the network and its average are the file's.

    Raises:
        WeightsError: it isn't a checkpoint, or not of TAN: the message names the tensors that are amiss.
    """
    from cinescribe.zoo.checkpoints import read_checkpoint, read_state

    checkpoint: Mapping[str, Any] = (
        read_state(path) if path.suffix == ".safetensors" else read_checkpoint(path)
    )
    return pair_from_state(checkpoint.get("state_dict", checkpoint), str(path))


def pair_from_state(state: "Mapping[str, Tensor]", source: str) -> "TANPair":
    """As `load_released`, of tensors by name; `source` is named in errors."""
    import torch

    from cinescribe.models.tan import TANPair

    parts: dict[str, dict[str, Tensor]] = {"online": {}, "target": {}, "text": {}}
    for name, value in state.items():
        name = name.removeprefix("module.")
        text = _TEXT.fullmatch(name)
        if text is not None:  # repeated under online and target; the top one is used and comes last
            if not name.startswith("target."):
                parts["text"][text["name"]] = value
        elif name.startswith(("online.", "target.")):
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        else:
            parts["online"][name] = value
    parts["target"] = parts["target"] or parts["online"]
    words = parts["text"].get("word_embd.weight")
    with torch.device("meta"):  # every tensor comes from the file, so none is made before
        pair = TANPair(_config(parts["online"], source), words=None if words is None else words.shape[0])
    modules = {"online": pair.online, "target": pair.target, "text": pair.lang_model}
    for part, module in modules.items():
        if module is None:
            continue
        try:
            # Copies, since the average must not share its tensors with the network.
            tensors = {name: value.float().clone() for name, value in parts[part].items()}
            module.load_state_dict(tensors, assign=True)
        except RuntimeError as error:
            raise WeightsError(
                f"{source}: the tensors under {part!r} are not those of TAN "
                f"({' '.join(str(error).split())}); is it a released file of TemporalAlignNet?"
            ) from error
    return pair.eval()


def _config(network: "Mapping[str, Tensor]", source: str) -> "TANConfig":
    """Sizes and variants as the tensors tell; a head of attention has the published width, 64."""
    from cinescribe.models.tan import TANConfig

    try:
        width, video_width = network["video_pre_proj.weight"].shape
        text_width = network["text_pre_proj.weight"].shape[1]
        longest = network["temporal_pos_embed"].shape[0]
    except KeyError as error:
        raise WeightsError(
            f"{source}: no tensor {error}; is it a released file of TemporalAlignNet?"
        ) from error
    config = TANConfig(
        video_width,
        text_width,
        width,
        max(1, width // 64),
        dual_layers=_layers(network, "video_temporal_encoder", source),
        joint_layers=_layers(network, "joint_temporal_encoder", source),
        longest=longest,
        random_start=False,
        head="none",
    )
    head = network.get("binary_head.weight")
    if head is None:
        return config
    return replace(config, head="binary" if head.shape[0] == 1 else "two-way", head_stage=2)


def _layers(network: "Mapping[str, Tensor]", encoder: str, source: str) -> int:
    numbers = [int(name.split(".")[2]) for name in network if name.startswith(f"{encoder}.resblocks.")]
    if not numbers:
        raise WeightsError(f"{source}: no {encoder!r}; is it a released file of TemporalAlignNet?")
    return max(numbers) + 1
