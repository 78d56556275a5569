"""Speech regions to timed words with Whisper, without its inventions.

Only sound in which someone speaks reaches Whisper, many regions packed into each of its 30-s windows and the
windows decoded in batches (after WhisperX, Bain et al. 2023, "VAD cut & merge"). What it is known to invent
all the same - loops, phrases learnt from subtitles, words where there is no time for them - is cut out and
counted.
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe.errors import UsageError
from cinescribe.speech.diarization import Turn
from cinescribe.speech.whisper_engines import FRAMES, TimedWord, WhisperEngine
from cinescribe.utterance import Word

SAMPLE_RATE = 16_000
Span = tuple[float, float]  # start, end in seconds

# What Whisper says to music and noise because subtitle files end so (lower case, no punctuation).
PHANTOMS = (
    "thank you for watching",
    "thanks for watching",
    "thank you so much for watching",
    "please subscribe",
    "dont forget to subscribe",
    "like and subscribe",
    "subtitles by",
    "subtitled by",
    "captions by",
    "transcription by",
    "transcribed by",
    "amaraorg",
    "ill see you next time",
    "see you in the next video",
    "bye bye",
    "thank you very much",
    "thank you",
    "you",
    "bye",
    "music",
    "applause",
    "beep",
)


@dataclass(frozen=True, slots=True)
class TranscriptionOptions:
    """Thresholds; the first three are the whisper library's own.

    Attributes:
        compression: a text that zlib shrinks by more than this is a loop and is decoded again.
        log_probability, no_speech: a window below the one and above the other is silence.
        region_probability: mean word probability below which a region's words are taken for noise.
        phantom_probability: below which a region saying only a known phantom is taken for noise.
        words_per_second: speech is never faster for three words and more.
        pad: seconds kept around each region.
        merge: regions nearer than this are one.
        gap: seconds of silence between regions packed into one window.
        beam: hypotheses kept.
        batch: windows decoded at once.
    """

    compression: float = 2.4
    log_probability: float = -1.0
    no_speech: float = 0.6
    region_probability: float = 0.3
    phantom_probability: float = 0.6
    words_per_second: float = 9.0
    pad: float = 0.2
    merge: float = 0.5
    gap: float = 0.5
    beam: int = 5
    batch: int = 8


@dataclass(frozen=True, slots=True)
class Transcript:
    """Words by start time, the language (ISO 639-1) and its probability, words suppressed by rule."""

    words: tuple[Word, ...]
    language: str
    language_probability: float
    suppressed: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A region within a window: its film time and where it starts in the window (seconds)."""

    start: float
    end: float
    offset: float


