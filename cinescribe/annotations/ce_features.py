"""The features that the authors of Collaborative Experts released: one file an expert, {video: array}.

They are pickles (or `.npy` files that hold one), which may run anything when they are read freely. Here they
are read once, by an unpickler that builds plain values and arrays and refuses all else, and written as
safetensors; only those are read from then on.

    python -m cinescribe.annotations.ce_features audio.pickle face.pickle --out features/

What was not found in a video (no face, no speech) is NaN in the files and nothing here: it can't leak into a
similarity (Liu et al. 2019, section A.1, on how it once did).
"""

import argparse
import io
import json
import pickle
import sys
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe.errors import CinescribeError, WeightsError
from cinescribe.zoo.checkpoints import ArraysOnly

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ReleasedFeatures:
    """What one file holds.

    Attributes:
        videos: their names, in the order of the file.
        rows: [rows, dim] float32, all features one under the other.
        arrays: [arrays + 1] where each array begins among the rows.
        first: [videos + 1] where each video's arrays begin among the arrays.
    """

    videos: tuple[str, ...]
    rows: Array
    arrays: NDArray[np.int64]
    first: NDArray[np.int64]

    @property
    def dim(self) -> int:
        """Numbers of a feature."""
        return int(self.rows.shape[1])

    def of(self, index: int) -> tuple[Array, ...]:
        """The arrays [tokens, dim] of video number `index`.

        One for an expert (one token where it is an average), one a caption in files of text features, none
        where nothing was found.
        """
        numbers = range(int(self.first[index]), int(self.first[index + 1]))
        return tuple(self.rows[self.arrays[number] : self.arrays[number + 1]] for number in numbers)

    def index(self) -> dict[str, int]:
        """Number by name of the video."""
        return {video: number for number, video in enumerate(self.videos)}


def read_pickle(path: Path) -> dict[str, Any]:
    """The table in a released file, with nothing but plain values and arrays in it.

    Raises:
        WeightsError: the file can't be read, names anything else, or is no table by video.
    """
    try:
        content = _load(path.read_bytes())
    except OSError as error:
        raise WeightsError(f"{path}: can't be read ({error}); name a released file of features") from error
    except Exception as error:  # a broken pickle raises nearly anything
        raise WeightsError(
            f"{path}: refused, since only plain values and arrays may be read ({error}); fetch it again from "
            "the authors of Collaborative Experts"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(video, str) for video in content):
        raise WeightsError(f"{path}: holds a {type(content).__name__}, where a table by video is expected")
    return content


def convert(source: Path, target: Path) -> ReleasedFeatures:
    """Write a released file as safetensors.

    Args:
        source: the released file.
        target: the new one; it appears when it is complete.

    Returns:
        What it holds.

    Raises:
        WeightsError: as `read_pickle`, or arrays of a video have no fixed width.
    """
    from safetensors.numpy import save_file

    table = read_pickle(source)
    parts: list[Array] = []
    arrays, first = [0], [0]
    for video, value in table.items():
        for array in value if isinstance(value, list | tuple) else [value]:
            found = _tokens(array, f"{source}, {video}")
            if found is None:
                continue
            if parts and found.shape[1] != parts[0].shape[1]:
                raise WeightsError(
                    f"{source}, {video}: {found.shape[1]} numbers a feature, where others have "
                    f"{parts[0].shape[1]}"
                )
            parts.append(found)
            arrays.append(arrays[-1] + len(found))
        first.append(len(arrays) - 1)
    if not parts:
        raise WeightsError(f"{source}: no video has features")
    released = ReleasedFeatures(
        tuple(table), np.concatenate(parts), np.asarray(arrays, np.int64), np.asarray(first, np.int64)
    )
    part = target.with_name(f".{target.name}.part")
    tensors = {"rows": released.rows, "arrays": released.arrays, "first": released.first}
    save_file(tensors, part, metadata={"videos": json.dumps(released.videos)})
    part.replace(target)
    return released


def read(path: Path) -> ReleasedFeatures:
    """What `convert` wrote.

    Raises:
        WeightsError: it is no such file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            videos = tuple(json.loads((file.metadata() or {})["videos"]))
            found = ReleasedFeatures(videos, *(file.get_tensor(name) for name in ("rows", "arrays", "first")))
        if found.first.shape != (len(videos) + 1,) or not (
            _divides(found.first, len(found.arrays) - 1) and _divides(found.arrays, len(found.rows))
        ):
            raise ValueError("its tables do not fit together")
        return found
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise WeightsError(
            f"{path}: not features of ours ({error}); make it with python -m "
            "cinescribe.annotations.ce_features FILE.pickle --out DIR"
        ) from error


def _divides(edges: NDArray[np.int64], length: int) -> bool:
    """Whether these are the edges of consecutive pieces of what is so long."""
    ordered = edges.ndim == 1 and len(edges) > 0 and bool((edges[1:] >= edges[:-1]).all())
    return ordered and edges[0] == 0 and edges[-1] == length


def _tokens(value: Any, where: str) -> Array | None:
    """[tokens, dim] of what a video has; None where it is missing."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    array = np.asarray(value)
    if array.size == 0 or array.dtype.kind not in "fiu" or array.ndim > 2:
        if array.size == 0:
            return None
        raise WeightsError(f"{where}: an array [tokens, dim] is expected, not {array.dtype} {array.shape}")
    if array.ndim == 0:
        raise WeightsError(f"{where}: one number where an array is expected")
    tokens: Array = np.atleast_2d(array).astype(np.float32)
    return None if np.isnan(tokens).any() else tokens


def _load(content: bytes) -> Any:
    stream = io.BytesIO(content)
    if content.startswith(b"\x93NUMPY"):  # a table saved as an array of one object: a header, then a pickle
        version = np.lib.format.read_magic(stream)
        read_header = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        read_header(stream)
        return _Tables(stream, encoding="latin1").load().item()
    return _Tables(stream, encoding="latin1").load()  # some were written by Python 2


def _encode(text: str, encoding: str) -> bytes:
    """How old pickles hold bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding}")
    return text.encode("latin1")


class _Tables(ArraysOnly):
    """Builds single numbers and ordered tables, too."""

    def allowed(self) -> dict[tuple[str, str], Any]:
        from numpy._core import multiarray

        cores = ("numpy.core.multiarray", "numpy._core.multiarray")
        return {
            **super().allowed(),
            ("collections", "OrderedDict"): OrderedDict,
            ("_codecs", "encode"): _encode,
            **{(core, "scalar"): multiarray.scalar for core in cores},  # type: ignore[attr-defined]
        }


def main(argv: Sequence[str] | None = None) -> int:
    """The command: converts files, says what is in each."""
    parser = argparse.ArgumentParser(prog="python -m cinescribe.annotations.ce_features")
    parser.add_argument("files", nargs="+", type=Path, help="released files of features")
    parser.add_argument("--out", required=True, type=Path, help="folder for the new files")
    arguments = parser.parse_args(argv)
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        for source in arguments.files:
            target = arguments.out / f"{source.stem}.safetensors"
            found = convert(source, target)
            without = sum(not len(found.of(number)) for number in range(len(found.videos)))
            print(
                f"{target}: {len(found.videos)} videos, {without} without features, {found.dim} numbers each"
            )
    except CinescribeError as error:
        print(f"cinescribe: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
