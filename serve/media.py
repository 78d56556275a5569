"""The films' bytes: only films of the tables, only from under the media roots, in ranges."""

import mimetypes
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path, PurePosixPath
from typing import Any

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from cinescribe import storage, tables
from cinescribe.media.cache import split_s3
from serve.replies import refusal

# A client that asks for a range gets at most this much of it and asks for the next: what is on its way to a
# slow client lies in memory, and players ask for "all from here on" (RFC 9110, 14.2 allows to send less).
PIECE = 4 * 2**20
_BLOCK = 256 * 1024
_PLAYABLE = {
    ".mp4",
    ".m4v",
    ".webm",
    ".mp3",
    ".m4a",
    ".wav",
    ".ogg",
    ".ogv",
    ".oga",
    ".opus",
    ".flac",
    ".aac",
}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Film:
    """The bytes of a film, opened.

    Attributes:
        size: bytes.
        etag: a strong validator, in its quotes.
        modified: seconds since 1970.
        kind: media type.
        read: bytes [start, end) in blocks.
        close: to be called when `read` is not.
    """

    size: int
    etag: str
    modified: float
    kind: str
    read: Callable[[int, int], Iterator[bytes]]
    close: Callable[[], None]


def media_type(uri: str) -> str:
    """The media type by the name's ending."""
    suffix = PurePosixPath(uri).suffix.lower()
    known = {".mkv": "video/x-matroska", ".ts": "video/mp2t", ".m2ts": "video/mp2t", ".opus": "audio/ogg"}
    return known.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")


def container_is_playable(uri: str) -> bool:
    """Whether browsers play the container, by its name; the codec inside may still be another."""
    return PurePosixPath(uri).suffix.lower() in _PLAYABLE


def open_film(row: tables.Row, roots: Sequence[str]) -> Film:
    """Open the film of a row of the `films` table.

    Args:
        row: of `films`.
        roots: folders and s3:// prefixes; empty: the folder that the table itself says the film is in.

    Raises:
        HTTPException: 404, when it is not there, not a file, or outside the roots.
    """
    uri = str(row["uri"])
    return _open_s3(uri, roots) if storage.is_s3(uri) else _open_local(local_path(uri, roots))


def local_path(uri: str, roots: Sequence[str]) -> Path:
    """The real path of a local film, links resolved. Raises HTTPException 404 outside the roots."""
    real = Path(os.path.realpath(uri))
    folders = [root for root in roots if not storage.is_s3(root)] if roots else [str(Path(uri).parent)]
    if "\0" in uri or not any(real.is_relative_to(os.path.realpath(folder)) for folder in folders):
        raise _gone("the film lies outside the media roots; its operator can name them with --media-root")
    return real


def _open_local(path: Path) -> Film:
    try:
        # Neither a link put there meanwhile nor a pipe that never answers.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _gone("the film's file is not there any more") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _gone("the film is not a file")
    # A file object closes itself where a client left before the first byte was read.
    file = os.fdopen(descriptor, "rb", buffering=0)
    status = os.fstat(descriptor)

    def read(start: int, end: int) -> Iterator[bytes]:
        try:
            while start < end and (block := os.pread(file.fileno(), min(_BLOCK, end - start), start)):
                start += len(block)
                yield block
        finally:
            file.close()

    etag = f'"{status.st_size:x}-{status.st_mtime_ns:x}"'
    return Film(status.st_size, etag, status.st_mtime, media_type(path.name), read, file.close)


def _open_s3(uri: str, roots: Sequence[str]) -> Film:
    from botocore.exceptions import BotoCoreError, ClientError

    prefixes = [root.rstrip("/") + "/" for root in roots if storage.is_s3(root)]
    if roots and not any(uri.startswith(prefix) for prefix in prefixes):
        raise _gone("the film lies outside the media roots; its operator can name them with --media-root")
    bucket, key = split_s3(uri)
    try:
        head = storage.s3_client().head_object(Bucket=bucket, Key=key)
    except (BotoCoreError, ClientError) as error:
        raise _gone("the film's object is not there, or may not be read") from error
    etag: str = head["ETag"]

    def read(start: int, end: int) -> Iterator[bytes]:
        got = storage.s3_client().get_object(
            Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}", IfMatch=etag
        )
        try:
            yield from got["Body"].iter_chunks(_BLOCK)
        finally:
            got["Body"].close()

    modified = head["LastModified"].timestamp()
    return Film(head["ContentLength"], etag, modified, media_type(key), read, lambda: None)


def respond(request: Request, film: Film) -> Response:
    """The reply to a GET or HEAD of a film: whole, a range, or that nothing changed.

    Raises:
        HTTPException: 416, for a range that lies outside the film.
    """
    headers = {
        "accept-ranges": "bytes",
        "etag": film.etag,
        "last-modified": formatdate(film.modified, usegmt=True),
        "cache-control": "private, max-age=0, must-revalidate",
        "content-disposition": "inline",
    }
    if _unchanged(request, film):
        film.close()
        return Response(None, 304, headers)
    try:
        span = _span(request, film)
    except ValueError:
        film.close()
        raise refusal(
            416, "range", "the range lies outside the film", {"Content-Range": f"bytes */{film.size}"}
        ) from None
    status, (start, end) = (206, span) if span else (200, (0, film.size))
    if span:
        headers["content-range"] = f"bytes {start}-{end - 1}/{film.size}"
    headers["content-length"] = str(end - start)
    if request.method == "HEAD" or start == end:
        film.close()
        return Response(None, status, headers, film.kind)
    return StreamingResponse(film.read(start, end), status, headers, film.kind)


def _unchanged(request: Request, film: Film) -> bool:
    tags = request.headers.get("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or film.etag in (tag.strip().removeprefix("W/") for tag in tags.split(","))
    since = _date(request.headers.get("if-modified-since"))
    return since is not None and int(film.modified) <= since


def _span(request: Request, film: Film) -> tuple[int, int] | None:
    """The asked range as [start, end), at most a piece; None for the whole. Raises ValueError outside."""
    asked = request.headers.get("range", "")
    condition = request.headers.get("if-range")
    if condition is not None and condition.strip() != film.etag and not _same_date(condition, film):
        return None
    match = _RANGE.fullmatch(asked.replace(" ", ""))
    if match is None or not (match[1] or match[2]) or len(asked) > 64:
        return None  # none, several, or another unit: the whole film is a right answer to each
    if match[1]:
        start = int(match[1])
        end = min(int(match[2]) + 1, film.size) if match[2] else film.size
        if match[2] and int(match[2]) < start:
            return None
    else:
        start, end = max(film.size - int(match[2]), 0), film.size
    if start >= end:
        raise ValueError(asked)
    return start, min(end, start + PIECE)


def _same_date(condition: str, film: Film) -> bool:
    return _date(condition) == int(film.modified)


def _date(text: str | None) -> int | None:
    try:
        return int(parsedate_to_datetime(text).timestamp()) if text else None
    except (ValueError, OverflowError):
        return None


def _gone(message: str) -> Any:
    return refusal(404, "media", message)
