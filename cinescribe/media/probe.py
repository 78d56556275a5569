"""What a media file holds: its clock, its picture and its sound, measured rather than believed."""

import itertools
import stat
import statistics
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cinescribe.errors import MediaError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.frame import VideoFrame

# Demuxers FFmpeg may try. Playlists (hls, concat, dash) are not among them: a text file named film.mp4 could
# make the reader open any address or local file; nor are image and subtitle readers, which accept much.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpegtsraw,mpeg,mpegvideo,flv,live_flv,asf,mxf,"
    "ogg,wav,w64,rf64,aiff,caf,au,mp3,flac,aac,ac3,eac3,dts,truehd,amr,ape,wv,tta,nut,dv,rm,nistsphere"
)
_MAGIC = {  # (offset, bytes) of containers we read: their presence tells a damaged film from something else
    (4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (4, b"moof"), (4, b"styp"), (4, b"free"), (4, b"wide"),
    (0, b"\x1a\x45\xdf\xa3"), (0, b"RIFF"), (0, b"OggS"), (0, b"fLaC"), (0, b"ID3"), (0, b"FLV"),
    (0, b"\x47\x40"), (0, b"\x00\x00\x01\xba"), (0, b"\x30\x26\xb2\x75"), (0, b"FORM"), (0, b"caff"),
}  # fmt: skip
_STILL_BRANDS = {"avif", "avis", "heic", "heix", "hevc", "heim", "mif1", "msf1", "miaf"}
_Extent = tuple[float, float]  # start and length of a packet, seconds
_DEFAULT = 1  # AV_DISPOSITION_DEFAULT
_LONGEST = 7 * 86400  # seconds; a broken clock tells of years, and all work goes by the length
_FIRST_FRAME_PACKETS = 1000  # a broadcast cut inside a group of pictures starts within far fewer


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """One audio stream.

    Attributes:
        index: the stream's index in the container, as `read_audio(stream=...)` takes it.
        codec: FFmpeg's name of the decoder.
        rate: Hz.
        channels, layout: e.g. 6 and "5.1".
        language: as tagged (often ISO 639-2), "" when untagged.
        title: as tagged, "" when untagged.
        default: marked as the one to play.
        visual_impaired: marked as audio description.
    """

    index: int
    codec: str
    rate: int
    channels: int
    layout: str
    language: str
    title: str
    default: bool
    visual_impaired: bool


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """The facts of one media file. Files without video have width = height = 0 and fps = 0.

    Attributes:
        duration: seconds from the first frame's start to the last frame's end; of the video when there is
            one, else of the sound. Measured on the packets, so a truncated film is as long as its data.
        fps: frames per second, shown frames over duration, so right for variable frame rate too.
        variable_frame_rate: the spacing of the frames varies by more than rounding.
        width, height: pixels as displayed: after rotation, with non-square pixels made square by the width.
        rotation: degrees clockwise (0, 90, 180, 270) the stored picture is turned for display.
        start: container time of the first video frame (of the first sound without video), seconds; every
            other time in this library counts from it.
        video_codec: FFmpeg's name of the decoder, "" without video.
        audio: the audio streams in container order.
        container: FFmpeg's name of the demuxer.
        video_stream: index of the video stream in the container, -1 without video.
        video_streams: how many video streams there are, attached pictures not counted.
        hidden_frames: frames that an edit list removes from the presentation.
        length_declared: the header states a duration or a number of frames.
    """

    duration: float
    fps: float
    variable_frame_rate: bool
    width: int
    height: int
    rotation: int
    start: float
    video_codec: str
    audio: tuple[AudioTrack, ...]
    container: str
    video_stream: int
    video_streams: int
    hidden_frames: int
    length_declared: bool


def probe(path: Path) -> MediaInfo:
    """Measure a media file; decodes its first frame, so what it returns can be opened and decoded.

    Raises:
        MediaError: missing, empty, not-media, damaged or encrypted; the message names the file.
    """
    with open_media(path) as container:
        tracks = tuple(_audio_track(stream) for stream in container.streams.audio)
        videos = [
            stream for stream in container.streams.video if not stream.disposition & _attached_picture()
        ]
        if not videos and not tracks:
            raise MediaError(
                "not-media", f"{path}: holds neither video nor sound. Give a film or a recording."
            )
        # The default stream, as players choose; the first of equals.
        stream = max(videos or container.streams.audio[:1], key=lambda one: bool(one.disposition & _DEFAULT))
        first = _first_frame(path, container, stream)
        span = _span(path, container, stream)
        is_video = bool(videos)
        start = frame_seconds(first, container.format.name) if is_video else float(first.time or 0.0)
        duration = round(max(span.end - start, 0.0), 6)
        if duration > _LONGEST:
            raise MediaError(
                "damaged",
                f"{path}: its clock runs over {duration / 86400:.0f} days, more than the {_LONGEST // 86400} "
                "that a film may last here. Copy the file again, or cut it.",
            )
        width, height, rotation = _displayed(first, stream) if is_video else (0, 0, 0)
        return MediaInfo(
            duration=duration,
            fps=span.frames / duration if is_video and duration > 0 else 0.0,
            variable_frame_rate=is_video and span.uneven,
            width=width,
            height=height,
            rotation=rotation,
            start=start,
            video_codec=_codec_name(stream) if is_video else "",
            audio=tracks,
            container=container.format.name,
            video_stream=stream.index if is_video else -1,
            video_streams=len(videos),
            hidden_frames=span.hidden,
            length_declared=bool(stream.frames or stream.duration or container.duration),
        )


def described_stream(info: MediaInfo) -> int | None:
    """Index of the audio-description stream: marked for the visually impaired, or titled so; None without."""
    for track in info.audio:
        if track.visual_impaired:
            return track.index
    return next((track.index for track in info.audio if "descri" in track.title.lower()), None)


def open_media(path: Path) -> "InputContainer":
    """Open a local media file with PyAV, refusing playlists, images and anything not a regular file.

    Raises:
        MediaError: missing, empty, not-media, damaged or encrypted.
    """
    import av

    path = Path(path).absolute()  # a relative name such as "concat:x" would be read as a protocol
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise MediaError("not-media", f"{path}: not a file. Give the path of a film.")
        if status.st_size == 0:
            raise MediaError("empty", f"{path}: zero bytes. Copy the file again.")
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise MediaError(
            "missing", f"{path}: {error.strerror}. Check the path and its permissions."
        ) from error
    boxes = dict(_boxes(path)) if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"styp") else {}
    try:
        container: InputContainer = av.open(
            str(path),
            metadata_errors="replace",
            container_options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"},
        )
    except (av.FFmpegError, ValueError) as error:
        raise _open_error(path, head, boxes, status.st_size, error) from error
    if container.metadata.get("major_brand", "").strip() in _STILL_BRANDS:
        container.close()
        raise MediaError("not-media", f"{path}: an image (AVIF or HEIF). Give a film or a recording.")
    if "moov" in boxes and _is_encrypted(path, *boxes["moov"]):
        container.close()
        raise MediaError("encrypted", f"{path}: protected by DRM. Give a copy without encryption.")
    return container


