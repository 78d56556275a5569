"""The folder of a run, on disk or S3: its settings, curves, and the best and the last model.

run.json            the settings; a run with others is refused
metrics.jsonl       a line a logged step, a line an evaluation
tensorboard/        the same for TensorBoard
checkpoints/        to go on from (`train.checkpoints`)
best/, last/        models as `cinescribe.models` loads them, and metrics.json
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cinescribe import __version__, storage
from cinescribe.errors import UsageError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

SETTINGS, METRICS = "run.json", "metrics.jsonl"


def claim(out: str, identity: Mapping[str, Any]) -> None:
    """Make the folder this run's, or find that it is already. Without a checkpoint it is nobody's yet.

    Raises:
        UsageError: it is the folder of a run with other settings.
    """
    address = storage.join(out, SETTINGS)
    wanted = json.loads(json.dumps(dict(identity)))
    known = settings_of(out)
    if known is not None and storage.list_folders(storage.join(out, "checkpoints")):
        names = sorted(name for name in known.keys() | wanted.keys() if known.get(name) != wanted.get(name))
        if names:
            told = ", ".join(f"{name} {known.get(name)!r}, not {wanted.get(name)!r}" for name in names)
            raise UsageError(f"{out} holds a run with other settings ({told}); give another --out, or those")
        return
    content = {"cinescribe": __version__, "settings": wanted}
    storage.write_bytes(address, json.dumps(content, indent=1, ensure_ascii=False).encode())


def settings_of(out: str) -> dict[str, Any] | None:
    """The settings of the run in a folder, None when there is none.

    Raises:
        UsageError: its file is not one of ours.
    """
    address = storage.join(out, SETTINGS)
    try:
        found: dict[str, Any] = json.loads(storage.read_bytes(address))["settings"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{address}: not the settings of a run ({error}); give another --out") from error
    return found


def read_lines(out: str) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl`, in order; a last one that was being written is left out."""
    try:
        text = storage.read_bytes(storage.join(out, METRICS)).decode()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


class Curves:
    """Writes `metrics.jsonl` and TensorBoard's events, from one process.

    Args:
        out: folder of the run.
        step: it goes on from; what was logged beyond is dropped, since it comes again.
    """

    def __init__(self, out: str, step: int) -> None:
        self._out = out
        self._lines = [line for line in read_lines(out) if line["step"] <= step]
        self._board: SummaryWriter | None = None
        self._step = step
        self._write_all()

    def add(self, step: int, numbers: Mapping[str, Any], kind: str = "train") -> None:
        """Log numbers of a step: of its loss, or with kind "evaluation" of the model after it."""
        line = {"step": step, **({kind: dict(numbers)} if kind == "evaluation" else numbers)}
        self._lines.append(line)
        if not storage.is_s3(self._out):
            with open(storage.join(self._out, METRICS), "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        for name, value in numbers.items():
            self._events().add_scalar(f"{kind}/{name}", value, step)

    def flush(self) -> None:
        """Have all of it at its place, before a checkpoint says that it was reached."""
        if storage.is_s3(self._out):
            self._write_all()
        if self._board is not None:
            self._board.flush()

    def _write_all(self) -> None:
        text = "".join(json.dumps(line) + "\n" for line in self._lines)
        storage.write_bytes(storage.join(self._out, METRICS), text.encode())

    def _events(self) -> "SummaryWriter":
        if self._board is None:
            from torch.utils.tensorboard import SummaryWriter

            folder = storage.join(self._out, "tensorboard")
            self._board = SummaryWriter(folder, purge_step=self._step + 1)
        return self._board


def write_model(out: str, name: str, save: Callable[[Path], None], metrics: Mapping[str, Any]) -> None:
    """Replace the folder `best` or `last`; on disk a reader sees the old or the new one.

    On S3, which has no folders, `metrics.json` is written last.

    Args:
        out: folder of the run.
        name: of the model's folder.
        save: writes the model into a folder.
        metrics: what is known of it.
    """
    told = json.dumps(dict(metrics), indent=1).encode()
    if storage.is_s3(out):
        with tempfile.TemporaryDirectory() as place:
            save(Path(place))
            for file in sorted(Path(place).iterdir()):
                storage.write_bytes(storage.join(out, name, file.name), file.read_bytes())
        storage.write_bytes(storage.join(out, name, "metrics.json"), told)
        return
    folder, new, old = (Path(out) / entry for entry in (name, f".{name}.new", f".{name}.old"))
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    new.mkdir(parents=True)
    save(new)
    (new / "metrics.json").write_bytes(told)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
