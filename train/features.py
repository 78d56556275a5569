"""Features of films, read when they are needed: our tables, or an `.npy` file a film as HowTo100M's."""

import io
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe import storage, tables
from cinescribe.errors import UsageError

_KEPT_BYTES = 2 * 2**30  # of a worker, features last read
_ENDINGS = (".webm", ".mp4", ".mkv", ".avi")  # HowTo100M's files are called VIDEO.mp4.npy


@dataclass(frozen=True, slots=True)
class FilmFeatures:
    """Features of a film: float16 [T, D], row t stands for the second t / hz; NaN where nothing was seen."""

    array: NDArray[np.float16]
    hz: float


class FeatureStore:
    """The features of one encoder under a root; safe to be read from several threads.

    Args:
        root: folder or `s3://` prefix; the features lie in `features/<encoder>/`, as rows of our table or as
            `<film>.npy` [T, D].
        encoder: its name.
        npy_hz: rate of features in `.npy` files, which don't tell it.

    Raises:
        UsageError: there are none.
    """

    def __init__(self, root: str, encoder: str, npy_hz: float = 1.0) -> None:
        self._root, self._encoder, self._npy_hz = root, encoder, npy_hz
        self._folder = storage.join(root, tables.FEATURES + encoder)
        self._npy: dict[str, str] = {}
        self._chunks: set[str] = set()
        for name in storage.list_names(self._folder):
            if name.endswith(".npy"):
                film = name.removesuffix(".npy")
                for ending in _ENDINGS:
                    film = film.removesuffix(ending)
                self._npy[film] = name
            elif name.endswith(".parquet"):
                self._chunks.add(name.rpartition("@")[0])
        if not self._npy and not self._chunks:
            there = ", ".join(tables.encoders_of(root)) or "none"
            raise UsageError(f"no features in {self._folder}; encoders with features there: {there}")
        self._kept: OrderedDict[str, FilmFeatures] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __contains__(self, film_id: str) -> bool:
        return film_id in self._npy or tables.file_name(film_id).removesuffix(".parquet") in self._chunks

    def dim(self, film_ids: "list[str]") -> int:
        """Width of a feature, from one of the films."""
        return int(self.read(film_ids[0]).array.shape[1])

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
        if film_id in self._npy:
            address = storage.join(self._folder, self._npy[film_id])
            try:
                array: NDArray[Any] = np.load(io.BytesIO(storage.read_bytes(address)), allow_pickle=False)
            except (ValueError, EOFError) as error:
                raise UsageError(f"{address}: not a plain array ({error})") from error
            if array.ndim != 2 or not len(array):
                raise UsageError(f"{address}: of shape {array.shape}, where [seconds, dim] is wanted")
            return FilmFeatures(array.astype(np.float16), self._npy_hz)
        found = tables.read_features(self._root, self._encoder, film_id)
        if found is None:
            raise UsageError(f"{film_id} has no features in {self._folder}")
        rows = np.round(found.times * found.hz).astype(np.int64)
        if len(rows) == rows[-1] + 1:
            return FilmFeatures(found.array, found.hz)
        whole = np.full((rows[-1] + 1, found.array.shape[1]), np.nan, np.float16)  # a chunk is missing
        whole[rows] = found.array
        return FilmFeatures(whole, found.hz)