def frame_seconds(frame: "VideoFrame", container: str) -> float:
    """Presentation time of a decoded frame on the container's clock, seconds."""
    # AVI stores no presentation times: the decoder's clock at the frame's output is the only true one.
    if container == "avi" and frame.dts is not None and frame.time_base is not None:
        return float(frame.dts * frame.time_base)
    return float(frame.time)


def decodable_frames(container: "InputContainer", stream: "Stream") -> Iterator[Any]:
    """Decoded frames from the container's position on; packets that don't decode are passed over."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            packet = None  # the container breaks off here; the decoder still holds some frames
        try:
            yield from stream.codec_context.decode(packet)
        except av.EOFError:
            return
        except av.FFmpegError:
            continue
        if packet is None or packet.size == 0:
            return


def _attached_picture() -> int:
    from av.stream import Disposition

    return int(Disposition.attached_pic) | int(Disposition.timed_thumbnails)


def _audio_track(stream: Any) -> AudioTrack:
    from av.stream import Disposition

    context = stream.codec_context  # None for a codec FFmpeg doesn't know
    return AudioTrack(
        index=stream.index,
        codec=_codec_name(stream),
        rate=context.sample_rate if context else 0,
        channels=context.layout.nb_channels if context else 0,
        layout=_layout_name(context.layout) if context else "",
        language=stream.metadata.get("language", "").replace("und", ""),
        title=stream.metadata.get("title", ""),
        default=bool(stream.disposition & Disposition.default),
        visual_impaired=bool(stream.disposition & Disposition.visual_impaired),
    )


def _codec_name(stream: Any) -> str:
    return str(stream.codec_context.codec.canonical_name) if stream.codec_context else "unknown"


def _layout_name(layout: Any) -> str:
    # WAV and SPHERE files often don't say which channels they hold.
    return {1: "mono", 2: "stereo"}.get(layout.nb_channels, str(layout.name))


def _displayed(frame: "VideoFrame", stream: Any) -> tuple[int, int, int]:
    """Width and height as shown, and the clockwise rotation, of a stream whose first frame is `frame`."""
    turn = (-frame.rotation) % 360  # FFmpeg's angle is counter-clockwise; a broken matrix gives any number
    rotation = turn if turn in (90, 180, 270) else 0
    width, height = frame.width, frame.height
    aspect = stream.codec_context.sample_aspect_ratio or stream.sample_aspect_ratio or Fraction(1)
    if Fraction(1, 10) <= aspect <= 10:
        width = max(1, round(width * aspect))
    return (height, width, rotation) if rotation in (90, 270) else (width, height, rotation)


def _first_frame(path: Path, container: "InputContainer", stream: "Stream") -> Any:
    """The first decodable frame of a stream."""
    import av

    tried, last = 0, ""
    if stream.codec_context is None:
        raise MediaError("damaged", f"{path}: the {stream.type} is in a codec that FFmpeg doesn't know.")
    try:
        for packet in container.demux(stream):
            tried += 1
            if packet.has_sidedata("encryption_info"):
                raise MediaError("encrypted", f"{path}: protected by DRM. Give a copy without encryption.")
            try:
                for frame in packet.decode():
                    return frame
            except av.FFmpegError as error:
                last = f" ({error.strerror})"
            if tried > _FIRST_FRAME_PACKETS:
                break
    except av.FFmpegError as error:
        last = f" ({error.strerror})"
    raise MediaError(
        "damaged",
        f"{path}: no {stream.type} frame can be decoded, {_codec_name(stream)}{last}. Copy the file again.",
    )


@dataclass(slots=True)
class _Span:
    """Times of a stream's packets on the container's clock."""

    frames: int  # shown
    hidden: int
    end: float  # seconds
    uneven: bool


def _span(path: Path, container: "InputContainer", stream: "Stream") -> _Span:
    """Count a stream's frames and find its end: by the index where it is whole, else packet by packet."""
    base = float(stream.time_base or 1)
    entries = list(stream.index_entries) if stream.frames and "mp4" in container.format.name else []
    whole = len(entries) == stream.frames and not any(entry.is_discard for entry in entries)
    if entries and whole and max(entry.pos + entry.size for entry in entries) <= container.size:
        container.seek(entries[-1].timestamp, stream=stream)
        _, tail, _ = _packets(container, stream)
        times, hidden = [entry.timestamp * base for entry in entries], 0
    else:
        # A fresh reader: seeking back to the start loses packets in transport streams.
        with open_media(path) as again:
            times, tail, hidden = _packets(again, again.streams[stream.index])
    gaps = [b - a for a, b in itertools.pairwise(sorted(times))]
    spacing = statistics.median(gaps) if gaps else 1.0 / float(getattr(stream, "average_rate", None) or 25)
    uneven = any(abs(gap - spacing) > 0.25 * spacing + 0.002 for gap in gaps)
    end = max((start + (length or spacing) for start, length in tail), default=0.0)
    return _Span(len(times), hidden, end, uneven)


