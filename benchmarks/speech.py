"""Speech cleaning measured: on a described film, on sound without speech, and part by part against peers.

    python -m benchmarks.speech --data ../shared/data
    python -m benchmarks.speech --only diarization --grid    # where the diarizer's defaults come from
    python -m benchmarks.speech --only speed --peers-python ENVIRONMENT/bin/python    # one with whisperx

Every table says on what it was measured. Rendering the films of `narrator` needs the `voices` extra.
"""

import argparse
import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from rich.box import MARKDOWN, SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.speech_diarization import diarization
from benchmarks.speech_peers import WhisperLibrary
from benchmarks.speech_speed import speed, write_wav
from cinescribe import zoo
from cinescribe.media.audio import read_audio
from cinescribe.metrics.speech import Span, TimeShares, WordErrors, time_overlap, unite, word_errors
from cinescribe.speech.clean import CleanSpeech, SpeechCleaner, SpeechSettings
from cinescribe.utterance import Utterance, Word

RATE = 16_000
PAUSE = 0.5  # seconds between words over which they are one span of speech
PARTS = {  # seconds of the described film; the credits are read out from 519 s on
    "whole film": (0.0, 1e9),
    "0-300 s (looked at while tuning)": (0.0, 300.0),
    "300 s-end (not looked at)": (300.0, 1e9),
    "300-519 s (that without the credits)": (300.0, 519.0),
}


class Bench:
    """What the sections share: options, models loaded once, and where tables go."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.data: Path = options.data
        self.console = Console(markup=False, highlight=False)  # words are printed as they are
        if not self.console.is_terminal:
            self.console.width = 240  # files and pipes have no edge to wrap at

    @cached_property
    def cleaner(self) -> SpeechCleaner:
        """Ours, with the weights of the small profile."""
        return SpeechCleaner(SpeechSettings(), threads=self.options.threads, device="cpu")

    @cached_property
    def library(self) -> WhisperLibrary:
        """The whisper library with the same weights."""
        return WhisperLibrary(zoo.path(zoo.for_role("asr")), self.options.cache)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table: Markdown when piped."""
        table = Table(box=SIMPLE if self.console.is_terminal else MARKDOWN)
        for number, column in enumerate(columns):
            table.add_column(column, justify="right" if number else "left")
        for row in rows:
            table.add_row(*(str(cell) for cell in row))
        self.console.print(title, end="\n\n")
        self.console.print(table, end="\n\n")


def film(bench: Bench) -> None:
    """Elephants Dream with its human-written description spoken in the gaps, against its captions."""
    folder = bench.data / "video" / "elephants_dream"
    path = folder / "described_audio_16k.flac"
    rows = json.loads((folder / "described_truth.json").read_text(encoding="utf-8"))["segments"]
    truth = [
        Utterance(r["start"], r["end"], r["text"], role="narrator" if r["kind"] == "ad" else "dialogue")
        for r in rows
    ]
    sound = read_audio(path, rate=RATE)
    clean = bench.cleaner(path)
    told = SpeechCleaner(SpeechSettings(names=("Emo", "Proog")), threads=bench.options.threads)
    systems = {"ours": spoken_words(clean), "ours, --names Emo,Proog": spoken_words(told(path))}
    for name, beam in (("whisper library", 0), ("whisper library, beam 5", 5)):
        systems[name] = [(word, "narrator") for word in bench.library(sound, beam)]
    for part, (start, end) in PARTS.items():
        true = [u for u in truth if start <= (u.start + u.end) / 2 < end]
        figures = {}
        for name, words in systems.items():
            heard = [(word, role) for word, role in words if inside(word, [(start, end)])]
            figures[name] = film_figures(true, heard)
        bench.table(
            f"Elephants Dream, described, {part}: {words_of(true, 'narrator')} words of description, "
            f"{words_of(true, 'dialogue')} of dialogue. The library knows no roles: it is all narrator.",
            ["", *figures],
            [[row, *(f[row] for f in figures.values())] for row in figures["ours"]],
        )
    bench.table(
        f"Who was taken for the narrator (confidence {clean.narrator_confidence:.3f})",
        ["speaker", "words", "seconds", "first person", "narrator", "why"],
        [
            [e.speaker, e.words, f"{e.seconds:.1f}", percent(e.first_person), e.narrator, e.reason]
            for e in clean.evidence
        ],
    )
    bench.console.print(f"Suppressed words, by rule: {dict(clean.suppressed)}", end="\n\n")


def spoken_words(clean: CleanSpeech) -> list[tuple[Word, str]]:
    """All words with their utterance's role, by start time."""
    words = [(word, utterance.role) for utterance in clean.utterances for word in utterance.words]
    return sorted(words, key=lambda pair: (pair[0].start, pair[0].end))


