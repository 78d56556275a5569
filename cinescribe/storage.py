"""Bytes at a local path or an `s3://` address: the little that the tables need, the same for both."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from cinescribe.errors import UsageError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@lru_cache(maxsize=1)
def s3_client() -> "S3Client":
    """The S3 client of this process, made from the usual environment (AWS_PROFILE, AWS_ENDPOINT_URL, ...).

    Raises:
        UsageError: the endpoint or the region is none; it may hold a password, so it isn't quoted.
    """
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "total_max_attempts": 10},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=32,
    )
    try:
        return boto3.Session().client("s3", config=config)
    except ValueError:
        raise UsageError(
            "S3: AWS_ENDPOINT_URL must be http://HOST:PORT or https://HOST, AWS_DEFAULT_REGION a region such "
            "as eu-central-1; one of them is not"
        ) from None


def is_s3(uri: str) -> bool:
    """Whether the address is an object on S3 rather than a local path."""
    return uri.startswith("s3://")


def join(root: str, *parts: str) -> str:
    """The address of `parts` under `root`."""
    return "/".join((root.rstrip("/") or "/", *parts)) if parts else root


def write_bytes(uri: str, data: bytes) -> None:
    """Write all of `data` or nothing: a reader never sees half of it, also when the writer is killed."""
    if is_s3(uri):
        bucket, key = _location(uri)
        with _explained(uri):
            s3_client().put_object(Bucket=bucket, Key=key, Body=data)
        return
    path = Path(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A leading dot: readers of Parquet folders skip what a killed writer leaves behind.
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def move_file(path: Path, uri: str) -> None:
    """Move a local file of any size there, whole or not at all.

    Args:
        path: the file; for a local `uri` on the same file system.
        uri: where to; what is there is replaced.
    """
    if is_s3(uri):
        from boto3.exceptions import Boto3Error

        bucket, key = _location(uri)
        with _explained(uri):
            try:
                s3_client().upload_file(str(path), bucket, key)
            except Boto3Error as error:
                raise UsageError(
                    f"{uri}: can't be written ({error}); check the bucket and your rights"
                ) from error
        path.unlink()
    else:
        Path(uri).parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, uri)


def read_bytes(uri: str) -> bytes:
    """The whole content. Raises FileNotFoundError when there is nothing at that address."""
    if not is_s3(uri):
        return Path(uri).read_bytes()
    bucket, key = _location(uri)
    with _explained(uri):
        return s3_client().get_object(Bucket=bucket, Key=key)["Body"].read()


def exists(uri: str) -> bool:
    """Whether there is a file or object at that address."""
    if not is_s3(uri):
        return Path(uri).is_file()
    bucket, key = _location(uri)
    try:
        with _explained(uri):
            s3_client().head_object(Bucket=bucket, Key=key)
    except FileNotFoundError:
        return False
    return True


def delete(uri: str) -> None:
    """Delete what is there, if anything."""
    if is_s3(uri):
        bucket, key = _location(uri)
        with _explained(uri):
            s3_client().delete_object(Bucket=bucket, Key=key)
    else:
        Path(uri).unlink(missing_ok=True)


def list_names(folder: str) -> set[str]:
    """Names of the files directly in a folder, hidden ones left out; empty when there is no such folder."""
    if not is_s3(folder):
        try:
            return {entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")}
        except FileNotFoundError:
            return set()
    bucket, prefix = _location(join(folder, ""))
    with _explained(folder):
        pages = (
            s3_client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
        )
        return {item["Key"][len(prefix) :] for page in pages for item in page.get("Contents", ())}


def list_folders(folder: str) -> set[str]:
    """Names of the folders directly in a folder, hidden ones left out; empty when there is no such folder."""
    if not is_s3(folder):
        try:
            entries = [entry for entry in os.scandir(folder) if entry.is_dir()]
        except FileNotFoundError:
            return set()
        return {entry.name for entry in entries if not entry.name.startswith(".")}
    bucket, prefix = _location(join(folder, ""))
    with _explained(folder):
        pages = (
            s3_client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
        )
        return {
            item["Prefix"][len(prefix) :].rstrip("/")
            for page in pages
            for item in page.get("CommonPrefixes", ())
        }


def list_stamps(folder: str, begins: str = "") -> dict[str, str]:
    """The files directly in a folder, as `list_names`, each with what changes when it is written anew.

    On S3 that is the object's ETag, in a folder the file's size and time.

    Args:
        folder: local or on S3.
        begins: only files whose names begin so.
    """
    if not is_s3(folder):
        stamps = {}
        for name in list_names(folder):
            if not name.startswith(begins):
                continue
            try:
                entry = os.stat(os.path.join(folder, name))
            except FileNotFoundError:  # deleted meanwhile
                continue
            stamps[name] = f"{entry.st_size}-{entry.st_mtime_ns}"
        return stamps
    bucket, prefix = _location(join(folder, ""))
    with _explained(folder):
        pages = (
            s3_client()
            .get_paginator("list_objects_v2")
            .paginate(Bucket=bucket, Prefix=prefix + begins, Delimiter="/")
        )
        items = [item for page in pages for item in page.get("Contents", ())]
    return {item["Key"][len(prefix) :]: item["ETag"].strip('"') for item in items}


def read_tagged(uri: str) -> tuple[bytes, str]:
    """An object on S3 and its ETag; nothing and "" when there is none."""
    bucket, key = _location(uri)
    try:
        with _explained(uri):
            answer = s3_client().get_object(Bucket=bucket, Key=key)
            return answer["Body"].read(), answer["ETag"]
    except FileNotFoundError:
        return b"", ""


def write_if(uri: str, data: bytes, tag: str) -> str:
    """Write an object on S3 if it still has that ETag, or, with "", if there is none.

    Returns:
        Its new ETag, "" when somebody else was faster.
    """
    from botocore.exceptions import ClientError

    bucket, key = _location(uri)
    client = s3_client()
    with _explained(uri):
        try:
            if tag:
                return client.put_object(Bucket=bucket, Key=key, Body=data, IfMatch=tag)["ETag"]
            return client.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*")["ETag"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in (
                "PreconditionFailed",
                "ConditionalRequestConflict",
                "NoSuchKey",
            ):
                return ""
            raise


def _location(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Turn boto's errors into FileNotFoundError or a UsageError that says what to do and holds no secret."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in ("NoSuchKey", "404", "NotFound"):
            raise FileNotFoundError(uri) from error
        raise UsageError(
            f"{uri}: S3 answered {code}; check the bucket's name and your rights to it"
        ) from error
    except BotoCoreError as error:
        raise UsageError(
            f"{uri}: {type(error).__name__}; check AWS_ENDPOINT_URL, the network and your credentials"
        ) from error
