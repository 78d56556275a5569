"""Tensors out of checkpoints without running anything the file says: `weights_only` and safetensors.

Lightning checkpoints of pyannote hold a few objects besides tensors. They are read once, under a list of four
allowed types (each replaced by an inert stand-in), and written as safetensors with their hyper-parameters as
JSON; only that file is read from then on.
"""

import hashlib
import json
import os
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cinescribe.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

CONVERTED = "model.safetensors"


class _Record:
    """Stands in for pyannote's Specifications: holds the fields, computes nothing."""


class _Member:
    """Stands in for a member of pyannote's enumerations: holds its value."""

    def __init__(self, value: int) -> None:
        self.value = value


class _Problem(_Member):
    pass


class _Resolution(_Member):
    pass


class _Text(str):
    """Stands in for torch's version, a string."""


_ALLOWED: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_Record, "pyannote.audio.core.task.Specifications"),
    (_Problem, "pyannote.audio.core.task.Problem"),
    (_Resolution, "pyannote.audio.core.task.Resolution"),
    (_Text, "torch.torch_version.TorchVersion"),
]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a torch checkpoint holds, read on the CPU under torch's allow-list and the four types above.

    Raises:
        WeightsError: the file is no checkpoint, or names code that is not on the list.
    """
    import torch

    try:
        with torch.serialization.safe_globals(_ALLOWED):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = re.search(r"WeightsUnpickler error: .*|.*unsupported GLOBAL.*", str(error))
        raise WeightsError(
            f"{path}: refused, since only tensors and plain values may be read "
            f"({reason.group() if reason else 'not a checkpoint'}); ask its author for a safetensors file"
        ) from error
    except Exception as error:  # a broken one raises nearly anything
        raise WeightsError(f"{path}: not a readable checkpoint ({type(error).__name__})") from error
    if not isinstance(checkpoint, dict):
        raise WeightsError(
            f"{path}: holds a {type(checkpoint).__name__}, where a table of tensors is expected"
        )
    return checkpoint


def read_state(path: Path, key: str = "") -> "dict[str, Tensor]":
    """The tensors by name of a checkpoint or a safetensors file; `key` names their place in a checkpoint."""
    import torch

    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            state: dict[str, Tensor] = load_file(path)
        except OSError as error:
            raise WeightsError(f"{path}: can't be read ({type(error).__name__}); name a file") from error
        except SafetensorError as error:
            raise WeightsError(
                f"{path}: not a safetensors file ({error}); delete it and fetch it again"
            ) from error
        return state
    checkpoint = read_checkpoint(path)
    found = checkpoint.get(key) if key else checkpoint
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise WeightsError(f"{path}: no table of tensors" + (f" under {key!r}" if key else ""))
    return dict(found)


def read_arrays(path: Path) -> dict[str, Any]:
    """Nested tables of NumPy arrays out of a plain pickle, as JAX programs write them; nothing else is built.

    Raises:
        WeightsError: the file is no such pickle, or names anything but arrays.
    """
    try:
        with path.open("rb") as file:
            content = ArraysOnly(file).load()
    except Exception as error:  # a broken pickle raises nearly anything
        raise WeightsError(
            f"{path}: refused, since only tables of arrays may be read ({error}); delete it and pull again"
        ) from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: holds a {type(content).__name__}, where a table of arrays is expected")
    return content


class ArraysOnly(pickle._Unpickler):
    """Builds plain values and NumPy arrays, and what `allowed` names; anything else is refused.

    It is the unpickler that is written in Python: the one in C sets aside memory for as many entries as a
    file says that it has, 64 GB for a file of ten bytes.
    """

    def allowed(self) -> dict[tuple[str, str], Any]:
        """What a pickle may name, by module and name."""
        import numpy as np
        from numpy._core import multiarray

        return {
            ("numpy.core.multiarray", "_reconstruct"): multiarray._reconstruct,  # type: ignore[attr-defined]
            ("numpy._core.multiarray", "_reconstruct"): multiarray._reconstruct,  # type: ignore[attr-defined]
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }

    def find_class(self, module: str, name: str) -> Any:
        """What a name stands for; raises UnpicklingError where it is not allowed."""
        allowed = self.allowed()
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return allowed[module, name]


def read_metadata(path: Path) -> dict[str, Any]:
    """What `convert` kept beside the tensors: hyper_parameters, architecture, specifications."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata: dict[str, Any] = json.loads((file.metadata() or {}).get("cinescribe", "{}"))
    return metadata


def tensors_sha256(state: "Mapping[str, Tensor]") -> str:
    """SHA-256 over names, types, shapes and little-endian values in the order of names.

    Other than a file's hash it does not depend on how the tensors are written down.
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        values = state[name].detach().contiguous().numpy()
        digest.update(f"{name} {values.dtype.newbyteorder('<').str} {values.shape}\n".encode())
        digest.update(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def check_tensors(path: Path, expected_sha256: str) -> None:
    """Raise WeightsError unless the tensors of a converted file are the expected ones."""
    found = tensors_sha256(read_state(path))
    if found != expected_sha256:
        raise WeightsError(
            f"{path}: tensors of SHA-256 {found}, expected {expected_sha256}; delete it and pull again"
        )


def convert(source: Path, target: Path, key: str, expected_sha256: str) -> None:
    """Write a pyannote Lightning checkpoint as safetensors, its hyper-parameters as JSON metadata.

    Args:
        source: the published checkpoint.
        target: the safetensors file; it appears when complete and checked.
        key: where the tensors are in the checkpoint.
        expected_sha256: of the tensors.
    """
    from safetensors.torch import save_file

    checkpoint = read_checkpoint(source)
    pyannote = checkpoint["pyannote.audio"]
    metadata = {
        "hyper_parameters": checkpoint["hyper_parameters"],
        "architecture": pyannote["architecture"],
        "specifications": vars(pyannote["specifications"]),
    }
    text = json.dumps(metadata, sort_keys=True, default=lambda member: member.value)
    part = target.with_name("converting.safetensors")
    save_file(read_state(source, key), part, metadata={"cinescribe": text})
    check_tensors(part, expected_sha256)
    os.replace(part, target)
