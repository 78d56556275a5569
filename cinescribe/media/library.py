"""The films a person names: files, folders, globs and S3 prefixes become a sorted list with stable names."""

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from cinescribe.errors import UsageError
from cinescribe.media.cache import s3_error, split_s3
from cinescribe.storage import s3_client

# What counts as a film inside a folder; a file named by itself is always taken.
MEDIA_EXTENSIONS = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .ts .m2ts .mts .mpg .mpeg .vob .flv .wmv .asf .mxf .ogv .3gp .3g2 .rm "
    ".rmvb .wav .mp3 .flac .m4a .aac .ac3 .eac3 .ogg .oga .opus .aif .aiff .caf .wma .mka .sph".split()
)


@dataclass(frozen=True, slots=True)
class FilmRef:
    """One film to work on.

    Attributes:
        film_id: path under the input root, posix, without extension unless two films would share it.
        uri: absolute local path, or s3://bucket/key.
        bytes: size as listed.
        etag: of the S3 object; of a local file its size and time of change.
    """

    film_id: str
    uri: str
    bytes: int
    etag: str


def list_films(inputs: Sequence[str]) -> list[FilmRef]:
    """Films of files, folders (recursive), globs, file:// and s3://bucket/prefix, sorted by film_id.

    Only names are looked at: an empty or broken film is listed, to fail where it is read. Hidden files and
    folders are passed over unless named. A folder, a glob's fixed part and an S3 prefix up to its last
    slash are the root that film_ids are relative to.

    Raises:
        UsageError: an input matches nothing, or two different films get one film_id even with extension.
        MediaError: S3 refuses the listing.
    """
    found: dict[str, tuple[str, int, str]] = {}  # uri: name under its root, size, etag
    for given in inputs:
        matches = list(_list_s3(given) if given.startswith("s3://") else _list_local(given))
        if not matches:
            raise UsageError(
                f"{given}: no film there. Known extensions: {' '.join(sorted(MEDIA_EXTENSIONS))}"
            )
        for name, uri, size, etag in matches:
            if any("\ud800" <= sign <= "\udfff" for sign in uri):
                raise UsageError(f"{uri!r}: the name is not UTF-8, so no table can hold it; rename the file")
            found.setdefault(uri, (name, size, etag))
    stems = Counter(_stem(name) for name, _, _ in found.values())
    films: dict[str, FilmRef] = {}
    for uri, (name, size, etag) in found.items():
        film_id = _stem(name) if stems[_stem(name)] == 1 else name
        if film_id in films:
            raise UsageError(
                f"{uri} and {films[film_id].uri} would both be film {film_id!r}: give their common folder."
            )
        films[film_id] = FilmRef(film_id, uri, size, etag)
    return [films[film_id] for film_id in sorted(films)]


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _is_media(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return not any(part.startswith(".") for part in parts) and (
        PurePosixPath(name).suffix.lower() in MEDIA_EXTENSIONS
    )


def _list_local(given: str) -> Iterator[tuple[str, str, int, str]]:
    """Name under the root, absolute path, size and etag."""
    path = Path(unquote(given.removeprefix("file://")) if given.startswith("file://") else given).expanduser()
    path = Path(os.path.abspath(path))
    if path.is_dir():
        names: list[str] = []
        seen: set[str] = set()
        for folder, below, files in os.walk(path, followlinks=True):
            if (real := os.path.realpath(folder)) in seen:  # a link in a circle
                below.clear()
                continue
            seen.add(real)
            names += [os.path.relpath(os.path.join(folder, file), path) for file in files]
        root, names = path, [name for name in names if _is_media(Path(name).as_posix())]
    elif path.exists():  # before globbing: a name may hold brackets
        root, names = path.parent, [path.name]
    else:
        fixed = [part for part in path.parts if not glob.has_magic(part)]
        root = Path(*fixed[: next(i for i, part in enumerate((*path.parts, "*")) if glob.has_magic(part))])
        pattern = os.path.relpath(path, root)
        names = [
            name
            for name in glob.glob(pattern, root_dir=root, recursive=True)
            if (root / name).is_file() and _is_media(Path(name).as_posix())
        ]
    for name in names:
        try:
            status = (root / name).stat()
            size, etag = status.st_size, f"{status.st_size}-{status.st_mtime_ns}"
        except OSError:  # a dangling link or a file just removed: listed, so that it becomes an error row
            size, etag = 0, ""
        yield Path(name).as_posix(), str(root / name), size, etag


def _list_s3(given: str) -> Iterator[tuple[str, str, int, str]]:
    """Key under the root, URI, size and etag."""
    bucket, key = split_s3(given)
    magic = glob.has_magic(key)
    fixed = key[: min(key.find(sign) for sign in "*?[" if sign in key)] if magic else key
    for pattern in (False, True) if magic else (False,):  # a key may hold brackets: the plain name goes first
        prefix = fixed if pattern else key
        objects = list(_objects(given, bucket, prefix))
        named = [item for item in objects if item["Key"] == key]
        if named and not pattern:
            root, objects = key.rpartition("/")[0], named
        elif pattern:
            root = fixed.rpartition("/")[0]
            objects = [item for item in objects if fnmatchcase(item["Key"], key)]
        else:
            root = prefix.rpartition("/")[0] if not prefix or prefix.endswith("/") else prefix
            objects = [item for item in objects if not root or item["Key"].startswith(root + "/")]
        start = len(root) + 1 if root else 0
        taken = [item for item in objects if (named and not pattern) or _is_media(item["Key"][start:])]
        for item in taken:
            yield item["Key"][start:], f"s3://{bucket}/{item['Key']}", item["Size"], item["ETag"].strip('"')
        if taken:
            return


def _objects(given: str, bucket: str, prefix: str) -> Iterator[Any]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        for page in s3_client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from page.get("Contents", ())
    except (BotoCoreError, ClientError) as error:
        raise s3_error(given, error) from error
