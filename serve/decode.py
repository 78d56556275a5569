"""`python -m serve.decode`: hostile media are decoded in processes of their own.

The program imports what decoding needs, once, and then forks a child for each line of its standard input, so
that no child imports them again. A child has no keys in its environment, bounded memory and time, and nothing
to lose: what kills it is an error of one request. A request is a line of JSON; its answer is the file `out`:
frames with their shape (and what of the clip they are of) before them, a JPEG, or on failure JSON with the
kind and message of a MediaError. A line with the request's number and the child's exit status tells that it
is done.
"""

import json
import os
import resource
import selectors
import signal
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from cinescribe.errors import MediaError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cinescribe.media.probe import MediaInfo

_MEMORY = 3 * 2**30  # bytes of address space
_OUTPUT = 64 * 2**20  # bytes of an answer
_SIDE = 448  # pixels of a query's longer side; encoders see 224 to 336
_CLIP_FRAMES = 16
_SEEN_SIDE = 1280  # pixels of the longer side of what is encoded to be described
_SEEN_BYTES = 48 * 2**20  # of all its frames
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

    info = _checked_clip(path, pixels, seconds)
    scale = min(1.0, _SIDE / max(info.width, info.height))
    size = (max(1, round(info.width * scale)), max(1, round(info.height * scale)))
    count = min(_CLIP_FRAMES, max(1, int(info.duration * 2)))
    rate = count / info.duration if info.duration > 0 else 1.0
    parts = iter_frames(path, rate=rate, start=min(0.5 / rate, info.duration / 2), size=size)
    return np.concatenate([part.frames for part in parts])


def _checked_clip(path: Path, pixels: int, seconds: float) -> "MediaInfo":
    """What the file of a clip is, which may be decoded. Raises MediaError."""
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
    return info


def evenly(
    path: Path, pixels: int, seconds: float, wanted: "Evenly"
) -> tuple["NDArray[np.uint8]", tuple[float, float]]:
    """The frames of features spread evenly over a clip, for an encoder to see.

    Args:
        path: of the clip.
        pixels: most of a frame.
        seconds: longest clip.
        wanted: the features, and of which stretch of the clip.

    Returns:
        uint8 [features * offsets, H, W, 3], at the clip's own size or, where that is more than may be sent,
        smaller; and the stretch in seconds.

    Raises:
        MediaError: no clip, damaged, too large, or too short for a feature ("too-short").
    """
    import numpy as np

    from cinescribe.encoders.protocol import EncoderSpec
    from cinescribe.media.frames import FrameReader

    info = _checked_clip(path, pixels, seconds)
    start, end = wanted["start"], min(wanted["end"] or info.duration, info.duration)
    if not start < end:
        raise MediaError("too-short", f"the clip lasts {info.duration:.2f} s and ends before the stretch")
    if end - start > wanted["longest"]:
        raise MediaError(
            "damaged",
            f"{end - start:.0f} s are more than the {wanted['longest']:.0f} s that are described at once; "
            "give start and end",
        )
    spec = EncoderSpec("", wanted["hz"], 0, tuple(wanted["offsets"]))
    count = spec.count(info.duration)
    if not count:
        raise MediaError("too-short", f"a clip of {info.duration:.2f} s is too short to be encoded")
    first = min(int(start * spec.hz), count - 1)
    stop = min(max(first + 1, int(np.ceil(end * spec.hz))), count)
    numbers = first + np.linspace(0, stop - 1 - first, wanted["frames"]).round()
    shown = np.rint((numbers[:, None] / spec.hz + np.asarray(spec.offsets)) * 1e6).astype(np.int64)
    times, places = np.unique(shown, return_inverse=True)
    most = _SEEN_BYTES / (3 * shown.size * info.width * info.height)  # the same frame may be sent often
    scale = min(1.0, _SEEN_SIDE / max(info.width, info.height), most**0.5)
    size = (max(1, int(info.width * scale)), max(1, int(info.height * scale)))
    parts = FrameReader(path, size=None if scale == 1.0 else size).at(times / 1e6)
    frames = np.concatenate([part.frames for part in parts])
    whole = (places.reshape(shown.shape) < len(frames)).all(1)  # the data may end before the clip should
    if not whole.any():
        raise MediaError("damaged", "the clip's picture ends before the stretch")
    return frames[places.reshape(shown.shape)[whole].reshape(-1)], (start, end)


class Evenly(TypedDict):
    """Which frames `evenly` gives.

    Attributes:
        start, end: seconds of the clip; end None: to its end.
        longest: most seconds of the stretch.
        hz, offsets: of the encoder (`cinescribe.encoders.protocol.EncoderSpec`).
        frames: features, as the model wants them.
    """

    start: float
    end: float | None
    longest: float
    hz: float
    offsets: Sequence[float]
    frames: int


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


def _confine(seconds: float) -> None:
    """No more memory, time or output than one picture or clip needs."""
    whole = int(seconds) + 1
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_OUTPUT, _OUTPUT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, whatever native code it is in
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _work(request: dict[str, Any]) -> int:
    """The child: decode one file into `out`; its exit status."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    _confine(request["seconds"])
    path, out = Path(request["path"]), Path(request["out"])
    try:
        if request["kind"] == "thumbnail":
            answer = thumbnail(path, request["time"], request["width"])
        elif request["kind"] == "evenly":
            frames, span = evenly(path, request["pixels"], request["clip_seconds"], request["wanted"])
            answer = _shape(frames) + struct.pack("<2d", *span) + frames.tobytes()
        else:
            frames = picture_or_clip(path, request["pixels"], request["clip_seconds"])
            answer = _shape(frames) + frames.tobytes()
    except (MediaError, MemoryError) as error:
        kind = error.kind if isinstance(error, MediaError) else "damaged"
        message = str(error) if isinstance(error, MediaError) else "needs more memory than it may have"
        out.write_text(json.dumps({"kind": kind, "message": message}), "utf-8")
        return 1
    out.write_bytes(answer)
    return 0


def _shape(frames: "NDArray[np.uint8]") -> bytes:
    import numpy as np

    return np.array(frames.shape, "<u4").tobytes()


def main() -> int:
    """Fork a child for each request until the input ends; see the module."""
    import av  # noqa: F401
    import numpy  # noqa: F401
    from PIL import AvifImagePlugin, Image, WebPImagePlugin  # noqa: F401

    import cinescribe.encoders.protocol
    import cinescribe.media.frames
    import cinescribe.media.probe  # noqa: F401

    Image.init()
    children: dict[int, int] = {}  # process: number of its request
    awake, alarm = os.pipe()
    os.set_blocking(alarm, False)
    signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # only to be woken
    watched = selectors.DefaultSelector()
    watched.register(0, selectors.EVENT_READ)
    watched.register(awake, selectors.EVENT_READ)
    pending = b""
    while True:
        for key, _ in watched.select():
            data = os.read(key.fd, 65536)
            if key.fd == awake:
                continue
            if not data:  # whoever asked is gone
                for process in children:
                    os.kill(process, signal.SIGKILL)
                return 0
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                request = json.loads(line)
                process = os.fork()
                if process == 0:
                    status = 2
                    try:
                        signal.set_wakeup_fd(-1)
                        status = _work(request)
                    finally:
                        os._exit(status)  # none of the parent's clean-up
                children[process] = request["number"]
        while children:
            process, ended = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                break
            number = children.pop(process)
            os.write(1, f"{number} {os.waitstatus_to_exitcode(ended)}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