def _packets(container: "InputContainer", stream: "Stream") -> tuple[list[float], list[_Extent], int]:
    """Times of the shown packets from here on, the last few with their lengths, and how many are hidden."""
    import av

    base = float(stream.time_base or 1)
    times: list[float] = []
    tail: deque[_Extent] = deque(maxlen=64)  # deeper than any reordering
    hidden = 0
    try:
        for packet in container.demux(stream):
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is None or packet.size == 0:
                continue
            if packet.is_discard:
                hidden += 1
                continue
            times.append(stamp * base)
            tail.append((stamp * base, (packet.duration or 0) * base))
    except av.FFmpegError:
        pass  # a broken tail: what was read up to here is what there is
    return times, list(tail), hidden


def _boxes(path: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Name, offset and size of each top-level box of an MP4 or MOV file."""
    length, offset = path.stat().st_size, 0
    with path.open("rb") as file:
        for _ in range(100_000):  # a fragmented film of hours has some thousands
            file.seek(offset)
            header = file.read(16)
            if len(header) < 8:
                return
            size = int.from_bytes(header[:4], "big")
            if size == 1 and len(header) == 16:
                size = int.from_bytes(header[8:], "big")
            elif size == 0:
                size = length - offset
            yield header[4:8].decode("latin-1"), (offset, size)
            if size < 8:
                return
            offset += size


def _is_encrypted(path: Path, offset: int, size: int) -> bool:
    """Whether a sample entry of the moov box is protected (ISO 14496-12, 8.12: sinf opens with frma)."""
    with path.open("rb") as file:
        file.seek(offset)
        return b"sinf\0\0\0\x0cfrma" in file.read(min(size, 1 << 26))


def _open_error(
    path: Path, head: bytes, boxes: dict[str, tuple[int, int]], size: int, error: Exception
) -> MediaError:
    reason = getattr(error, "strerror", None) or str(error)
    if not any(head[at : at + len(magic)] == magic for at, magic in _MAGIC):
        return MediaError("not-media", f"{path}: not a film or recording that can be read ({reason}).")
    if boxes and "moov" not in boxes:
        return MediaError("damaged", f"{path}: truncated: the index (moov) is missing. Copy the file again.")
    if any(offset + length > size for offset, length in boxes.values()):
        return MediaError(
            "damaged", f"{path}: truncated: the file ends inside its data. Copy the file again."
        )
    return MediaError("damaged", f"{path}: the header can't be read ({reason}). Copy the file again.")
