"""What the pipelines have in common at the shell: arguments, the job of the workers, exit codes."""

import argparse
import getpass
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cinescribe import log, storage
from cinescribe.errors import CinescribeError, without_passwords
from pipelines import plan, progress
from pipelines.units import Job

EXIT_CODES = (
    "Exit code 0 when every film is done or recorded in errors, 1 with --strict when one failed, "
    "2 when nothing can be done as asked."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What every run is told; see `--help` for what each means."""

    inputs: tuple[str, ...]
    out: str
    strict: bool = False
    retry_failed: bool = False
    workers: int = 0
    threads: int = 0
    cache_gb: float = 50.0
    stall_seconds: float = 900.0
    address: str = ""
    log: str = ""
    quiet: bool = False


def add_inputs(p: argparse.ArgumentParser) -> None:
    """The films, and where the tables go."""
    p.add_argument("inputs", nargs="+", metavar="INPUT", help="files, folders, globs, s3://bucket/prefix")
    p.add_argument(
        "--out", required=True, metavar="DIR", help="folder or s3://bucket/prefix of the tables and files"
    )


def add_common(p: argparse.ArgumentParser) -> None:
    """How the run behaves, and on what it runs."""
    p.add_argument("--strict", action="store_true", help="stop at the first film that fails, exit code 1")
    p.add_argument(
        "--retry-failed", action="store_true", help="try films again that failed in an earlier run"
    )
    p.add_argument("--workers", type=positive, default=0, metavar="N", help="processes that hold the models")
    p.add_argument("--threads", type=positive, default=0, metavar="N", help="threads of each of them")
    p.add_argument(
        "--cache-gb", type=float, default=50.0, metavar="GB", help="local copies of films on S3 (default 50)"
    )
    p.add_argument(
        "--stall-seconds",
        type=float,
        default=900.0,
        metavar="S",
        help="how long a film may stand still (default 900)",
    )
    p.add_argument("--address", default="", help="a running Ray cluster; else RAY_ADDRESS, else this machine")
    add_log(p)
    p.add_argument("--quiet", action="store_true", help="say nothing but errors")


def add_log(p: argparse.ArgumentParser) -> None:
    """Where events go; one setting for all pipelines."""
    p.add_argument(
        "--log",
        default=os.environ.get("CINESCRIBE_LOG", ""),
        metavar="FILE",
        help="add JSON lines of what happens, film by film (default: the variable CINESCRIBE_LOG, else none)",
    )


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def model_folder(text: str) -> str:
    """The folder of a trained model, which is not on S3."""
    if storage.is_s3(text):
        raise argparse.ArgumentTypeError(f"{text}: copy it from S3 to a folder that all machines see")
    return text


def listed(text: str) -> tuple[str, ...]:
    """The names of a list with commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def common_values(arguments: dict[str, Any]) -> dict[str, Any]:
    """The parsed arguments with inputs and `out` as a worker needs them: it may stand in another folder."""
    out = arguments.pop("out")
    inputs = tuple(arguments.pop("inputs"))
    return {**arguments, "inputs": inputs, "out": out if storage.is_s3(out) else os.path.abspath(out)}


def exit_code(run: Callable[[], int], pipeline: str = "", log_path: str = "") -> int:
    """Run it; 2 with one message on standard error when a user can mend it, 130 when interrupted.

    Args:
        run: the command; what it returns.
        pipeline, log_path: what ended it goes there too, as `run-failed`; "": nowhere.
    """
    if log_path:
        try:
            log.open_log(log_path, pipeline=pipeline)
        except OSError as error:
            progress.complain(f"--log: {error}")
            return 2
    try:
        return run()
    except (CinescribeError, OSError) as error:
        code, message = 2, without_passwords(str(error))
    except KeyboardInterrupt:
        code, message = 130, "stopped; the same command goes on where it was"
    except Exception as error:  # a fault of the program, which is told in full on standard error
        if log_path:
            log.line("run-failed", message=type(error).__name__, code=1)
        raise
    progress.complain(message)
    if log_path:
        log.line("run-failed", message=message, code=code)
    return code


def cache_folder() -> Path:
    """Where films from S3 are kept on this machine, for each user apart."""
    return Path(tempfile.gettempdir()) / f"cinescribe-{getpass.getuser()}"


def job(config: Common, pipeline: str) -> Job:
    """What the workers of a run share."""
    return Job(
        out=config.out,
        plan=plan.address(config.out, pipeline),
        cache_folder=str(cache_folder()),
        cache_bytes=int(config.cache_gb * 1e9),
        stall_seconds=config.stall_seconds,
    )
