"""Small films made with PyAV, whose every frame says its own number and whose sound is known."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

BITS = 8


def numbered_frame(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """Grey frame whose `BITS` vertical stripes are the binary digits of `number`, white for one."""
    stripes = np.array([230 if number >> bit & 1 else 25 for bit in range(BITS)], np.uint8)
    row = stripes[np.arange(width) * BITS // width]
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def read_number(frame: NDArray[np.uint8]) -> int:
    """The number that `numbered_frame` drew into an upright frame."""
    height, width = frame.shape[:2]
    centres = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    return sum(1 << bit for bit, x in enumerate(centres) if frame[height // 2, x].mean() > 128)


def tone(seconds: float, rate: int, hertz: float = 440.0, level: float = 0.5) -> NDArray[np.float32]:
    """A sine tone, float32 [N]."""
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def clicks(seconds: float, rate: int, every: float = 1.0) -> NDArray[np.float32]:
    """Silence with a 2-ms click at each multiple of `every` seconds, float32 [N]."""
    samples = np.zeros(round(seconds * rate), np.float32)
    for k in range(1, int(seconds / every) + 1):
        samples[round(k * every * rate) : round((k * every + 0.002) * rate)] = 0.9
    return samples


def click_times(samples: NDArray[np.float32], rate: int) -> list[float]:
    """Onsets of the clicks, in seconds."""
    loud = np.flatnonzero(np.abs(samples) > 0.15)
    return [float(i) / rate for i in loud[np.r_[True, np.diff(loud) > rate // 10]]] if len(loud) else []


def write_film(
    path: Path,
    *,
    frames: int = 50,
    size: tuple[int, int] = (128, 96),
    times: Sequence[float] | None = None,
    rate: int = 25,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    rotation: float = 0.0,
    aspect: Fraction | None = None,
    audio: NDArray[np.float32] | None = None,
    audio_rate: int = 48000,
    audio_codec: str = "aac",
    layout: str = "mono",
    audio_start: float = 0.0,
    images: Sequence[NDArray[np.uint8]] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a film of numbered frames (or `images`) and of `audio` (float32 [N] or [channels, N])."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        video = sound = None
        if frames or images:
            video = container.add_stream(codec, rate=rate, options=options or {})
            video.width, video.height, video.pix_fmt = *size, pixel_format
            video.codec_context.time_base = Fraction(1, 90000)
            if aspect:
                video.codec_context.sample_aspect_ratio = aspect
            if rotation:
                video.set_display_rotation(rotation)
        if audio is not None:
            sound = container.add_stream(audio_codec, rate=audio_rate, layout=layout)
        if video is not None:
            for k in range(len(images) if images else frames):
                image = images[k] if images else numbered_frame(k, *size)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.time_base = Fraction(1, 90000)
                frame.pts = round((times[k] if times else k / rate) * 90000)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        if sound is not None and audio is not None:
            channels = np.atleast_2d(audio)
            step = 1024
            for offset in range(0, channels.shape[1], step):
                block = np.ascontiguousarray(channels[:, offset : offset + step])
                samples = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
                samples.sample_rate = audio_rate
                samples.time_base = Fraction(1, audio_rate)
                samples.pts = offset + round(audio_start * audio_rate)
                container.mux(sound.encode(samples))
            container.mux(sound.encode(None))
    return path
