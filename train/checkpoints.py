"""Checkpoints of a run, on disk or S3: whole or not there.

`checkpoints/step-00000100/` holds `model.safetensors`, `state.pt` (the optimiser's, tensors and numbers) and,
written last, `complete.json` with the size and SHA-256 of both. A folder without it, or whose files differ
from it, is not taken; an older one is.
"""

import hashlib
import io
import json
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cinescribe import storage
from cinescribe.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn

MODEL, STATE, COMPLETE = "model.safetensors", "state.pt", "complete.json"
_KEPT = 2


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a run was after `step` steps: the model's tensors, and everything else by name."""

    step: int
    tensors: "Mapping[str, Tensor]"
    state: Mapping[str, Any]


def write(root: str, step: int, tensors: "Mapping[str, Tensor]", state: Mapping[str, Any]) -> None:
    """Write a checkpoint, then delete all but the last two."""
    import torch
    from safetensors.torch import save

    folder = _folder(root, step)
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    files = {MODEL: save(dict(tensors)), STATE: buffer.getvalue()}
    for name, data in files.items():
        storage.write_bytes(storage.join(folder, name), data)
    told = {name: {"bytes": len(data), "sha256": _sha256(data)} for name, data in files.items()}
    storage.write_bytes(storage.join(folder, COMPLETE), json.dumps(told).encode())
    for old in [number for number in _steps(root) if number < step][: -(_KEPT - 1)]:
        _delete(root, old)


def latest(root: str) -> Checkpoint | None:
    """The last whole checkpoint; None when there is none."""
    import torch
    from safetensors.torch import load

    for step in reversed(_steps(root)):
        files = _read(_folder(root, step))
        if files is not None:
            try:
                state = torch.load(io.BytesIO(files[STATE]), weights_only=True, map_location="cpu")
            except pickle.UnpicklingError as error:
                raise WeightsError(
                    f"{_folder(root, step)}: {STATE} holds more than tensors and numbers, which may be code; "
                    "no training wrote it: delete the folder"
                ) from error
            return Checkpoint(step, load(files[MODEL]), state)
    return None


def model_tensors(model: "nn.Module") -> "dict[str, Tensor]":
    """The tensors of a model by name, on the CPU; one that has several names under the first of them."""
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in model.state_dict().items():
        if value.numel() and value.data_ptr() in seen:
            continue
        seen.add(value.data_ptr())
        found[name] = value.detach().cpu().contiguous()
    return found


def fill(model: "nn.Module", tensors: "Mapping[str, Tensor]") -> None:
    """Give a model the tensors that `model_tensors` took of one like it."""
    missing, unexpected = model.load_state_dict(dict(tensors), strict=False)
    shared = set(model.state_dict()) - set(model_tensors(model))
    if unexpected or set(missing) - shared:
        raise ValueError(f"not this model's tensors: lacking {missing}, unknown {unexpected}")


def _read(folder: str) -> dict[str, bytes] | None:
    """The files of a checkpoint, None when it is not whole."""
    try:
        told = json.loads(storage.read_bytes(storage.join(folder, COMPLETE)))
        files = {name: storage.read_bytes(storage.join(folder, name)) for name in told}
    except (FileNotFoundError, ValueError):
        return None
    whole = all(_sha256(data) == told[name]["sha256"] for name, data in files.items())
    return files if whole and files.keys() == {MODEL, STATE} else None


def _steps(root: str) -> list[int]:
    """The steps that have a folder, whole or not, in order."""
    names = storage.list_folders(storage.join(root, "checkpoints"))
    numbers = (name.removeprefix("step-") for name in names if name.startswith("step-"))
    return sorted(int(number) for number in numbers if number.isdigit())


def _folder(root: str, step: int) -> str:
    return storage.join(root, "checkpoints", f"step-{step:08}")


def _delete(root: str, step: int) -> None:
    """Delete a checkpoint, first what makes it whole."""
    folder = _folder(root, step)
    for name in sorted(storage.list_names(folder), key=lambda name: name != COMPLETE):
        storage.delete(storage.join(folder, name))
    if not storage.is_s3(folder):
        shutil.rmtree(folder, ignore_errors=True)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
