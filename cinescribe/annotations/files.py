"""Published annotation files: found in a folder or a zip file in it, read with errors that name the line."""

import csv
import io
import json
import lzma
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cinescribe.errors import UsageError

_LARGEST = 2**30  # bytes of a file in an archive: many times the largest published one

# What `zipfile` raises on a damaged archive: OSError is bzip2's word for it. RuntimeError: it asks for a
# password; NotImplementedError: packed in a way that Python can't undo.
_NOT_UNPACKED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    NotImplementedError,
)


@dataclass(frozen=True, slots=True)
class AnnotationFile:
    """One file's content.

    Attributes:
        name: where it was found, for messages: a path, or `archive.zip:member`.
        text: its content.
    """

    name: str
    text: str

    def lines(self) -> list[str]:
        """The lines that are not blank, without spaces around them."""
        return [line.strip() for line in self.text.split("\n") if line.strip()]

    def json(self) -> Any:
        """The content as JSON.

        Raises:
            UsageError: it isn't JSON; names the line.
        """
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError) as error:
            line = getattr(error, "lineno", 1)
            raise UsageError(f"{self.name}, line {line}: not JSON ({error}); fetch the file again") from error

    def records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Line numbers and objects of a file with a JSON object a line.

        Raises:
            UsageError: a line isn't one; names it.
        """
        for number, line in enumerate(self.text.split("\n"), start=1):
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UsageError(f"{self.name}, line {number}: not JSON ({error})") from error
            if not isinstance(found, dict):
                raise UsageError(
                    f"{self.name}, line {number}: a JSON object is wanted, with names and values"
                )
            yield number, found

    def table(self, *columns: str) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Line numbers and the values of these columns, of a comma-separated file with a header.

        Raises:
            UsageError: a column is missing, or a line has too few values; names the line.
        """
        reader = csv.reader(io.StringIO(self.text))
        try:
            yield from self._rows(reader, columns)
        except csv.Error as error:
            raise UsageError(f"{self.name}, line {reader.line_num}: not CSV ({error})") from error

    def _rows(self, reader: Any, columns: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
        header: list[str] = next(reader, [])
        missing = [column for column in columns if column not in header]
        if missing:
            raise UsageError(
                f"{self.name}, line 1: no column {', '.join(missing)}; it has {', '.join(header)}"
            )
        places = [header.index(column) for column in columns]
        for row in reader:
            if not row:
                continue
            if len(row) <= max(places):
                raise UsageError(
                    f"{self.name}, line {reader.line_num}: {len(row)} values, the header has {len(header)}"
                )
            yield reader.line_num, tuple(row[place] for place in places)

    def tabbed(self, least: int) -> Iterator[tuple[int, list[str]]]:
        """Line numbers and values of a file with a tab between values and no header; quotes mean nothing.

        Raises:
            UsageError: a line has fewer than `least` values; names it.
        """
        for number, line in enumerate(self.text.split("\n"), start=1):
            if not line.strip():
                continue
            values = [value.strip() for value in line.split("\t")]
            if len(values) < least:
                raise UsageError(
                    f"{self.name}, line {number}: {len(values)} values between tabs, {least} are wanted"
                )
            yield number, values


def find(folder: Path, *names: str) -> AnnotationFile | None:
    """The first of these files that lies in a folder, or in a zip file directly in it; None when none does.

    Raises:
        UsageError: there is no such folder, or a file in it can't be read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give the one that holds {' or '.join(names)}")
    for name in names:
        path = folder / name
        if path.is_file():
            try:
                return AnnotationFile(str(path), _decoded(path.read_bytes()))
            except OSError as error:
                raise UsageError(f"{path}: can't be read ({error.strerror})") from error
    for archive in sorted(folder.glob("*.zip")):
        try:
            with zipfile.ZipFile(archive) as packed:
                members = {Path(member.filename).name: member for member in packed.infolist()}
                for name in names:
                    if name in members:
                        where = f"{archive}:{members[name].filename}"
                        if members[name].file_size > _LARGEST:  # more than it says is never unpacked
                            raise UsageError(
                                f"{where}: {members[name].file_size / 2**30:.1f} GB unpacked, more than any "
                                "annotation has; fetch it again from the data set's authors"
                            )
                        return AnnotationFile(where, _decoded(packed.read(members[name])))
        except _NOT_UNPACKED as error:
            raise UsageError(f"{archive}: can't be unpacked ({error}); fetch it again") from error
    return None


def need(folder: Path, *names: str) -> AnnotationFile:
    """As `find`, but a file has to be there.

    Raises:
        UsageError: none is.
    """
    found = find(folder, *names)
    if found is None:
        raise UsageError(
            f"{folder}: no {' or '.join(names)} there, nor in a zip file there; fetch it from the "
            "data set's authors and put it there under that name"
        )
    return found


def find_splits(folder: Path, files: Mapping[str, Sequence[str]]) -> dict[str, AnnotationFile]:
    """The file of each split, where there is one.

    Args:
        folder: as of `find`.
        files: by split the names that its file may have.

    Raises:
        UsageError: none is there.
    """
    found = {split: file for split, names in files.items() if (file := find(folder, *names)) is not None}
    if not found:
        need(folder, *(names[0] for names in files.values()))
    return found


def captions_of(values: Any, where: str) -> tuple[str, ...]:
    """Captions without spaces around them, blank ones left out.

    Raises:
        UsageError: they are not a list of texts; `where` names the file and the place in it.
    """
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise UsageError(f"{where}: a list of captions is wanted")
    if not all(isinstance(value, str) for value in values):
        raise UsageError(f"{where}: a caption is not a text")
    return tuple(value.strip() for value in values if value.strip())


def span_of(value: Any, where: str) -> tuple[float, float]:
    """Start and end, seconds; the two the wrong way round, as some published ones are, are put right.

    Raises:
        UsageError: it is not a pair of numbers of 0 or more; `where` names the file and the place in it.
    """
    try:
        first, second = float(value[0]), float(value[1])
    except (TypeError, ValueError, IndexError, KeyError, OverflowError) as error:
        raise UsageError(f"{where}: a pair of seconds is wanted, not {value!r}") from error
    if not (math.isfinite(first) and math.isfinite(second) and min(first, second) >= 0):
        raise UsageError(f"{where}: {value!r} is no span of time")
    return min(first, second), max(first, second)


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")  # LSMDC's files have a few curly quotes
