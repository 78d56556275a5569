"""What people make of generated descriptions: the table `corrections`, one small file a correction.

A correction belongs to an interval of a film, not to a text, so it outlives a new run of another model. Each
is a file of its own, written whole and never deleted: to take one back is a correction too. So people who
correct several sentences at once, or listings that race with writers, lose nothing; of the same sentence the
newest counts, and who read an older state is told so instead of overwriting it (`ConflictError`).
"""

import os
import unicodedata
from collections.abc import Iterable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa

from cinescribe import storage, tables
from cinescribe.describe.phrases import forms
from cinescribe.errors import ConflictError, UsageError
from cinescribe.search.lock import writer_lock

TABLE = "corrections"
LONGEST_TEXT = 500  # characters of a description: a minute's speech
LONGEST_AUTHOR = 100  # characters

_DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # turn what stands behind them around

Kind = Literal["text", "removed", "machine"]
Interval = tuple[int, int]  # of a sentence: start and end, milliseconds of the film
Memory = MutableMapping[str, tuple[str, "Correction"]]  # by file name: its stamp and what it held


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person made of the sentence of an interval.

    Attributes:
        film_id: of the film.
        interval: of the sentence, milliseconds.
        kind: `text`, this instead; `removed`, nothing is said; `machine`, the machine's text again.
        text: of the kind `text`, else "".
        author: who, as they name themselves; "" when they don't.
        time: when, UTC, ISO 8601.
    """

    film_id: str
    interval: Interval
    kind: Kind
    text: str = ""
    author: str = ""
    time: str = ""

    @property
    def version(self) -> str:
        """What tells this state of the sentence from all others."""
        return sha256(repr(sorted(asdict(self).items())).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Corrections:
    """All corrections of a film.

    Attributes:
        by_interval: the newest of each sentence.
        stamp: changes with any of them; "" when there never was one.
    """

    by_interval: Mapping[Interval, Correction]
    stamp: str


def interval_of(start: float, end: float) -> Interval:
    """The interval of a sentence, from its seconds."""
    return round(1000 * start), round(1000 * end)


def correction(film_id: str, interval: Interval, kind: Kind, text: str = "", author: str = "") -> Correction:
    """A correction made now; blanks in its text are made single.

    Raises:
        UsageError: a text without a word, or one too long to speak, or control characters.
    """
    text, author = " ".join(text.split()), " ".join(author.split())
    for name, written, longest in (("text", text, LONGEST_TEXT), ("author", author, LONGEST_AUTHOR)):
        if len(written) > longest:
            raise UsageError(f"{name}: has {len(written)} characters; at most {longest}")
        if any(unicodedata.category(one) in ("Cc", "Cs") or one in _DIRECTIONS for one in written):
            raise UsageError(f"{name}: holds control characters; write plain text")
    if kind == "text" and not forms(text):
        raise UsageError("text: holds no word; write what is seen, or remove the description")
    if kind != "text" and text:
        raise UsageError("text: belongs to a corrected description, not to one that is removed or taken back")
    return Correction(film_id, interval, kind, text, author, datetime.now(UTC).isoformat())


def read(root: str, film_id: str, memory: Memory | None = None) -> Corrections:
    """The corrections of a film, from its own files only.

    Args:
        root: folder or `s3://` prefix of the tables.
        film_id: of the film.
        memory: what earlier calls have read; only files that changed since are read, and kept there.

    Raises:
        UsageError: a file is not a correction of that film.
    """
    folder = storage.join(root, TABLE)
    # Stamps before contents: a correction that comes in between is seen as a change the next time.
    stamps = _of_table(storage.list_stamps(folder, _stem(film_id) + "@"))
    memory = {} if memory is None else memory
    changed = [name for name, stamp in stamps.items() if memory.get(name, ("",))[0] != stamp]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(_decoded, [storage.join(folder, name) for name in changed]))
    for name, one in zip(changed, found, strict=True):
        if one.film_id != film_id:
            raise UsageError(f"{storage.join(folder, name)}: a correction of another film; delete it")
        memory[name] = stamps[name], one
    newest = [memory[name][1] for name in stamps]
    return Corrections({one.interval: one for one in newest}, _together(stamps))


def stamps(root: str) -> dict[str, str]:
    """Of each film that was ever corrected the stamp of its corrections, by its rows' name without ending."""
    by_film: dict[str, dict[str, str]] = {}
    for name, stamp in _of_table(storage.list_stamps(storage.join(root, TABLE))).items():
        by_film.setdefault(name.partition("@")[0], {})[name] = stamp
    return {stem: _together(files) for stem, files in by_film.items()}


