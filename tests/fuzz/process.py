"""A parser in a process of its own, which may crash, hang or run out of memory."""

import hashlib
import multiprocessing
import os
import resource
import signal
import tempfile
import time
import types
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from tests.fuzz.mutation import changed
from tests.fuzz.parsers import PARSERS
from tests.fuzz.promise import Broken, Parser, check

_INPUT_SECONDS = 10  # of computing, that one input may take
_MEMORY = 3 * 2**30  # bytes that a parser may add to what its process has when it begins


class TooSlow(BaseException):
    """An input took too long; no `except Exception` of a parser swallows it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a run came to.

    Attributes:
        inputs: so many were made up.
        read: of which so many were read, and not refused.
        faults: what went wrong, by place.
    """

    inputs: int
    read: int
    faults: dict[str, str]


def fuzz(parser: Parser, seconds: float, seed: int, out: Path) -> Found:
    """Fuzz one parser; an input that breaks it, the first of each place, is kept in a folder of `out`."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        process = context.Process(target=_run, args=(parser.name, seconds, seed, Path(folder), theirs))
        process.start()
        theirs.close()
        inputs = read = 0
        faults: dict[str, str] = {}
        try:
            while True:
                inputs, read, place, message, data = ours.recv()
                if place and place not in faults:
                    faults[place] = message
                    _keep(out, parser, data)
        except EOFError:
            process.join()
        if process.exitcode != 0:
            faults["ended"] = f"{parser.name}: the process ended with {process.exitcode}"
            _keep(out, parser, (Path(folder) / "last").read_bytes())
    return Found(inputs, read, faults)


def _keep(out: Path, parser: Parser, data: bytes) -> None:
    folder = out / parser.name
    folder.mkdir(parents=True, exist_ok=True)
    name = f"odd-{hashlib.sha256(data).hexdigest()[:12]}{Path(parser.file).suffix}"
    (folder / name).write_bytes(data)


def _run(name: str, seconds: float, seed: int, folder: Path, pipe: Connection) -> None:
    """The process: input after input until the time is over; tells of faults, and now and then the count."""
    parser, random = PARSERS[name], Random(f"{seed} {name}")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    kept = [path.read_bytes() for path in parser.kept()]
    work, last = folder / "work", folder / "last"
    work.mkdir()
    parser.prepare(work)
    last.write_bytes(kept[0])
    check(parser, kept[0], work)  # what it imports is there, and counts neither as time nor as memory
    most = _address_space() + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    signal.signal(signal.SIGPROF, _too_slow)
    end = time.monotonic() + seconds
    inputs = read = 0
    while time.monotonic() < end:
        data = changed(random.choice(kept), kept, random, values_only=parser.values_only)
        last.write_bytes(data)
        place = message = ""
        signal.setitimer(signal.ITIMER_PROF, _INPUT_SECONDS)
        try:
            read += check(parser, data, work) == "read"
        except Broken as error:
            place, message = error.place, str(error)
        except TooSlow:
            place = message = f"{name}: an input took more than {_INPUT_SECONDS} s"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        inputs += 1
        if place or inputs % 50 == 0:
            pipe.send((inputs, read, place, message, data if place else b""))
    pipe.send((inputs, read, "", "", b""))


def _too_slow(_: int, __: types.FrameType | None) -> None:
    raise TooSlow


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
