"""Films on S3 as local files: a bounded cache shared by all processes of a node."""

import fcntl
import hashlib
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from cinescribe import storage
from cinescribe.errors import MediaError, UsageError

logger = logging.getLogger(__name__)

_PART = ".part"  # a download under way, or what a killed process left of one
_OURS = re.compile(r"[0-9a-f]{24}-")  # whatever else lies in the folder is not ours to evict
_POLL = 0.2  # seconds between looks whether another process has let a film go


class FilmCache:
    """Local copies of films on S3, at most `max_bytes`, shared by the node's processes through `folder`.

    One file per version of a film, named by the hash of its URI and ETag. A user holds a shared lock (flock)
    on the file, the downloader an exclusive one on its part file, which is renamed when whole. Locks die with
    their process, so that none outlives a kill; a part file without a lock is overwritten or evicted.
    """

    def __init__(self, folder: Path, max_bytes: int, client: Any = None) -> None:
        """Use `folder` (local to the node, made when absent) and a boto3 S3 client (made when None)."""
        self.folder = Path(folder)
        self.max_bytes = max_bytes
        self._client = client
        self.fetched = 0  # downloads made by this object; what was there already is none

    @contextmanager
    def local(self, uri: str) -> Iterator[Path]:
        """A local file of the film, kept until the context ends; local paths and file:// URIs pass through.

        The object's ETag is asked for each time: a changed film is fetched anew. Where the films in use fill
        the cache it waits until there is room, so a process that holds one film should not ask for a second.
        A film larger than `max_bytes` is fetched once no other is in use.

        Raises:
            MediaError: "missing", when the object or bucket is not there or may not be read.
            UsageError: the cache folder can't be written or its disk is full.
        """
        if not uri.startswith("s3://"):
            yield Path(unquote(uri.removeprefix("file://"))) if uri.startswith("file://") else Path(uri)
            return
        path, lock = self._acquire(uri)
        try:
            yield path
        finally:
            os.close(lock)

    def _acquire(self, uri: str) -> tuple[Path, int]:
        """The whole film's path and an open file that holds its shared lock."""
        bucket, key = split_s3(uri)
        self._client = self._client or storage.s3_client()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            while True:
                etag, size = self._head(uri, bucket, key)
                name = hashlib.sha256(f"{uri}\n{etag}".encode()).hexdigest()[:24]
                path = self.folder / f"{name}-{_readable(key)}"
                lock = _locked(path, fcntl.LOCK_SH)
                if lock is not None:
                    os.utime(path)  # the time of last use, for eviction
                    return path, lock
                self._download(uri, bucket, key, etag, size, path)
        except OSError as error:
            raise UsageError(
                f"{self.folder}: can't keep {uri} there: {error.strerror}. Give a cache folder on a local "
                f"disk with room for {self.max_bytes / 1e9:.1f} GB."
            ) from error

    def _head(self, uri: str, bucket: str, key: str) -> tuple[str, int]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            head = self._client.head_object(Bucket=bucket, Key=key)
        except (BotoCoreError, ClientError) as error:
            raise s3_error(uri, error) from error
        return head["ETag"], head["ContentLength"]

    def _download(self, uri: str, bucket: str, key: str, etag: str, size: int, path: Path) -> None:
        """Fetch the film unless another process has done so meanwhile; the caller looks again."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError
        from s3transfer.exceptions import RetriesExceededError

        part = path.with_name(path.name + _PART)
        part.touch()
        lock = _locked(part, fcntl.LOCK_EX)  # waits for whoever is fetching the same film
        if lock is None or path.exists():
            if lock is not None:
                part.unlink(missing_ok=True)
                os.close(lock)
            return
        try:
            self._make_room(lock, part, size)
            with open(lock, "r+b", closefd=False) as file:
                self._client.download_fileobj(bucket, key, file)
                file.flush()
            fetched = self._head(uri, bucket, key)[0]
            if os.fstat(lock).st_size == size and fetched == etag:
                os.rename(part, path)
                self.fetched += 1
            else:  # it changed under the download: the caller asks for the new version
                part.unlink()
        except (BotoCoreError, ClientError, Boto3Error, RetriesExceededError) as error:
            part.unlink(missing_ok=True)
            if _code(error) != "PreconditionFailed":  # that is a change too
                raise s3_error(uri, error) from error
        finally:
            os.close(lock)

    def _make_room(self, lock: int, part: Path, size: int) -> None:
        """Evict the least recently used films until `size` fits; the part file's length claims the space."""
        told = False
        while True:
            turn = os.open(self.folder / ".turn", os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(turn, fcntl.LOCK_EX)
                others = [(path, status) for path, status in self._files() if path != part]
                used = sum(status.st_size for _, status in others)
                for path, status in sorted(others, key=lambda item: item[1].st_mtime):
                    if used + size <= self.max_bytes:
                        break
                    if _evicted(path):
                        used -= status.st_size
                if used + size <= self.max_bytes or used == 0:
                    os.ftruncate(lock, size)
                    return
            finally:
                os.close(turn)
            if not told:
                logger.warning("%s: full of films in use; waiting for room for %s", self.folder, part.name)
                told = True
            time.sleep(_POLL)

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for entry in os.scandir(self.folder):
            try:
                if _OURS.match(entry.name):
                    yield Path(entry.path), entry.stat()
            except FileNotFoundError:
                continue  # evicted or renamed by another process this moment


def _locked(path: Path, kind: int) -> int | None:
    """An open file holding a lock of `kind` on the file that `path` names; None when there is none."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, kind)
        if os.stat(path).st_ino == os.fstat(file).st_ino:
            return file
    except (FileNotFoundError, BlockingIOError):
        pass  # renamed or evicted while we waited for the lock; or in use
    os.close(file)
    return None


def _evicted(path: Path) -> bool:
    """Remove a film that nobody holds."""
    lock = _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if lock is None:
        return False
    path.unlink()
    os.close(lock)
    return True


def _readable(key: str) -> str:
    """The file's own name, for messages, as far as any file system takes it."""
    name = PurePosixPath(key)
    suffix = name.suffix if re.fullmatch(r"\.\w{1,8}", name.suffix) else ""
    return re.sub(r"[^\w -]", "_", name.stem)[:40] + suffix


def split_s3(uri: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of an s3:// URI. Raises UsageError without a bucket."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket:
        raise UsageError(f"{uri}: no bucket. Write s3://bucket/folder.")
    return bucket, key


def s3_error(uri: str, error: Exception) -> MediaError:
    """What a failure of S3 means to the user. Nothing of the request is quoted: it may hold a signature."""
    code = _code(error)
    advice = {
        "404": "there is no such object or bucket; check both names",
        "NoSuchKey": "there is no such object; check the key",
        "NoSuchBucket": "there is no such bucket; check its name and AWS_ENDPOINT_URL",
        "403": "access is denied; check the credentials and their rights",
        "AccessDenied": "access is denied; check the credentials and their rights",
        "InvalidAccessKeyId": "the access key is unknown there; check the credentials and AWS_ENDPOINT_URL",
        "SignatureDoesNotMatch": "the secret key does not fit; check the credentials",
        "ExpiredToken": "the credentials have expired; renew them",
        "NoCredentialsError": "no credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID with its secret",
        "PartialCredentialsError": "the credentials are incomplete; set both key and secret",
        "ProfileNotFound": "there is no such profile on this machine; check AWS_PROFILE",
        "ParamValidationError": "a bucket or a key can't have this name; check it",
        "EndpointConnectionError": "no answer; check AWS_ENDPOINT_URL and the network",
        "ConnectTimeoutError": "no answer; check AWS_ENDPOINT_URL and the network",
    }.get(code, "S3 refused or broke off, after retries; try again later")
    return MediaError("missing", f"{uri}: {advice} ({code}).")


def _code(error: Exception) -> str:
    return str((getattr(error, "response", None) or {}).get("Error", {}).get("Code", type(error).__name__))
