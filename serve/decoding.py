"""Decoding in child processes (`serve.decode`): how they are asked, bounded and read."""

import asyncio
import itertools
import json
import os
import struct
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cinescribe.errors import MEDIA_ERROR_KINDS, MediaError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from serve.decode import Evenly

_AT_ONCE = 4  # children of one replica
_HEADER = 16  # bytes: the four numbers of the shape
_GRACE = 10.0  # seconds for a child to be started and its end to be told


class Decoder:
    """Asks for the decoding of files, a few at once.

    Args:
        seconds: that one file may take.
        pixels: most of a picture or of a clip's frame.
        clip_seconds: longest clip.
    """

    def __init__(self, seconds: float, pixels: int, clip_seconds: float) -> None:
        self._seconds, self._pixels, self._clip_seconds = seconds, pixels, clip_seconds
        self._turns, self._starting = asyncio.Semaphore(_AT_ONCE), asyncio.Lock()
        self._numbers = itertools.count()
        self._program: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[int]] = {}

    async def frames(self, path: Path) -> "NDArray[np.uint8]":
        """Frames of a picture or clip, uint8 [T, H, W, 3]. Raises MediaError."""
        import numpy as np

        answer = await self._ask(path, kind="frames", pixels=self._pixels, clip_seconds=self._clip_seconds)
        shape = np.frombuffer(answer[:_HEADER], "<u4")
        return np.frombuffer(answer[_HEADER:], np.uint8).reshape(shape)

    async def evenly(self, path: Path, wanted: "Evenly") -> "tuple[NDArray[np.uint8], float, float]":
        """See `serve.decode.evenly`: frames uint8 [N, H, W, 3], start and end. Raises MediaError."""
        import numpy as np

        answer = await self._ask(
            path, kind="evenly", pixels=self._pixels, clip_seconds=self._clip_seconds, wanted=wanted
        )
        shape = np.frombuffer(answer[:_HEADER], "<u4")
        start, end = struct.unpack("<2d", answer[_HEADER : 2 * _HEADER])
        return np.frombuffer(answer[2 * _HEADER :], np.uint8).reshape(shape), start, end

    async def thumbnail(self, path: Path, time: float, width: int) -> bytes:
        """JPEG of the frame at `time`. Raises MediaError."""
        return await self._ask(path, kind="thumbnail", time=time, width=width)

    async def _ask(self, path: Path, **request: Any) -> bytes:
        await self._turns.acquire()
        # The turn is the child's: whoever asked may leave, and the child works on.
        child = asyncio.create_task(self._in_turn(path, request))
        child.add_done_callback(lambda _: self._turns.release())
        status, answer = await asyncio.shield(child)
        if status == 0 and answer:
            return answer
        if status == -14:  # SIGALRM: its time was over
            raise MediaError("stalled", f"not decoded within {self._seconds:.0f} s")
        raise _error(answer, status)

    async def _in_turn(self, path: Path, request: dict[str, Any]) -> tuple[int, bytes]:
        """The exit status of a child, and what it answered."""
        with tempfile.TemporaryDirectory(prefix="cinescribe-") as folder:
            out = Path(folder) / "answer"
            status = await self._status({**request, "path": str(path), "out": str(out)})
            return status, out.read_bytes() if out.exists() else b""

    async def _status(self, request: dict[str, Any]) -> int:
        """The exit status of the child that worked on a request; negative: the signal that ended it."""
        program = await self._running()
        assert program.stdin is not None
        number = next(self._numbers)
        told = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            line = json.dumps({**request, "number": number, "seconds": self._seconds})
            program.stdin.write(line.encode() + b"\n")
            async with asyncio.timeout(self._seconds + _GRACE):
                await program.stdin.drain()
                return await told
        except (TimeoutError, ConnectionError):
            if program.returncode is None:
                program.kill()
            return -9
        finally:
            self._waiting.pop(number, None)

    async def _running(self) -> Process:
        async with self._starting:
            if self._program is None or self._program.returncode is not None:
                self._program = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "serve.decode",
                    stdin=PIPE, stdout=PIPE, stderr=DEVNULL,
                    cwd=Path(__file__).parents[1], env=_bare_environment(),
                )  # fmt: skip
                self._reading = asyncio.create_task(self._read(self._program))
            return self._program

    async def _read(self, program: Process) -> None:
        """Hand on what the program tells, until it ends; what it was asked then is lost."""
        assert program.stdout is not None
        asked = self._waiting
        async for line in program.stdout:
            number, _, status = line.partition(b" ")
            if (told := asked.get(int(number))) and not told.done():
                told.set_result(int(status))
        await program.wait()
        for told in asked.values():
            if not told.done():
                told.set_result(-9)


def _error(answer: bytes, status: int) -> MediaError:
    try:
        told = json.loads(answer)
        if told["kind"] in MEDIA_ERROR_KINDS:
            return MediaError(told["kind"], str(told["message"]))
    except (ValueError, KeyError, TypeError):
        pass
    return MediaError("crashed", f"the decoder ended with status {status}")


def _bare_environment() -> dict[str, str]:
    """What Python needs to start, and no secret."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**kept, **one, "PYTHONDONTWRITEBYTECODE": "1"}