class Transcriber:
    """Whisper over speech regions. `language` fixes it; "" detects it (English-only weights know one)."""

    def __init__(
        self, engine: WhisperEngine, *, language: str = "", options: TranscriptionOptions | None = None
    ) -> None:
        from whisper.tokenizer import LANGUAGES

        if language and language not in LANGUAGES:
            raise UsageError(
                f"language {language!r} is none of Whisper's: give its two-letter code, e.g. en or fr"
            )
        if language not in ("", "en") and not engine.multilingual:
            raise UsageError(
                f"these Whisper weights know English only, not {language!r}: choose others (--asr)"
            )
        self.engine = engine
        self.language = language
        self.options = options or TranscriptionOptions()

    def __call__(self, sound: NDArray[np.int16], regions: Sequence[Span]) -> Transcript:
        """Words of the regions (seconds, ascending, apart), from 16-kHz samples `[samples]`."""
        windows = list(pack(split_long(sound, regions), gap=self.options.gap))
        language, probability = self._language(sound, windows)
        if not windows:
            return Transcript((), language, probability)
        from whisper.tokenizer import get_tokenizer

        tokenizer = get_tokenizer(
            self.engine.multilingual,
            num_languages=self.engine.languages,
            language=language if self.engine.multilingual else None,
            task="transcribe" if self.engine.multilingual else None,
        )
        words: list[Word] = []
        suppressed: Counter[str] = Counter()
        for first in range(0, len(windows), self.options.batch):
            batch = windows[first : first + self.options.batch]
            for window, timed in zip(batch, self._read(sound, batch, tokenizer, suppressed), strict=True):
                for region, spoken in by_region(window, timed):
                    words += self._trust(region, spoken, suppressed)
        return Transcript(tuple(words), language, probability, suppressed)

    def _language(self, sound: NDArray[np.int16], windows: Sequence[Sequence[_Placed]]) -> tuple[str, float]:
        """Given, English for English-only weights, or the mean vote of up to five windows over the film."""
        if self.language or not self.engine.multilingual:
            return self.language or "en", 1.0
        if not windows:
            return "", 0.0
        chosen = [windows[i] for i in np.unique(np.linspace(0, len(windows) - 1, 5).astype(int))]
        votes: Counter[str] = Counter()
        for probabilities in self.engine.detect_language(
            self.engine.encode(self._spectrograms(sound, chosen))
        ):
            votes.update(probabilities)
        language, total = votes.most_common(1)[0]
        return language, total / len(chosen)

    def _spectrograms(
        self, sound: NDArray[np.int16], windows: Sequence[Sequence[_Placed]]
    ) -> NDArray[np.float32]:
        """Log-mel spectrograms `[windows, bands, FRAMES]`."""
        import torch
        from whisper.audio import N_SAMPLES, log_mel_spectrogram

        waves = np.zeros((len(windows), N_SAMPLES), np.float32)
        for wave, window in zip(waves, windows, strict=True):
            for region in window:
                piece = sound[round(region.start * SAMPLE_RATE) : round(region.end * SAMPLE_RATE)]
                at = round(region.offset * SAMPLE_RATE)
                wave[at : at + len(piece)] = piece.astype(np.float32)[: N_SAMPLES - at] / 32768
        # One by one: the spectrogram's floor is relative to the loudest moment of its own window.
        return np.stack(
            [log_mel_spectrogram(torch.from_numpy(wave), self.engine.bands).numpy() for wave in waves]
        )

    def _read(
        self,
        sound: NDArray[np.int16],
        windows: Sequence[Sequence[_Placed]],
        tokenizer: Any,
        suppressed: Counter[str],
    ) -> list[list[TimedWord]]:
        """Timed words of each window."""
        options, engine = self.options, self.engine
        prompt = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        encoded = engine.encode(self._spectrograms(sound, windows))
        decoded = engine.decode(encoded, prompt, beam=options.beam)
        tokens: list[tuple[int, ...]] = []
        for index, result in enumerate(decoded):
            text = tuple(token for token in result.tokens if token < tokenizer.eot)
            if is_loop(tokenizer.decode(text), options.compression):
                single = engine.encode(self._spectrograms(sound, windows[index : index + 1]))
                again = engine.decode(single, prompt, beam=options.beam, no_repeat=5)[0]
                text = tuple(token for token in again.tokens if token < tokenizer.eot)
            if result.no_speech > options.no_speech and result.log_probability < options.log_probability:
                suppressed["silence"] += len(tokenizer.decode(text).split())
                text = ()
            tokens.append(text)
        frames = [min(FRAMES, round(100 * (w[-1].offset + w[-1].end - w[-1].start))) for w in windows]
        timed = engine.align(encoded, tokenizer, tokens, frames)
        return [cut_loops(join_punctuation(words), suppressed) for words in timed]

    def _trust(self, region: _Placed, words: Sequence[Word], suppressed: Counter[str]) -> list[Word]:
        """The region's words if they can have been spoken there, else none."""
        if not words:
            return []
        probability = float(np.mean([word.probability for word in words]))
        said = " ".join("".join(c for c in word.text.lower() if c.isalnum()) for word in words)
        seconds = region.end - region.start
        rule = ""
        if probability < self.options.region_probability:
            rule = "noise"
        elif said in PHANTOMS and probability < self.options.phantom_probability:
            rule = "phantom"
        elif len(words) > 2 and len(words) > self.options.words_per_second * seconds:
            rule = "haste"
        if rule:
            suppressed[rule] += len(words)
            return []
        return list(words)


def speech_regions(turns: Iterable[Turn], duration: float, options: TranscriptionOptions) -> list[Span]:
    """Where anyone speaks: turns united, padded, and joined over short pauses; within [0, duration]."""
    regions: list[Span] = []
    for turn in sorted(turns, key=lambda turn: turn.start):
        start, end = max(0.0, turn.start - options.pad), min(duration, turn.end + options.pad)
        if end <= start:
            continue
        if regions and start - regions[-1][1] < options.merge - 2 * options.pad:
            regions[-1] = (regions[-1][0], max(regions[-1][1], end))
        else:
            regions.append((start, end))
    return regions