def film_figures(truth: Sequence[Utterance], words: Sequence[tuple[Word, str]]) -> dict[str, str]:
    """Name of a figure -> its value, for the words of one system."""
    described = [(u.start, u.end) for u in truth if u.role == "narrator"]
    narrated = [word for word, role in words if role == "narrator"]
    text = " ".join(u.text for u in truth if u.role == "narrator")
    shares = narrated_time(described, narrated)
    there = [word for word, _ in words if inside(word, described)]
    captions = [u for u in truth if u.role == "dialogue"]
    found = sum(found_at(caption, [word for word, _ in words]) for caption in captions)
    spans = [(u.start, u.end) for u in captions]
    roles = [role for w, role in words if inside(w, spans) and not inside(w, described)]
    dialogue = words_of(truth, "dialogue")
    near = [(u.start - 1, u.end + 1) for u in truth]
    invented = [word for word, _ in words if not inside(word, near)]
    return {
        f"description time found (words joined over {PAUSE} s)": percent(shares.found),
        "of the time claimed as description, right": percent(shares.right),
        "word errors of the description, all narrator's words": errors(word_errors(text, said(narrated))),
        "word errors of the description, all words in its true time": errors(word_errors(text, said(there))),
        "dialogue words found at their caption, 0.5 s": share_of(found, dialogue),
        "words where only dialogue is, with that role": share_of(roles.count("dialogue"), len(roles)),
        "words invented, over 1 s from any speech": f"{len(invented)} {said(invented[:8])!r}",
    }


def found_at(caption: Utterance, words: Iterable[Word]) -> int:
    """Words of a caption that are heard, in its order, within half a second of it."""
    near = [(caption.start - 0.5, caption.end + 0.5)]
    return word_errors(caption.text, said(word for word in words if inside(word, near))).hits


def narrated_time(described: Iterable[Span], narrated: Iterable[Word]) -> TimeShares:
    """Time of the description that was found; both sides joined over short pauses."""
    return time_overlap(unite(described, PAUSE), unite(((w.start, w.end) for w in narrated), PAUSE))


def inside(word: Word, spans: Iterable[Span]) -> bool:
    """Whether a word's middle lies in one of the spans."""
    return any(start <= (word.start + word.end) / 2 < end for start, end in spans)


def said(words: Iterable[Word]) -> str:
    """Their text."""
    return " ".join(word.text for word in words)


def words_of(utterances: Iterable[Utterance], role: str) -> int:
    """Words, normalised, of a role."""
    return sum(word_errors(u.text, "").words for u in utterances if u.role == role)


def percent(share: float) -> str:
    """A share to a tenth of a percent."""
    return f"{100 * share:.1f}%"


def share_of(part: int, whole: int) -> str:
    """A share with what it is of."""
    return f"{percent(part / whole) if whole else '-'} of {whole}"


def errors(counts: WordErrors) -> str:
    """Rate and kinds: substituted, deleted, inserted."""
    kinds = f"{counts.substitutions}s {counts.deletions}d {counts.insertions}i"
    return f"{percent(counts.rate)} ({kinds} of {counts.words})"


def silence(bench: Bench) -> None:
    """Words invented where nobody speaks."""
    from cinescribe.cineworld.film import produce
    from cinescribe.cineworld.sound import write_sound

    video = bench.data / "video"
    clips = {
        "cartoon without dialogue: big_buck_bunny_0_30.webm": video / "big_buck_bunny_0_30.webm",
        "silent film: chaplin.mp4": video / "chaplin.mp4",
        "bird: cockatoo.mp4": video / "cockatoo.mp4",
    }
    with tempfile.TemporaryDirectory() as folder:
        clips["white noise, 30 s"] = write_wav(
            Path(folder, "noise.wav"), 0.05 * np.random.default_rng(0).standard_normal(30 * RATE)
        )
        for seed in range(2):
            track = produce(seed).sound
            name = f"music and ambience of rendered film {seed}"
            clips[name] = Path(folder, f"{seed}.flac")
            write_sound(replace(track, speech=0 * track.speech).mix(), clips[name])
        rows = []
        for name, path in clips.items():
            sound = read_audio(path, rate=RATE)
            ours = [word for word, _ in spoken_words(bench.cleaner(path))]
            theirs = [bench.library(sound, beam) for beam in (0, 5)]
            rows.append(
                [name, f"{len(sound) / RATE:.1f}", *(f"{len(w)} {said(w)[:40]!r}" for w in (ours, *theirs))]
            )
    bench.table(
        "Words invented on sound without speech (of the clips, as their descriptions say)",
        ["sound", "seconds", "ours", "whisper library", "whisper library, beam 5"],
        rows,
    )


