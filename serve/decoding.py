"""Decoding in a child process (`serve.decode`): how it is started, bounded and read."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cinescribe.errors import MEDIA_ERROR_KINDS, MediaError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_AT_ONCE = 4  # children of one replica
_HEADER = 16  # bytes: the four numbers of the shape


class Decoder:
    """Starts the children of one replica, a few at once."""

    def __init__(self, seconds: float, pixels: int, clip_seconds: float) -> None:
        self._seconds, self._pixels, self._clip_seconds = seconds, pixels, clip_seconds
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def frames(self, path: Path) -> "NDArray[np.uint8]":
        """Frames of a picture or clip, uint8 [T, H, W, 3]. Raises MediaError."""
        import numpy as np

        answer = await self._run("frames", path, str(self._pixels), str(self._clip_seconds))
        shape = np.frombuffer(answer[:_HEADER], "<u4")
        return np.frombuffer(answer[_HEADER:], np.uint8).reshape(shape)

    async def thumbnail(self, path: Path, time: float, width: int) -> bytes:
        """JPEG of the frame at `time`. Raises MediaError."""
        return await self._run("thumbnail", path, repr(time), str(width))

    async def _run(self, kind: str, path: Path, *numbers: str) -> bytes:
        async with self._turns:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "serve.decode", kind, str(path), str(self._seconds), *numbers,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=Path(__file__).parents[1],
                env=_bare_environment(),
            )  # fmt: skip
            try:
                async with asyncio.timeout(self._seconds):
                    answer, told = await child.communicate()
            except TimeoutError:
                raise MediaError("stalled", f"not decoded within {self._seconds:.0f} s") from None
            finally:
                if child.returncode is None:
                    child.kill()
                    await child.wait()
        if child.returncode == 0 and answer:
            return answer
        raise _error(told, child.returncode)


def _error(told: bytes, status: int | None) -> MediaError:
    try:
        last = json.loads(told.decode("utf-8", "replace").strip().splitlines()[-1])
        if last["kind"] in MEDIA_ERROR_KINDS:
            return MediaError(last["kind"], str(last["message"]))
    except (ValueError, IndexError, KeyError, TypeError):
        pass
    return MediaError("crashed", f"the decoder ended with status {status}")


def _bare_environment() -> dict[str, str]:
    """What Python needs to start, and no secret."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**kept, **one, "PYTHONDONTWRITEBYTECODE": "1"}
