"""A retrieval run on disk: how alike every text and every video of a test set are to a model.

texts.jsonl                    a line a text: {"text": "...", "video": 3}, the number of the video it is of
videos.jsonl                   a line a video: {"film": "a/b", "start": 1.5, "end": 4.0}; null: a whole film
similarity-SEED.safetensors    the tensor "similarity" [texts, videos], higher is more alike; one a seed

A table may also be called `similarity.safetensors`, `similarity.npy` or `similarity-SEED.npy`.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cinescribe.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

TEXTS, VIDEOS = "texts.jsonl", "videos.jsonl"
_TABLE = re.compile(r"similarity(?:-(?P<seed>[\w.+-]+))?\.(?:safetensors|npy)")
_HALF = re.compile("[\ud800-\udfff]")  # of a character that UTF-16 parts in two
_BLOCK_BYTES = 32 * 2**20  # of a table, read at once


@dataclass(frozen=True, slots=True)
class Text:
    """A query.

    Attributes:
        text: its words.
        video: number of the video it is of.
    """

    text: str
    video: int


@dataclass(frozen=True, slots=True)
class Video:
    """What is looked for.

    Attributes:
        film: film_id.
        start: seconds; None where the whole film is meant.
        end: seconds, exclusive; None where the whole film is meant.
    """

    film: str
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """The similarities of one seed, on disk.

    Attributes:
        seed: as in the file's name; "" where it has none.
        path: of the file.
        shape: (texts, videos).
    """

    seed: str
    path: Path
    shape: tuple[int, int]

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Number of the first text, and the rows [n, videos] from there on, a bounded part at a time.

        Raises:
            UsageError: a similarity is not a number.
        """
        rows = max(1, _BLOCK_BYTES // (8 * max(1, self.shape[1])))
        for first in range(0, self.shape[0], rows):
            block = self.rows(first, min(first + rows, self.shape[0]))
            if np.isnan(block).any():
                text = first + int(np.flatnonzero(np.isnan(block).any(axis=1))[0])
                raise UsageError(f"{self.path}: a similarity of text {text} is not a number")
            yield first, block

    def rows(self, first: int, end: int) -> NDArray[np.float64]:
        """Rows [end - first, videos], no more of the file is read."""
        if self.path.suffix == ".npy":
            return np.array(np.load(self.path, mmap_mode="r", allow_pickle=False)[first:end], np.float64)
        from safetensors import safe_open

        with safe_open(self.path, framework="numpy") as file:
            return np.asarray(file.get_slice("similarity")[first:end], np.float64)


@dataclass(frozen=True, slots=True)
class Run:
    """Tables of one or several seeds over the same texts and videos, in the order of their seeds."""

    texts: tuple[Text, ...]
    videos: tuple[Video, ...]
    tables: tuple[Table, ...]

    @property
    def video_of(self) -> NDArray[np.int64]:
        """[texts] number of the video each is of."""
        return np.asarray([text.video for text in self.texts], np.int64)


def encodable(text: str) -> str:
    """The text with a mark in place of each half of a character, which no file or page can hold."""
    return _HALF.sub("\N{REPLACEMENT CHARACTER}", text)


def write_run(
    folder: Path, similarity: "ArrayLike", texts: Sequence[Text], videos: Sequence[Video], seed: int
) -> None:
    """Write one seed's table into the folder of a run; that seed's is replaced, those of others stay.

    Args:
        folder: of the run, made if need be.
        similarity: [texts, videos], higher is more alike; written as float32.
        texts: the queries.
        videos: what is looked for.
        seed: of the model.

    Raises:
        UsageError: sizes don't fit, or the folder holds a run over other texts or videos.
    """
    from safetensors.numpy import save_file

    table = np.ascontiguousarray(similarity, dtype=np.float32)
    if table.shape != (len(texts), len(videos)):
        raise UsageError(
            f"similarities {table.shape} of {len(texts)} texts and {len(videos)} videos don't fit"
        )
    if texts and not 0 <= min(text.video for text in texts) <= max(text.video for text in texts) < len(
        videos
    ):
        raise UsageError(f"a text is of a video that the {len(videos)} videos don't include")
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in ((TEXTS, texts), (VIDEOS, videos)):
        content = encodable("".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows))
        path = folder / name
        if path.exists() and list(folder.glob("similarity*")):
            if path.read_text(encoding="utf-8") != content:
                raise UsageError(f"{path}: the run there is over others than these; give another folder")
        else:
            _replace(path, content.encode())
    part = folder / f".similarity-{seed}.part"
    save_file({"similarity": table}, part)
    part.replace(folder / f"similarity-{seed}.safetensors")