def words(bench: Bench) -> None:
    """Word errors on short clean recordings."""
    pooled: list[WordErrors] = [WordErrors(0, 0, 0, 0)] * 3
    rows = []
    for path, text in read_speech(bench.data / "speech"):
        sound = read_audio(path, rate=RATE)
        heard = [said(word for word, _ in spoken_words(bench.cleaner(path)))]
        heard += [said(bench.library(sound, beam)) for beam in (0, 5)]
        counts = [word_errors(text, h) for h in heard]
        pooled = [a + b for a, b in zip(pooled, counts, strict=True)]
        rows.append([path.name, *map(errors, counts)])
    rows.append(["all", *map(errors, pooled)])
    bench.table(
        "Word errors on read speech (LibriVox, LibriSpeech, LJ Speech), an address (jfk), a meeting (AMI)",
        ["recording", "ours", "whisper library", "whisper library, beam 5"],
        rows,
    )


def read_speech(folder: Path) -> list[tuple[Path, str]]:
    """Recordings whose words are known."""
    found = [
        (
            folder / "whisper" / "jfk.flac",
            "And so, my fellow Americans: ask not what your country can do for you, "
            "ask what you can do for your country.",
        )
    ]
    for text in sorted((folder / "pocketsphinx" / "librivox").glob("*.txt")):
        found.append((text.with_suffix(".wav"), text.read_text(encoding="utf-8")))
    lhotse = folder / "lhotse"
    mixture = json.loads((lhotse / "mix_cut_test" / "overlayed_audio_cut_manifest.json").read_text())
    cuts = [
        *json.loads((lhotse / "ljspeech" / "cuts.json").read_text()),
        *json.loads((lhotse / "ami" / "cuts.json").read_text()),
        mixture[0]["tracks"][0]["cut"],  # of its two recordings only the first carries its own text
    ]
    for cut in cuts:
        source = cut["recording"]["sources"][0]["source"].removeprefix("test/fixtures/")
        found.append((lhotse / source, " ".join(s["text"] for s in cut["supervisions"])))
    return found


def narrator(bench: Bench) -> None:
    """Rendered films: is the narrator's voice told from those of the characters?"""
    from cinescribe.cineworld.film import render_film

    rows: list[list[object]] = []
    found = 0
    shares, counts, seeds = TimeShares(0, 0, 0), WordErrors(0, 0, 0, 0), range(bench.options.seeds)
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            characters, path = 2 + seed % 2, Path(folder, f"{seed}.flac")
            truth = render_film(seed, path, characters=characters, picture=False)
            clean = bench.cleaner(path)
            path.unlink()
            described = [(u.start, u.end) for u in truth.utterances if u.role == "narrator"]
            narrated = [word for word, role in spoken_words(clean) if role == "narrator"]
            text = " ".join(u.text for u in truth.utterances if u.role == "narrator")
            right = narrator_found(clean, described)
            share, wrong = narrated_time(described, narrated), word_errors(text, said(narrated))
            found, shares, counts = found + right, shares + share, counts + wrong
            figures = [percent(share.found), percent(share.right), errors(wrong)]
            voices = f"{len(clean.evidence)}/{characters + 1}"
            confidence = f"{clean.narrator_confidence:.3f}"
            rows.append([seed, truth.narrator_voice, voices, right, confidence, *figures])
    total = [percent(shares.found), percent(shares.right), errors(counts)]
    rows.append(["all", "", "", f"{found} of {len(seeds)}", "", *total])
    bench.table(
        f"Rendered films, seeds 0 to {len(seeds) - 1}, two or three characters and a narrator",
        ["seed", "narrator", "voices", "found", "confidence", "time found", "time right", "word errors"],
        rows,
    )


def narrator_found(clean: CleanSpeech, described: Sequence[Span]) -> bool:
    """Whether the speaker heard in most of the narrator's true time was taken for the narrator."""
    spans: dict[str, list[Span]] = {}
    for utterance in clean.utterances:
        spans.setdefault(utterance.speaker, []).extend((w.start, w.end) for w in utterance.words)
    if not spans:
        return False
    speaker = max(spans, key=lambda name: time_overlap(described, spans[name]).both)
    return any(u.role == "narrator" for u in clean.utterances if u.speaker == speaker)


SECTIONS = {
    "film": film,
    "silence": silence,
    "words": words,
    "diarization": diarization,
    "narrator": narrator,
    "speed": speed,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sections and print their tables."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.speech", description=__doc__.partition("\n")[0])
    p.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with speech/ and video/")
    p.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="default: all")
    p.add_argument(
        "--grid", action="store_true", help="diarization: over thresholds, pieces and window steps"
    )
    p.add_argument("--seeds", type=int, default=20, help="narrator: films rendered")
    p.add_argument("--seconds", type=float, default=0, help="speed: of the film's beginning; default all")
    p.add_argument("--turns", type=int, default=2, help="speed, diarization: timed runs, the best counts")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--cache", type=Path, help="folder to keep the whisper library's transcripts in")
    p.add_argument("--peers-python", default="", metavar="PATH", help="interpreter that has whisperx")
    bench = Bench(p.parse_args(argv))
    torch.set_num_threads(bench.options.threads)
    for name in bench.options.only:
        SECTIONS[name](bench)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
