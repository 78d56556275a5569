"""Files that were sent or named by an address: onto the disk, and what is wrong with them as replies."""

import asyncio
import shutil
from pathlib import Path

from fastapi import HTTPException
from starlette.datastructures import UploadFile

from cinescribe.errors import MediaError
from serve.addresses import fetch, is_allowed
from serve.replies import refusal
from serve.settings import Settings


async def save(file: UploadFile, target: Path, most_bytes: int) -> None:
    """Write an uploaded file to `target`. Raises HTTPException 413 when it is too large."""

    def copy() -> None:
        with target.open("wb") as out:
            shutil.copyfileobj(file.file, out)
            if out.tell() > most_bytes:
                raise refusal(413, "too-large", f"a file may have at most {most_bytes / 2**20:.0f} MB")

    await asyncio.to_thread(copy)


async def save_from(uri: str, target: Path, settings: Settings) -> None:
    """Write what is at an address to `target`. Raises HTTPException, 403 on one that was not allowed."""
    if not is_allowed(uri, settings.allow):
        raise refusal(403, "address", "the service may not fetch from that address; upload the file instead")
    await asyncio.to_thread(
        fetch, uri, settings.allow, target, settings.upload_bytes, settings.upload_seconds
    )


def refused(error: MediaError, path: Path) -> HTTPException:
    """The reply to a file that can't be decoded."""
    message = str(error).replace(str(path), "the file")
    if error.kind in ("crashed", "stalled"):
        message = "the file can't be decoded within the limits of the service"
    return refusal(415 if error.kind == "not-media" else 422, error.kind, message)
