"""Pictures of moments: decoded once, kept in a bounded folder that the node's replicas share."""

import asyncio
import os
import uuid
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from cinescribe import storage, tables
from cinescribe.errors import MediaError
from serve.decoding import Decoder
from serve.media import local_path
from serve.replies import refusal
from serve.settings import Settings

WIDTHS = (160, 320, 640, 1280)  # pixels; others are rounded up to one of them, so that few are kept
_LARGEST_FETCH = 2 * 2**30  # bytes of a film on S3 that is fetched for its pictures
_FILMS_KEPT = 10 * 2**30  # bytes


class Thumbnails:
    """Makes and keeps thumbnails."""

    def __init__(self, settings: Settings, decoder: Decoder) -> None:
        self._folder, self._bytes = settings.cache_folder, settings.cache_bytes
        self._roots: Sequence[str] = settings.media_roots
        self._decoder = decoder
        self._making: dict[Path, asyncio.Task[bytes]] = {}
        self._waiting: dict[Path, int] = {}
        self._films = settings.cache_folder.with_name("films-of-thumbnails")

    async def picture(self, row: tables.Row, time: float, width: int) -> tuple[bytes, str]:
        """JPEG of the film of a `films` row at `time` seconds, and its ETag.

        Raises:
            HTTPException: 404, when the film is gone or there is no picture in it.
        """
        width = next((known for known in WIDTHS if known >= width), WIDTHS[-1])
        time = round(time, 1)
        asked = f"{row['uri']}\n{row['etag']}\n{time}\n{width}"
        name = sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        path = self._folder / f"{name}.jpg"
        try:
            data = path.read_bytes()
            os.utime(path)  # the time of last use, for eviction
        except FileNotFoundError:
            making = self._making.get(path)
            if making is None:  # whoever asks meanwhile waits for the same child
                making = asyncio.create_task(self._make(row, time, width, path))
                self._making[path] = making
                making.add_done_callback(lambda made: self._forget(path, made))
            self._waiting[path] = self._waiting.get(path, 0) + 1
            try:
                data = await asyncio.shield(making)
            finally:
                self._waiting[path] -= 1
                if not self._waiting[path]:
                    del self._waiting[path]
                    making.cancel()  # nobody is left to see it: it takes no turn of the decoder
                    self._forget(path, making)
        return data, f'"{name}"'

    def _forget(self, path: Path, made: asyncio.Task[bytes]) -> None:
        if self._making.get(path) is made:
            del self._making[path]

    async def _make(self, row: tables.Row, time: float, width: int, path: Path) -> bytes:
        uri = str(row["uri"])
        try:
            if storage.is_s3(uri):
                data = await self._of_s3(uri, time, width)
            else:
                data = await self._decoder.thumbnail(local_path(uri, self._roots), time, width)
        except MediaError as error:
            raise refusal(404, "no-picture", "the film has no picture that can be shown") from error
        await asyncio.to_thread(self._keep, path, data)
        return data

    async def _of_s3(self, uri: str, time: float, width: int) -> bytes:
        from cinescribe.media.cache import FilmCache
        from serve.media import open_film

        film = await asyncio.to_thread(open_film, {"uri": uri}, self._roots)
        if film.size > _LARGEST_FETCH:
            raise MediaError("missing", f"{uri}: too large to be fetched for a picture")
        local = FilmCache(self._films, _FILMS_KEPT).local(uri)
        entered = asyncio.create_task(asyncio.to_thread(local.__enter__))
        try:
            return await self._decoder.thumbnail(await asyncio.shield(entered), time, width)
        finally:
            await entered  # also when this was cancelled meanwhile: who entered leaves
            await asyncio.to_thread(local.__exit__, None, None, None)

    def _keep(self, path: Path, data: bytes) -> None:
        """Write one thumbnail and make room. A full or read-only disk costs time, not the picture."""
        temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            os.replace(temporary, path)
            kept = [(entry.stat(), Path(entry.path)) for entry in os.scandir(self._folder)]
        except OSError:
            temporary.unlink(missing_ok=True)
            return
        total = sum(status.st_size for status, _ in kept)
        for status, old in sorted(kept, key=lambda one: one[0].st_mtime):
            if total <= self._bytes:
                return
            old.unlink(missing_ok=True)
            total -= status.st_size
