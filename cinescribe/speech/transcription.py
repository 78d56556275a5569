"""Speech regions to timed words with Whisper, without its inventions.

Only sound in which someone speaks reaches Whisper, many regions packed into each of its 30-s windows and
the windows decoded in batches (after WhisperX, Bain et al. 2023, "VAD cut & merge"). A window holds one
voice, at one level: beside a loud narrator Whisper does not hear the quiet dialogue of a film
(docs/speech.md). What it is known to invent all the same - loops, phrases learnt from subtitles, words where
there is no time for them - is cut out and counted.
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe.errors import UsageError
from cinescribe.speech.diarization import Turn
from cinescribe.speech.whisper_engines import FRAMES, TimedWord, WhisperEngine
from cinescribe.utterance import Word

SAMPLE_RATE = 16_000
_MARKS = (".", "?", "!", ",", ";", ":")

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
        merge: regions of one voice nearer than this are one.
        level: root mean square that regions are brought to, of full scale; by `gain` at most.
        gap: seconds of silence between regions packed into one window.
        hardly: words a second below which a region of a packed window is read again by itself.
        doubt: probability of a word below which its region is read again too.
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
    level: float = 0.06
    gain: float = 10.0
    gap: float = 0.5
    hardly: float = 1.0
    doubt: float = 0.01
    beam: int = 5
    batch: int = 8


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch in which a voice speaks, in seconds."""

    start: float
    end: float
    voice: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """Words by start time and the voice of the region each was read in, the language (ISO 639-1) and its
    probability, words suppressed by rule.
    """

    words: tuple[Word, ...]
    voices: tuple[str, ...]
    language: str
    language_probability: float
    suppressed: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A region within a window: its film time and where it starts in the window (seconds)."""

    start: float
    end: float
    voice: str
    offset: float


class Transcriber:
    """Whisper over speech regions.

    Args:
        engine: the weights.
        language: ISO 639-1 code; "" detects it (English-only weights know one).
        names: words to expect, such as the names of the characters; given to Whisper as earlier text.
        options: thresholds.

    Raises:
        UsageError: a language that Whisper or these weights don't know, or names it takes for commands.
    """

    def __init__(
        self,
        engine: WhisperEngine,
        *,
        language: str = "",
        names: Sequence[str] = (),
        options: TranscriptionOptions | None = None,
    ) -> None:
        from whisper.tokenizer import LANGUAGES

        if language and language not in list(LANGUAGES)[: engine.languages]:
            raise UsageError(
                f"language {language!r} is none of these weights': give its two-letter code, e.g. en or fr"
            )
        if language not in ("", "en") and not engine.multilingual:
            raise UsageError(
                f"these Whisper weights know English only, not {language!r}: try --asr whisper-base"
            )
        if any("<|" in name for name in names):
            raise UsageError("names may not hold Whisper's control tokens (<|...|>): give plain names")
        self.engine = engine
        self.language = language
        self.names = ", ".join(names)
        self.options = options or TranscriptionOptions()

    def __call__(self, sound: NDArray[np.int16], regions: Sequence[Region]) -> Transcript:
        """Words of the regions (any order; those of one voice apart), from 16-kHz samples `[samples]`."""
        by_voice = sorted(split_long(sound, regions), key=lambda region: (region.voice, region.start))
        windows = list(pack(by_voice, gap=self.options.gap))
        language, probability = self._language(sound, windows)
        if not windows:
            return Transcript((), (), language, probability)
        from whisper.tokenizer import get_tokenizer

        tokenizer = get_tokenizer(
            self.engine.multilingual,
            num_languages=self.engine.languages,
            language=language if self.engine.multilingual else None,
            task="transcribe" if self.engine.multilingual else None,
        )
        suppressed: Counter[str] = Counter()
        read = self._read(sound, windows, tokenizer, suppressed)
        # In a packed window Whisper now and then stops early: what was hardly read is read again by itself.
        packed = {id(region) for window in windows if len(window) > 1 for region in window}
        hardly = [
            index
            for index, (region, words) in enumerate(read)
            if id(region) in packed and self._hardly_read(region, words)
        ]
        alone = [[replace(read[index][0], offset=0.0)] for index in hardly]
        for index, (region, words) in zip(
            hardly, self._read(sound, alone, tokenizer, suppressed), strict=True
        ):
            if len(words) > len(read[index][1]):
                read[index] = (region, words)
        spoken = drop_echoes((word, region.voice) for region, words in read for word in words)
        return Transcript(
            tuple(word for word, _ in spoken),
            tuple(voice for _, voice in spoken),
            language,
            probability,
            suppressed,
        )

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
                first, last = (round(t * SAMPLE_RATE) for t in (region.start, region.end))
                piece = sound[first:last].astype(np.float32) / 32768
                level = np.sqrt(np.mean(np.square(piece))) if len(piece) else 0.0
                gain = min(self.options.gain, self.options.level / max(level, 1e-6))
                at = round(region.offset * SAMPLE_RATE)
                wave[at : at + len(piece)] = (gain * piece[: N_SAMPLES - at]).clip(-1, 1)
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
    ) -> list[tuple[_Placed, list[Word]]]:
        """The believable words of each region of the windows, in order."""
        batches = [windows[at : at + self.options.batch] for at in range(0, len(windows), self.options.batch)]
        return [
            (region, self._trust(region, words, suppressed))
            for batch in batches
            for window, timed in zip(
                batch, self._read_batch(sound, batch, tokenizer, suppressed), strict=True
            )
            for region, words in by_region(window, timed)
        ]

    def _read_batch(
        self,
        sound: NDArray[np.int16],
        windows: Sequence[Sequence[_Placed]],
        tokenizer: Any,
        suppressed: Counter[str],
    ) -> list[list[TimedWord]]:
        """Timed words of each window."""
        options, engine = self.options, self.engine
        prompt = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        if self.names:
            prompt = [tokenizer.sot_prev, *tokenizer.encode(f" {self.names}.")[-200:], *prompt]
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

    def _hardly_read(self, region: _Placed, words: Sequence[Word]) -> bool:
        """Whether words may be missing: too few for the time, or one that the sound does not hold."""
        few = len(words) < self.options.hardly * (region.end - region.start)
        return few or min(word.probability for word in words) < self.options.doubt

    def _trust(self, region: _Placed, words: Sequence[Word], suppressed: Counter[str]) -> list[Word]:
        """The region's words if they can have been spoken there, else none."""
        if not words:
            return []
        probability = float(np.mean([word.probability for word in words]))
        said = " ".join(_plain(word.text) for word in words)
        seconds = region.end - region.start
        rule = ""
        if probability < self.options.region_probability:
            rule = "noise"
        elif self.names and said == " ".join(map(_plain, self.names.split())):
            rule = "phantom"  # nobody says just the list
        elif said in PHANTOMS and probability < self.options.phantom_probability:
            rule = "phantom"
        elif len(words) > 2 and len(words) > self.options.words_per_second * seconds:
            rule = "haste"
        if rule:
            suppressed[rule] += len(words)
            return []
        return list(words)