def read_run(folders: Sequence[Path]) -> Run:
    """The run in a folder, or that of several folders with one model each.

    Raises:
        UsageError: a file is missing or not of this form (names it and the line), or the folders' texts or
            videos differ.
    """
    texts, videos = _read_texts(folders[0]), _read_videos(folders[0])
    tables = []
    for folder in folders:
        if folder != folders[0] and (_read_texts(folder) != texts or _read_videos(folder) != videos):
            raise UsageError(
                f"{folder}: its texts or videos are not those of {folders[0]}; give one test set's"
            )
        found = [
            (match["seed"] or "", path)
            for path in folder.iterdir()
            if (match := _TABLE.fullmatch(path.name)) is not None
        ]
        found.sort(key=lambda entry: (len(entry[0]), entry[0]))  # 9 before 10
        if not found:
            raise UsageError(
                f"{folder}: no similarity.safetensors, similarity.npy or similarity-SEED.safetensors"
            )
        tables += [Table(seed, path, _shape(path)) for seed, path in found]
    for table in tables:
        if table.shape != (len(texts), len(videos)):
            raise UsageError(
                f"{table.path}: {table.shape[0]} x {table.shape[1]} similarities, but there are {len(texts)} "
                f"texts and {len(videos)} videos"
            )
    for number, text in enumerate(texts, 1):
        if not 0 <= text.video < len(videos):
            raise UsageError(f"{folders[0] / TEXTS}, line {number}: there is no video {text.video}")
    if not texts:
        raise UsageError(f"{folders[0] / TEXTS}: no texts, so there is nothing to score")
    return Run(texts, videos, tuple(tables))


def _read_texts(folder: Path) -> tuple[Text, ...]:
    return tuple(
        Text(_checked(entry, "text", str, where), _checked(entry, "video", int, where))
        for where, entry in _lines(folder / TEXTS)
    )


def _read_videos(folder: Path) -> tuple[Video, ...]:
    videos = []
    for where, entry in _lines(folder / VIDEOS):
        start, end = (_seconds(entry.get(name), where) for name in ("start", "end"))
        videos.append(Video(_checked(entry, "film", str, where), start, end))
    return tuple(videos)


def _seconds(value: Any, where: str) -> float | None:
    try:
        if value is None or (type(value) in (int, float) and math.isfinite(value)):
            return value
    except OverflowError:  # a whole number of hundreds of digits
        pass
    raise UsageError(f"{where}: start and end are seconds, or null")


def _checked(entry: dict[str, Any], name: str, kind: type, where: str) -> Any:
    value = entry.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise UsageError(f"{where}: {name} should be {kind.__name__}, not {value!r}")
    return encodable(value) if isinstance(value, str) else value


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: can't be read ({error}); a run has {TEXTS} and {VIDEOS}. Of a trained "
            "model give --model and the rest"
        ) from error
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{where}: not JSON ({error})") from error
        if not isinstance(entry, dict):
            raise UsageError(f"{where}: a JSON object is wanted")
        yield where, entry


def _shape(path: Path) -> tuple[int, int]:
    """(texts, videos) of a table, of which nothing but the header is read."""
    from safetensors import SafetensorError, safe_open

    try:
        if path.suffix == ".npy":
            table = np.load(path, mmap_mode="r", allow_pickle=False)
            shape, kind, numbers = tuple(table.shape), str(table.dtype), table.dtype.kind in "fiu"
        else:
            with safe_open(path, framework="numpy") as file:
                part = file.get_slice("similarity")
                shape, kind = tuple(part.get_shape()), part.get_dtype()
            numbers = re.fullmatch(r"F(16|32|64)|[IU]\d+", kind) is not None
    except (OSError, ValueError, EOFError, SafetensorError) as error:
        raise UsageError(f"{path}: not a table of similarities ({error}); write it with write_run") from error
    if not numbers:
        raise UsageError(f"{path}: numbers of type {kind}, which can't be read; write it as float32")
    if len(shape) != 2:
        raise UsageError(f"{path}: of shape {shape}, where [texts, videos] is wanted")
    return int(shape[0]), int(shape[1])


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
