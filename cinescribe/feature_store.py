"""Features of films, read when they are needed: our tables, or files as the papers' data sets have them.

HowTo100M has an `.npy` file a film, MAD one `.h5` file with a data set a film.
"""

import io
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from cinescribe import storage, tables
from cinescribe.errors import UsageError

_KEPT_BYTES = 2 * 2**30  # of a worker, features last read
_NOT_H5 = (OSError, KeyError, TypeError, ValueError, RuntimeError, MemoryError)  # what h5py raises on damage
_ENDINGS = (".webm", ".mp4", ".mkv", ".avi")  # HowTo100M's files are called VIDEO.mp4.npy


@dataclass(frozen=True, slots=True)
class FilmFeatures:
    """Features of a film: float16 [T, D], row t stands for the second t / hz; NaN where nothing was seen."""

    array: NDArray[np.float16]
    hz: float


class FeatureStore:
    """The features of one encoder under a root; safe to be read from several threads.

    Args:
        root: folder or `s3://` prefix; the features lie in `features/<encoder>/`, as rows of our table, as
            `<film>.npy` [T, D] or `<film>.h5` with one data set [T, D]; or in `features/<encoder>.h5`, a data
            set [T, D] a film (as MAD's), which must be on a disk.
        encoder: its name.
        file_hz: rate of features in such files, which don't tell it; 0 for what the encoder's name says
            ("..._5fps"), else one a second.

    Raises:
        UsageError: there are none.
    """

    def __init__(self, root: str, encoder: str, file_hz: float = 0.0) -> None:
        told = re.search(r"_(\d+(?:\.\d+)?)fps$", encoder)
        self._file_hz = file_hz or (float(told[1]) if told else 1.0)
        self._root, self._encoder = root, encoder
        self._folder = storage.join(root, tables.FEATURES + encoder)
        self._files: dict[str, str] = {}
        self._chunks: set[str] = set()
        self._h5 = _in_one_file(f"{self._folder}.h5")
        for name in storage.list_names(self._folder):
            if name.endswith((".npy", ".h5")):
                film = name.rpartition(".")[0]
                for ending in _ENDINGS:
                    film = film.removesuffix(ending)
                self._files[film] = name
            elif name.endswith(".parquet"):
                self._chunks.add(name.rpartition("@")[0])
        if not self._files and not self._chunks and not self._h5:
            there = ", ".join(tables.encoders_of(root)) or "none"
            raise UsageError(f"no features in {self._folder}; encoders with features there: {there}")
        self._kept: OrderedDict[str, FilmFeatures] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __contains__(self, film_id: str) -> bool:
        if film_id in self._files or film_id in self._h5:
            return True
        return tables.file_name(film_id).removesuffix(".parquet") in self._chunks

    def ids(self) -> list[str]:
        """The films that have features, sorted; those with very long names in our table are left out."""
        ours = {unquote(name) for name in self._chunks if len(f"{name}.parquet") < tables.LONGEST_NAME}
        return sorted({*self._files, *self._h5, *ours})

    def dim(self, film_ids: "list[str]") -> int:
        """Width of a feature, from one of the films."""
        return int(self.read(film_ids[0]).array.shape[1])

    def seconds(self, film_id: str) -> float:
        """How long a film's features last; errors as of `read`."""
        if film_id in self._h5:
            return self._h5[film_id] / self._file_hz
        found = self.read(film_id)
        return len(found.array) / found.hz

    def read(self, film_id: str) -> FilmFeatures:
        """All features of a film.

        Raises:
            UsageError: it has none, or the file isn't an array [T, D].
        """
        with self._lock:
            if film_id in self._kept:
                self._kept.move_to_end(film_id)
                return self._kept[film_id]
        found = self._read(film_id)
        with self._lock:
            if film_id not in self._kept:
                self._kept[film_id] = found
                self._bytes += found.array.nbytes
            while self._bytes > _KEPT_BYTES and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].array.nbytes
        return found

    def _read(self, film_id: str) -> FilmFeatures:
        if film_id in self._h5:
            return self._of_file(f"{self._folder}.h5", film_id)
        if film_id in self._files:
            return self._of_file(storage.join(self._folder, self._files[film_id]), None)
        found = tables.read_features(self._root, self._encoder, film_id)
        if found is None:
            raise UsageError(f"{film_id} has no features in {self._folder}")
        return FilmFeatures(found.whole(), found.hz)

    def _of_file(self, address: str, entry: str | None) -> FilmFeatures:
        """Of an entry of an `.h5` file, or a file of the film's own."""
        array = _h5_array(address, entry) if address.endswith(".h5") else _npy_array(address)
        if array.ndim != 2 or not len(array) or array.dtype.kind not in "fiu":
            raise UsageError(
                f"{address}: {array.dtype} of shape {array.shape}, where numbers [seconds, dim] are wanted"
            )
        return FilmFeatures(array.astype(np.float16), self._file_hz)


def _npy_array(address: str) -> NDArray[Any]:
    data = storage.read_bytes(address)
    try:
        array: NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # a broken header raises nearly anything
        raise UsageError(f"{address}: not a plain array ({error})") from error
    return array


def _in_one_file(address: str) -> dict[str, int]:
    """The films of a `.h5` file with a data set for each, and their lengths; none when there is no file."""
    if storage.is_s3(address):
        if storage.exists(address):
            raise UsageError(f"{address}: a file of all films' features is read from a disk; copy it to one")
        return {}
    if not storage.exists(address):
        return {}
    import h5py

    try:
        with h5py.File(address, "r") as file:
            return {name: len(entry) for name, entry in file.items()}
    except _NOT_H5 as error:
        raise UsageError(f"{address}: not an HDF5 file of data sets ({error}); copy it again") from error


def _h5_array(address: str, film_id: str | None) -> NDArray[Any]:
    """The data set of a film, or the only one of the file."""
    import h5py

    source = io.BytesIO(storage.read_bytes(address)) if film_id is None else address
    try:
        with h5py.File(source, "r") as file:
            if film_id is None and len(file) != 1:
                raise UsageError(
                    f"{address}: holds {len(file)} entries; one data set [seconds, dim] is wanted"
                )
            found = file[film_id or next(iter(file))]
            if not isinstance(found, h5py.Dataset):
                raise UsageError(f"{address}: {found.name} is a group; a data set [seconds, dim] is wanted")
            return np.asarray(found)
    except _NOT_H5 as error:
        raise UsageError(f"{address}: not an HDF5 file ({error}); copy it again") from error