def write(root: str, new: Correction, expected: str | None = None) -> None:
    """Write a correction in place of the one of its sentence.

    Args:
        root: folder or `s3://` prefix of the tables.
        new: to write.
        expected: the version that its author saw, "" for none; without, the newest counts.

    Raises:
        ConflictError: the sentence was corrected since; nothing is written.
        OSError: the folder can't be written to.
    """
    address = storage.join(root, TABLE, _name(new.film_id, new.interval))
    data = tables.encode(TABLE, [_row(new)])
    if not storage.is_s3(address):
        with writer_lock(storage.join(root, TABLE)):
            if expected is not None:
                _expect(expected, address, storage.read_bytes(address) if storage.exists(address) else b"")
            _write_file(Path(address), data)
    elif expected is None:
        storage.write_bytes(address, data)
    else:
        standing, tag = storage.read_tagged(address)
        _expect(expected, address, standing)
        if not storage.write_if(address, data, tag):
            raise ConflictError(_CHANGED)


def _write_file(path: Path, data: bytes) -> None:
    """Write a file with a later time than before, whatever the clock says: by it changes are seen."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    storage.write_bytes(str(path), data)
    if path.stat().st_mtime_ns <= before:
        os.utime(path, ns=(before + 10**9, before + 10**9))


_CHANGED = "somebody else changed this description meanwhile; look at it and try again"


def _expect(version: str, address: str, standing: bytes) -> None:
    if version != (_correction(address, standing).version if standing else ""):
        raise ConflictError(_CHANGED)


def _row(one: Correction) -> tables.Row:
    start, end = one.interval
    fields = asdict(one)
    del fields["interval"]
    return {**fields, "start": start / 1000, "end": end / 1000}


def _decoded(address: str) -> Correction:
    return _correction(address, storage.read_bytes(address))


def _correction(address: str, data: bytes) -> Correction:
    try:
        (row,) = tables.decode(data).to_pylist()
        interval = interval_of(row.pop("start"), row.pop("end"))
        found = Correction(interval=interval, **row)
        if found.kind not in get_args(Kind):
            raise ValueError(f"kind {found.kind!r}")
        if not all(isinstance(one, str) for one in (found.film_id, found.text, found.author, found.time)):
            raise TypeError("film_id, text, author and time are texts")
    except (pa.ArrowException, KeyError, TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{address}: not a correction ({error}); delete it") from error
    return found


def _stem(film_id: str) -> str:
    return tables.file_name(film_id).removesuffix(".parquet")


def _name(film_id: str, interval: Interval) -> str:
    start, end = interval
    return f"{_stem(film_id)}@{start}-{end}.parquet"


def _of_table(files: Mapping[str, str]) -> dict[str, str]:
    return {name: stamp for name, stamp in sorted(files.items()) if name.endswith(".parquet")}


def _together(files: Mapping[str, str]) -> str:
    return sha256(repr(sorted(files.items())).encode()).hexdigest()[:32] if files else ""


def unknown(corrections: Corrections, intervals: Iterable[Interval]) -> list[Correction]:
    """The corrections of intervals that the film's sentences do not have (any more), in time."""
    there = set(intervals)
    left = {key: one for key, one in corrections.by_interval.items() if key not in there}
    return [one for _, one in sorted(left.items()) if one.kind != "machine"]
