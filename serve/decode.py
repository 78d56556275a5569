"""`python -m serve.decode KIND FILE ...`: hostile media are decoded in a process of their own.

It has no keys in its environment, bounded memory and time, and nothing to lose: what kills it is an error of
one request. It writes a NumPy array (picture, clip) or a JPEG (thumbnail) to standard output, or one line of
JSON with the kind and message of a MediaError to standard error.
"""

import json
import os
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cinescribe.errors import MediaError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MEMORY = 3 * 2**30  # bytes of address space
_SIDE = 448  # pixels of a query's longer side; encoders see 224 to 336
_CLIP_FRAMES = 16
_PICTURES = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")


def picture(path: Path, pixels: int) -> "NDArray[np.uint8]":
    """The picture of a file, uint8 [1, H, W, 3], RGB, upright, at most `_SIDE` a side.

    Raises:
        MediaError: not-media, when it is no picture; damaged, when it is broken or has too many pixels.
    """
    import numpy as np
    from PIL import Image, ImageOps, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # the limit below is ours, and says what it is
    try:
        with Image.open(path, formats=_PICTURES) as image:
            _check_pixels(image.width, image.height, pixels)
            image.draft("RGB", (_SIDE, _SIDE))  # JPEG: decode no more than needed
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail((_SIDE, _SIDE))
            if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
                clear = upright.convert("RGBA")
                ground = Image.new("RGBA", clear.size, "white")
                upright = Image.alpha_composite(ground, clear)
            return np.asarray(upright.convert("RGB"))[None]
    except UnidentifiedImageError as error:
        raise MediaError("not-media", "not a picture") from error
    except (OSError, ValueError, SyntaxError, ArithmeticError, LookupError, TypeError) as error:
        raise MediaError("damaged", "the picture can't be decoded") from error


def clip(path: Path, pixels: int, seconds: float) -> "NDArray[np.uint8]":
    """Frames of a clip, evenly spread, uint8 [T, H, W, 3]. Raises MediaError."""
    import numpy as np

    from cinescribe.media.frames import iter_frames
    from cinescribe.media.probe import open_media, probe

    with open_media(path) as container:
        for stream in container.streams.video:
            context = stream.codec_context
            if context:
                _check_pixels(context.width, context.height, pixels)
    info = probe(path)
    if info.video_stream < 0:
        raise MediaError("no-video", "sound only; give a picture or a clip with one")
    _check_pixels(info.width, info.height, pixels)
    if info.duration > seconds:
        raise MediaError("damaged", f"a clip may last at most {seconds:.0f} s")
    scale = min(1.0, _SIDE / max(info.width, info.height))
    size = (max(1, round(info.width * scale)), max(1, round(info.height * scale)))
    count = min(_CLIP_FRAMES, max(1, int(info.duration * 2)))
    rate = count / info.duration if info.duration > 0 else 1.0
    parts = iter_frames(path, rate=rate, start=min(0.5 / rate, info.duration / 2), size=size)
    return np.concatenate([part.frames for part in parts])


def thumbnail(path: Path, time: float, width: int) -> bytes:
    """A JPEG of the frame shown at `time`, `width` pixels wide. Raises MediaError."""
    from io import BytesIO

    from PIL import Image

    from cinescribe.media.frames import read_frames
    from cinescribe.media.probe import probe

    info = probe(path)
    if info.video_stream < 0:
        raise MediaError("no-video", "sound only: there is no picture of it")
    width = min(width, info.width)
    size = (width, max(1, round(width * info.height / info.width)))
    last = max(0.0, info.duration - 1.5 / max(info.fps, 1.0))
    start = min(max(time, 0.0), last)
    frame = read_frames(path, rate=1.0, start=start, end=start + 0.01, size=size).frames[0]
    buffer = BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def picture_or_clip(path: Path, pixels: int, seconds: float) -> "NDArray[np.uint8]":
    """What `picture` or else `clip` makes of a file."""
    try:
        return picture(path, pixels)
    except MediaError as error:
        if error.kind != "not-media":
            raise
    return clip(path, pixels, seconds)


def _check_pixels(width: int, height: int, pixels: int) -> None:
    if width * height > pixels:
        raise MediaError(
            "damaged", f"{width} x {height} pixels; at most {pixels / 1e6:.0f} million may be sent"
        )


def _confine(seconds: int) -> None:
    """No more memory, processor time or files than one picture needs."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(argv: list[str]) -> int:
    """Decode one file; see the module."""
    kind, path, seconds, *numbers = argv
    output = os.dup(1)
    os.dup2(2, 1)  # what a library prints is not the answer
    _confine(int(float(seconds)) + 1)
    try:
        if kind == "thumbnail":
            answer: Any = thumbnail(Path(path), float(numbers[0]), int(numbers[1]))
        else:
            import numpy as np

            frames = picture_or_clip(Path(path), int(numbers[0]), float(numbers[1]))
            answer = np.array(frames.shape, "<u4").tobytes() + frames.tobytes()
    except (MediaError, MemoryError) as error:
        kind = error.kind if isinstance(error, MediaError) else "damaged"
        message = str(error) if isinstance(error, MediaError) else "needs more memory than it may have"
        sys.stderr.write("\n" + json.dumps({"kind": kind, "message": message}) + "\n")
        return 1
    with os.fdopen(output, "wb") as file:
        file.write(answer)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
