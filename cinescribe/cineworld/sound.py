"""The film's sound: speech, and under it quiet music and the noises of place and weather."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from cinescribe.cineworld.blocking import TITLE, TimedScene
from cinescribe.cineworld.lexicon import PLACES
from cinescribe.cineworld.voices import RATE, Samples

# Chords as semitones above the key: four bright turns and two dark ones.
PROGRESSIONS = (
    ((0, 4, 7, 11), (9, 12, 16, 19), (5, 9, 12, 16), (7, 11, 14, 17)),
    ((0, 4, 7, 14), (5, 9, 12, 19), (9, 12, 16, 23), (7, 11, 14, 21)),
    ((0, 3, 7, 10), (8, 12, 15, 19), (3, 7, 10, 14), (10, 14, 17, 21)),
    ((0, 3, 7, 14), (5, 8, 12, 15), (8, 12, 15, 19), (7, 10, 14, 17)),
)
MUSIC_LEVEL, AMBIENCE_LEVEL, DUCKED = 0.028, 0.006, 0.38  # root mean square where alone; factor under speech


@dataclass(frozen=True, slots=True)
class Soundtrack:
    """The parts of the sound, float32 [samples] at `RATE`, and where the music plays (seconds)."""

    speech: Samples
    music: Samples
    ambience: Samples
    music_intervals: tuple[tuple[float, float], ...]

    def mix(self) -> Samples:
        """All parts together, in [-1, 1]."""
        return np.clip(self.speech + self.music + self.ambience, -1, 1).astype(np.float32)


def soundtrack(seed: int, scenes: Sequence[TimedScene], spoken: Sequence[Samples]) -> Soundtrack:
    """Lays speech at its times and composes the rest.

    Args:
        spoken: the samples of each line, in the order of the scenes.
    """
    count = round(scenes[-1].end * RATE)
    speech = np.zeros(count, dtype=np.float32)
    lines = [line for scene in scenes for line in scene.spoken]
    for line, samples in zip(lines, spoken, strict=True):
        at = round(line.start * RATE)
        speech[at : at + len(samples)] += samples
    rng = Random(f"sound {seed}")
    noise = np.random.default_rng(seed)
    ambience = np.zeros(count, dtype=np.float32)
    for scene in scenes:
        at, end = round(scene.start * RATE), round(scene.end * RATE)
        ambience[at:end] = _ambience(scene, end - at, noise) * _fade(end - at, 0.15)
    intervals = _music_intervals(scenes, rng)
    music = np.zeros(count, dtype=np.float32)
    key, chords = rng.randrange(-4, 4), rng.choice(PROGRESSIONS)
    for start, stop in intervals:
        at, end = round(start * RATE), round(stop * RATE)
        music[at:end] = _music(end - at, key, chords, rng) * _fade(end - at, 1.0)
    duck = _duck(speech)
    return Soundtrack(speech, music * duck, ambience * (0.4 + 0.6 * duck), intervals)


def _music_intervals(scenes: Sequence[TimedScene], rng: Random) -> tuple[tuple[float, float], ...]:
    """Under the title and into the first scene, over some scene changes, and at the end."""
    last = scenes[-1]
    intervals = [(0.0, TITLE + rng.uniform(6, 9))]
    intervals += [(s.start - 1.0, s.start + rng.uniform(5, 9)) for s in scenes[1:-1] if rng.random() < 0.6]
    intervals.append((max(last.start - 1.0, last.end - rng.uniform(12, 16)), last.end))
    return tuple((round(a, 2), round(b, 2) if b != last.end else b) for a, b in intervals)


def _fade(count: int, seconds: float) -> Samples:
    ramp = np.ones(count, dtype=np.float32)
    edge = min(round(seconds * RATE), count // 2)
    ramp[:edge] = np.sin(np.linspace(0, np.pi / 2, edge)) ** 2
    ramp[count - edge :] = ramp[:edge][::-1]
    return ramp


def _level(samples: Samples, rms: float) -> Samples:
    return (samples * (rms / (float(np.sqrt(np.mean(samples**2))) + 1e-9))).astype(np.float32)


def _duck(speech: Samples) -> Samples:
    """1 without speech, `DUCKED` under it, gliding over a third of a second."""
    hop = RATE // 50
    frames = np.pad(np.abs(speech), (0, -len(speech) % hop)).reshape(-1, hop).max(axis=1) > 0.004
    glide = np.hanning(35)[1:-1]
    near = np.convolve(frames, np.ones(25), "same") > 0
    curve = 1 - (1 - DUCKED) * np.convolve(np.pad(near, 16, "edge"), glide / glide.sum(), "valid")
    at = np.arange(len(speech)) / hop - 0.5
    return np.interp(at, np.arange(len(curve)), curve).astype(np.float32)


def _tone(frequency: float, count: int, partials: Sequence[float]) -> Samples:
    turns = 2 * np.pi * frequency * np.arange(count, dtype=np.float32) / RATE
    return np.sum([part * np.sin((k + 1) * turns) for k, part in enumerate(partials)], axis=0).astype(
        np.float32
    )


def _music(count: int, key: int, chords: Sequence[Sequence[int]], rng: Random) -> Samples:
    """Slow pads with a plucked line above them."""
    music = np.zeros(count, dtype=np.float32)
    bar = round(2.8 * RATE)
    for number, at in enumerate(range(0, count, bar)):
        chord = chords[number % len(chords)]
        size = min(bar + RATE, count - at)
        swell = _fade(size, 0.9)
        for note in (chord[0] - 12, *chord):
            frequency = 196.0 * 2 ** ((key + note) / 12)
            for detune in (0.9985, 1.0015):
                music[at : at + size] += swell * _tone(frequency * detune, size, (1, 0.35, 0.12, 0.05)) * 0.5
        for beat in range(8):
            start = at + beat * bar // 8
            length = min(round(1.3 * RATE), count - start)
            if length > 0 and rng.random() < 0.62:
                frequency = 392.0 * 2 ** ((key + rng.choice(list(chord))) / 12)
                decay = np.exp(-np.arange(length, dtype=np.float32) / (0.28 * RATE))
                decay[:220] *= np.linspace(0, 1, 220, dtype=np.float32)[:length]
                music[start : start + length] += _tone(frequency, length, (1, 0.4, 0.2, 0.08)) * decay * 1.3
    return _level(music, MUSIC_LEVEL)


def _noise(count: int, low: float, high: float, noise: np.random.Generator, slope: float = 0.0) -> Samples:
    """Noise between two frequencies in Hz, falling by frequency to the power of `slope`."""
    frequencies = np.fft.rfftfreq(count, 1 / RATE)
    band = 1 / (1 + (low / np.maximum(frequencies, 1)) ** 4) / (1 + (frequencies / high) ** 4)
    spectrum = np.fft.rfft(noise.standard_normal(count)) * band * np.maximum(frequencies, 20) ** -slope
    return _level(np.fft.irfft(spectrum, count).astype(np.float32), 1.0)


def _ambience(scene: TimedScene, count: int, noise: np.random.Generator) -> Samples:
    place, weather, time = scene.scene.place, scene.scene.weather, scene.scene.time
    seconds = np.arange(count) / RATE
    indoor = PLACES[place].indoor
    sound: NDArray[np.floating]
    if place == "harbour":
        waves = 0.55 + 0.45 * np.sin(2 * np.pi * seconds / 5.3 + 1) * np.sin(2 * np.pi * seconds / 8.1)
        sound = _noise(count, 80, 900, noise, 0.5) * waves
    elif place in ("park", "forest"):
        gusts = 0.6 + 0.4 * np.sin(2 * np.pi * seconds / 7.3)
        sound = _noise(count, 150, 1400, noise, 0.5) * gusts
        if weather == "clear":
            sound = sound + (_birds(count, noise) if time != "night" else 0.5 * _crickets(seconds))
    else:
        sound = _noise(count, 60, 350 if indoor else 600, noise, 0.8)
    if weather == "rain":
        sound = 0.5 * sound + (0.6 if indoor else 1.4) * _noise(count, 900, 3500 if indoor else 9000, noise)
    elif weather == "snow" and not indoor:
        sound = 0.7 * sound + 0.4 * _noise(count, 300, 700, noise) * (
            0.6 + 0.4 * np.sin(2 * np.pi * seconds / 6.1)
        )
    rms = AMBIENCE_LEVEL * (1.5 if weather == "rain" and not indoor else 1.0)
    return _level(np.asarray(sound, dtype=np.float32), rms)


def _birds(count: int, noise: np.random.Generator) -> Samples:
    song = np.zeros(count, dtype=np.float32)
    for _ in range(round(count / RATE * 0.5)):
        at, base = int(noise.integers(0, max(count - RATE, 1))), float(noise.uniform(2600, 4200))
        for k in range(int(noise.integers(2, 5))):
            size = round(0.09 * RATE)
            start = at + round(k * 0.14 * RATE)
            sweep = base * (1 + 0.18 * np.sin(np.linspace(0, np.pi * (1 + k % 2), size)))
            chirp = np.sin(2 * np.pi * np.cumsum(sweep) / RATE) * np.hanning(size)
            song[start : start + size] += chirp[: max(count - start, 0)].astype(np.float32)
    return song * 1.2


def _crickets(seconds: NDArray[np.float64]) -> Samples:
    trill = np.clip(np.sin(2 * np.pi * 17 * seconds), 0, 1) * (np.sin(2 * np.pi * seconds / 1.7) > 0.1)
    return (trill * np.sin(2 * np.pi * 4100 * seconds)).astype(np.float32)


def write_sound(samples: Samples, path: Path) -> None:
    """Writes mono 16-bit sound; the suffix (.wav, .flac) says in which container.

    The film's sound is `RATE` Hz.
    """
    import av

    codec = {".wav": "pcm_s16le", ".flac": "flac"}[path.suffix.lower()]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(to_int16(samples)[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def to_int16(samples: Samples) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """Float samples in [-1, 1] as 16-bit integers."""
    return np.round(samples * 32767).astype(np.int16)