def split_long(sound: NDArray[np.int16], regions: Iterable[Span], longest: float = 28.0) -> list[Span]:
    """Cut regions longer than a window at their quietest moment of 20 ms between half of it and all of it."""
    short: list[Span] = []
    for start, end in regions:
        while end - start > longest:
            low, high = (round((start + share * longest) * SAMPLE_RATE) for share in (0.5, 1.0))
            step = SAMPLE_RATE // 50
            energy = np.square(sound[low:high].astype(np.float64))
            energy = energy[: len(energy) // step * step].reshape(-1, step).sum(axis=1)
            smooth = np.convolve(energy, np.ones(10), mode="same")  # a pause of 0.2 s, not one zero crossing
            cut = (low + (int(smooth.argmin()) + 0.5) * step) / SAMPLE_RATE
            short.append((start, cut))
            start = cut
        short.append((start, end))
    return short


def pack(regions: Iterable[Span], *, gap: float, longest: float = 29.0) -> Iterator[list[_Placed]]:
    """Fill windows with whole regions in order, `gap` seconds of silence between them."""
    window: list[_Placed] = []
    used = 0.0
    for start, end in regions:
        offset = used + gap if window else 0.0
        if window and offset + end - start > longest:
            yield window
            window, offset = [], 0.0
        window.append(_Placed(start, end, offset))
        used = offset + end - start
    if window:
        yield window


def by_region(window: Sequence[_Placed], timed: Sequence[TimedWord]) -> Iterator[tuple[_Placed, list[Word]]]:
    """Give each word to the region it is spoken in and put it into film time.

    A word belongs where its end lies, since the alignment lets a word after a pause begin with the pause.
    """
    starts = [
        (region.offset + before.offset + before.end - before.start) / 2 for before, region in pairwise(window)
    ]
    spoken: list[list[Word]] = [[] for _ in window]
    for word in timed:
        index = int(np.searchsorted(starts, word.end - min(0.1, (word.end - word.start) / 2)))
        region = window[index]
        shift = region.start - region.offset
        start = min(max(word.start + shift, region.start), region.end)
        end = min(max(word.end + shift, start), region.end)
        spoken[index].append(Word(start, end, word.text.strip(), word.probability))
    yield from zip(window, spoken, strict=True)


def is_loop(text: str, compression: float) -> bool:
    """Whether a text repeats itself: the whisper library's measure, zlib's ratio."""
    raw = text.strip().encode()
    return len(raw) > 0 and len(raw) / len(zlib.compress(raw)) > compression


def cut_loops(words: Sequence[TimedWord], suppressed: Counter[str], most: int = 3) -> list[TimedWord]:
    """Keep one round of a phrase said more than `most` times in a row (one or two words: twice that)."""
    said = ["".join(c for c in word.text.lower() if c.isalnum()) for word in words]
    kept: list[TimedWord] = []
    at = 0
    while at < len(words):
        for length in range(1, 13):
            rounds = 1
            while said[at : at + length] == said[at + rounds * length : at + (rounds + 1) * length] != []:
                if len(said[at + rounds * length : at + (rounds + 1) * length]) < length:
                    break
                rounds += 1
            if rounds > (2 * most if length < 3 else most):
                kept += words[at : at + length]
                suppressed["repetition"] += (rounds - 1) * length
                at += rounds * length
                break
        else:
            kept.append(words[at])
            at += 1
    return kept


def join_punctuation(words: Sequence[TimedWord]) -> list[TimedWord]:
    """Attach marks that the tokenizer split off to the word before (or after, for opening marks)."""
    joined: list[TimedWord] = []
    opening = ""
    for word in words:
        text = word.text.strip()
        if not text:
            continue
        if not any(c.isalnum() for c in text):
            if word.text.startswith(" ") and text in "\"'“¿([{-":
                opening += text
                continue
            if joined:
                last = joined[-1]
                joined[-1] = TimedWord(last.text + text, last.start, last.end, last.probability)
            continue
        if joined and not word.text.startswith(" ") and not opening and not text[0].isalnum():
            last = joined[-1]
            joined[-1] = TimedWord(
                last.text + text, last.start, word.end, min(last.probability, word.probability)
            )
            continue
        joined.append(TimedWord(opening + text, word.start, word.end, word.probability))
        opening = ""
    return joined