def speech_regions(turns: Iterable[Turn], duration: float, options: TranscriptionOptions) -> list[Region]:
    """Where each voice speaks: its turns padded, and joined over short pauses; within [0, duration]."""
    regions: list[Region] = []
    for turn in sorted(turns, key=lambda turn: (turn.speaker, turn.start)):
        start, end = max(0.0, turn.start - options.pad), min(duration, turn.end + options.pad)
        if end <= start:
            continue
        last = regions[-1] if regions else None
        if last and last.voice == turn.speaker and start - last.end < options.merge - 2 * options.pad:
            regions[-1] = Region(last.start, max(last.end, end), last.voice)
        else:
            regions.append(Region(start, end, turn.speaker))
    return regions


def split_long(
    sound: NDArray[np.int16], regions: Iterable[Region], longest: float = 28.0
) -> Iterator[Region]:
    """Cut regions longer than a window at their quietest 0.2 s between half of it and all of it."""
    for region in regions:
        start = region.start
        while region.end - start > longest:
            low, high = (round((start + share * longest) * SAMPLE_RATE) for share in (0.5, 1.0))
            step = SAMPLE_RATE // 50
            energy = np.square(sound[low:high].astype(np.float64))
            energy = energy[: len(energy) // step * step].reshape(-1, step).sum(axis=1)
            quiet = int(np.convolve(energy, np.ones(10), mode="same").argmin())
            cut = (low + (quiet + 0.5) * step) / SAMPLE_RATE
            yield Region(start, cut, region.voice)
            start = cut
        yield Region(start, region.end, region.voice)


def pack(regions: Iterable[Region], *, gap: float, longest: float = 29.0) -> Iterator[list[_Placed]]:
    """Fill windows with whole regions of one voice in order, `gap` seconds of silence between them."""
    window: list[_Placed] = []
    used = 0.0
    for region in regions:
        length = region.end - region.start
        offset = used + gap if window else 0.0
        if window and (offset + length > longest or window[-1].voice != region.voice):
            yield window
            window, offset = [], 0.0
        window.append(_Placed(region.start, region.end, region.voice, offset))
        used = offset + length
    if window:
        yield window


def drop_echoes(spoken: Iterable[tuple[Word, str]]) -> list[tuple[Word, str]]:
    """Words by start time, without those read twice because the regions of two voices overlap.

    Of two equal words of different voices that overlap in time, the less probable goes.
    """
    kept: list[tuple[Word, str]] = []
    for word, voice in sorted(spoken, key=lambda pair: (pair[0].start, pair[0].end)):
        echo = next(
            (
                index
                for index in range(len(kept) - 1, max(-1, len(kept) - 9), -1)
                if kept[index][1] != voice
                and _plain(kept[index][0].text) == _plain(word.text)
                and kept[index][0].end > word.start - 0.1
            ),
            None,
        )
        if echo is None:
            kept.append((word, voice))
        elif word.probability > kept[echo][0].probability:
            kept[echo] = (word, voice)
    return sorted(kept, key=lambda pair: (pair[0].start, pair[0].end))


def by_region(window: Sequence[_Placed], timed: Sequence[TimedWord]) -> Iterator[tuple[_Placed, list[Word]]]:
    """Give each word to the region it is spoken in and put it into film time.

    The alignment lets the last word before a gap, or the first after it, stretch across. Such a word belongs
    before when it ends a sentence or clause, after when the word before it did, else where more of it lies.
    """
    spoken: list[list[Word]] = [[] for _ in window]
    borders = [region.offset for region in window[1:]]
    for index, word in enumerate(timed):
        first, last = (int(np.searchsorted(borders, time, "right")) for time in (word.start, word.end))
        if first != last:
            ends = word.text.endswith(_MARKS)
            begins = index > 0 and timed[index - 1].text.endswith(_MARKS) and not ends
            before, after = window[first], window[last]
            heard_before = before.offset + before.end - before.start - word.start
            where = first if ends or (not begins and heard_before > word.end - after.offset) else last
        else:
            where = first
        region = window[where]
        shift = region.start - region.offset
        start = min(max(word.start + shift, region.start), region.end)
        end = min(max(word.end + shift, start), region.end)
        spoken[where].append(Word(start, end, word.text.strip(), word.probability))
    yield from zip(window, spoken, strict=True)


def is_loop(text: str, compression: float) -> bool:
    """Whether a text repeats itself: the whisper library's measure, zlib's ratio."""
    raw = text.strip().encode()
    return len(raw) > 0 and len(raw) / len(zlib.compress(raw)) > compression


def cut_loops(words: Sequence[TimedWord], suppressed: Counter[str], most: int = 3) -> list[TimedWord]:
    """Keep one round of a phrase said more than `most` times in a row (one or two words: twice that)."""
    said = [_plain(word.text) for word in words]
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


def _plain(text: str) -> str:
    """Letters and digits only, lower case."""
    return "".join(c for c in text.lower() if c.isalnum())
