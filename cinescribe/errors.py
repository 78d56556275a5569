"""The few errors of cinescribe. Each message names the file or weight and says what to do."""

import re
from typing import Literal, get_args

MediaErrorKind = Literal[
    "missing",  # the file or object is not there, or may not be read
    "empty",  # zero bytes
    "not-media",  # no container FFmpeg knows (text renamed .mp4, an image, a playlist)
    "damaged",  # a container, but truncated or without an index: nothing usable can be decoded
    "encrypted",  # DRM-protected
    "no-video",  # asked for frames of a file without any
    "no-audio",  # asked for sound of a file without any
    "too-short",  # shorter than what was asked of it
    "no-speaker",  # the narrator was told, and the film has no such speaker
    "crashed",  # killed its worker each time it was tried, or ran out of memory
    "stalled",  # made no progress for the time allowed
    "unexpected",  # a fault of the program: please report
]
MEDIA_ERROR_KINDS: tuple[str, ...] = get_args(MediaErrorKind)


class CinescribeError(Exception):
    """Base of all errors a user can act on; `str(error)` is the whole message."""


class MediaError(CinescribeError):
    """A film that can't be read or used. Becomes a row of the `errors` table.

    Attributes:
        kind: one of `MEDIA_ERROR_KINDS`.
    """

    def __init__(self, kind: MediaErrorKind, message: str) -> None:
        super().__init__(kind, message)  # both in args, so that it survives pickling between workers
        self.kind = kind

    def __str__(self) -> str:
        return str(self.args[1])


class WeightsError(CinescribeError):
    """A weight that can't be had, or whose bytes are not the published ones."""


class SubtitleError(CinescribeError):
    """A subtitle, caption or RTTM file that can't be parsed; names the file and the line."""


class UsageError(CinescribeError):
    """Arguments that can't be met (an empty input, an unknown model)."""


class ConflictError(CinescribeError):
    """Somebody else changed it since it was read; nothing was overwritten."""


def without_passwords(message: str) -> str:
    """A message of another library, in which addresses (`http://user:password@host`) lose who asks."""
    return re.sub(r"(?<=://)[^/\s@]*@", "", message)
