"""Natural speech from Piper, run as a program of its own (it is GPL-3; nothing of it is imported)."""

import subprocess
import sys
import tempfile
import wave
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cinescribe import zoo
from cinescribe.errors import UsageError

Samples = NDArray[np.float32]
Gender = Literal["woman", "man"]

RATE = 44100  # Hz: of the film's sound, twice that of the voices
LEVEL = 0.07  # root mean square of a line, full scale = 1


@dataclass(frozen=True, slots=True)
class Voice:
    """A speaker.

    Attributes:
        name: how the truth calls it.
        base: weight of the zoo.
        gender: whom it fits.
        pitch: factor on pitch and formants (0.85 deeper and larger .. 1.18 higher and smaller).
        speed: factor on the pace of speech, independent of pitch.
    """

    name: str
    base: str
    gender: Gender
    pitch: float = 1.0
    speed: float = 1.0


VOICES = (
    Voice("kristin", "piper-kristin", "woman", speed=1.12),
    Voice("joe", "piper-joe", "man", speed=1.1),
    Voice("northern", "piper-northern-english-male", "man", speed=1.08),
)


def resample(samples: Samples, count: int) -> Samples:
    """`samples` stretched or shrunk to `count` samples by its spectrum (no aliasing)."""
    spectrum = np.fft.rfft(samples)
    size = count // 2 + 1
    kept = np.zeros(size, dtype=complex)
    kept[: min(size, len(spectrum))] = spectrum[:size]
    return np.asarray(np.fft.irfft(kept, count) * (count / len(samples)), dtype=np.float32)


def audible(samples: Samples, rate: int = RATE, floor: float = 0.02) -> tuple[float, float]:
    """First and last moment, in seconds, at which 10-ms energy exceeds `floor` of the loudest."""
    hop = rate // 100
    energy = np.sqrt(np.mean(samples[: len(samples) // hop * hop].reshape(-1, hop) ** 2, axis=1))
    loud = np.flatnonzero(energy > floor * energy.max())
    return float(loud[0]) / 100, float(loud[-1] + 1) / 100


def speak(lines: Sequence[tuple[Voice, str]]) -> list[Samples]:
    """Each line spoken by its voice, trimmed to what is audible and of equal loudness.

    Lines of one voice are one run of Piper; runs of different voices run side by side. Piper's noise
    is off, so the same lines give the same samples.

    Returns:
        one float32 [n] at `RATE` per line.

    Raises:
        UsageError: Piper is not installed, or it failed.
        WeightsError: a voice can't be had.
    """
    if find_spec("piper") is None:
        raise UsageError("the sample film's voices need Piper: pip install 'cinescribe[voices]'")
    voices = list(dict.fromkeys(voice for voice, _ in lines))
    texts = {voice: [text for other, text in lines if other == voice] for voice in voices}
    models = {voice: next(zoo.path(voice.base).glob("*.onnx")) for voice in voices}
    with ThreadPoolExecutor(max_workers=2) as pool:
        spoken = dict(
            zip(voices, pool.map(lambda v: _run_piper(v, models[v], texts[v]), voices), strict=True)
        )
    queues = {voice: iter(spoken[voice]) for voice in voices}
    return [next(queues[voice]) for voice, _ in lines]


def _run_piper(voice: Voice, model: Path, texts: Sequence[str]) -> list[Samples]:
    with tempfile.TemporaryDirectory(prefix="cineworld-") as folder:
        command = [sys.executable, "-m", "piper", "-m", str(model), "-d", folder]
        command += ["--noise-scale", "0", "--noise-w-scale", "0", "--sentence-silence", "0.2"]
        command += [
            "--length-scale",
            f"{voice.pitch / voice.speed:.4f}",
        ]  # undoes what resampling does to pace
        done = subprocess.run(command, input="\n".join(texts), text=True, capture_output=True, check=False)
        files = sorted(Path(folder).glob("*.wav"), key=lambda file: int(file.stem))  # named by a clock, in ns
        if done.returncode != 0 or len(files) != len(texts):
            raise UsageError(f"Piper could not speak with {model}: {done.stderr.strip()[-400:]}")
        return [_finish(file, voice.pitch) for file in files]


def _finish(file: Path, pitch: float) -> Samples:
    with wave.open(str(file)) as sound:
        rate = sound.getframerate()
        frames = np.frombuffer(sound.readframes(sound.getnframes()), dtype=np.int16)
    raw = (frames / 32768).astype(np.float32)
    samples = resample(raw, round(len(raw) * RATE / rate / pitch))
    start, end = audible(samples)
    samples = samples[round(start * RATE) : round(end * RATE)]
    fade = np.linspace(0, 1, RATE // 200, dtype=np.float32)  # 5 ms: no clicks
    samples[: len(fade)] *= fade
    samples[-len(fade) :] *= fade[::-1]
    level = float(np.sqrt(np.mean(samples**2)))
    return np.clip(samples * (LEVEL / level), -0.95, 0.95).astype(np.float32)
