"""Log-energy envelopes of frequency bands: what of a sound survives codecs, levels and a narrator over it."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from cinescribe.errors import UsageError

Floats = NDArray[np.float32]

WINDOW = 0.032  # seconds under one envelope frame
_FRAMES = 100  # envelope frames a second, nearly: a whole number of samples lies between two
_EDGES = np.geomspace(80, 6400, 9)  # Hz, of the bands; low-rate codecs keep little above
_RANGE = 5.0  # log10 of power below a band's loud frames that counts: 50 dB
_HIGH_PASS = 0.6  # seconds: slower changes (ducking, level) are taken out


def frame_rate(rate: int) -> float:
    """Envelope frames a second of sound at `rate` Hz; frame k covers `WINDOW` seconds from k / frame_rate."""
    return rate / _hop(rate)


def log_energy(blocks: Iterable[Floats], rate: int) -> Floats:
    """Log10 of the power in each band of mono sound in blocks of any length, float32 [frames, bands]."""
    hop, window = _hop(rate), round(WINDOW * rate)
    hann = np.hanning(window + 1)[:-1].astype(np.float32)
    hertz = np.fft.rfftfreq(window, 1 / rate)
    bands = ((hertz >= _EDGES[:-1, None]) & (hertz < _EDGES[1:, None])).astype(np.float32).T
    held = np.zeros(0, np.float32)
    parts = [np.zeros((0, bands.shape[1]), np.float32)]
    for block in blocks:
        held = np.concatenate([held, block])
        if len(held) >= window:
            frames = np.lib.stride_tricks.sliding_window_view(held, window)[::hop]
            power = np.abs(np.fft.rfft(frames * hann)) ** 2
            parts.append(np.log10(power.astype(np.float32) @ bands + 1e-12))
            held = held[len(frames) * hop :]
    return np.concatenate(parts)


def modulations(envelope: Floats, frames_per_second: float) -> Floats:
    """`log_energy` without level and slow changes, each band of unit variance, [frames, bands].

    Raises:
        UsageError: silence, or a sound that never changes.
    """
    floor = np.percentile(envelope, 95, axis=0) - _RANGE
    loud = np.maximum(envelope, floor.astype(np.float32))
    return _unit(loud - _average(loud, round(_HIGH_PASS * frames_per_second)))


def smooth(features: Floats, length: int) -> Floats:
    """Features averaged over `length` frames (still one each frame), of unit variance again."""
    return _unit(_average(features, length))


def sample(features: Floats, frames: NDArray[np.float64]) -> Floats:
    """Features [frames, bands] at fractional frames [N], linearly; zero outside: [N, bands]."""
    below = np.floor(frames).astype(int)
    inside = (below >= 0) & (below < len(features) - 1)
    below = np.where(inside, below, 0)
    part = np.where(inside, frames - below, 0).astype(np.float32)[:, None]
    return (features[below] * (1 - part) + features[below + 1] * part) * inside[:, None]


def _hop(rate: int) -> int:
    return round(rate / _FRAMES)


def _unit(features: Floats) -> Floats:
    deviation = features.std(axis=0)
    if deviation.max() < 1e-3:
        raise UsageError("one of the sounds is silent or never changes: there is nothing to compare.")
    return np.clip(features / np.maximum(deviation, 1e-3), -3, 3)


def _average(values: Floats, length: int) -> Floats:
    """Centred moving average along the first axis, shorter at the ends."""
    total = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=total[1:])
    at = np.arange(len(values))
    first, last = np.maximum(at - length // 2, 0), np.minimum(at - length // 2 + length, len(values))
    return ((total[last] - total[first]) / (last - first)[:, None]).astype(np.float32)
