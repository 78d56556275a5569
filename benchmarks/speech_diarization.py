"""The diarization part of the speech benchmark: ours against pyannote's pipeline with the same networks."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.speech_peers import PyannotePipeline
from cinescribe import zoo
from cinescribe.media.audio import read_audio
from cinescribe.metrics.speech import DiarizationErrors, Span, diarization_error
from cinescribe.speech.diarization import CinescribeDiarizer, DiarizationOptions, Diarizer, Piece
from cinescribe.speech.embedding import Ge2eEncoder, SpeakerEncoder
from cinescribe.speech.segmentation import PyanNet
from cinescribe.subtitles import read_rttm
from cinescribe.utterance import Utterance

if TYPE_CHECKING:
    from benchmarks.speech import Bench

RATE = 16_000
THRESHOLDS = tuple(round(0.1 + 0.05 * step, 2) for step in range(23))  # 0.1 .. 1.2
PIECES = (88, 168, 296, 589)  # frames: 1.5, 2.8, 5 and 10 s
HOPS = (59, 148, 296)  # frames: 1, 2.5 and 5 s
DEVELOPMENT, TEST = ("dev00", "dev01"), ("trn00", "trn01", "sample")


@dataclass(frozen=True, slots=True)
class Recording:
    """16-kHz samples, reference turns and the spans that are scored."""

    name: str
    sound: NDArray[np.int16]
    turns: tuple[Utterance, ...]
    scored: tuple[Span, ...]


def diarization(bench: "Bench") -> None:
    """Ours, ours with another speaker encoder, and pyannote's own pipeline with the same networks."""
    development, test = ([read_recording(bench.data, n) for n in names] for names in (DEVELOPMENT, TEST))
    ours = bench.cleaner.diarizer
    assert isinstance(ours, CinescribeDiarizer)
    if bench.options.grid:
        grid(bench, ours.segmentation, ours.encoder, development)
    light = Ge2eEncoder(zoo.load_state("ge2e"))
    systems: dict[str, Diarizer] = {f"ours, threshold {ours.options.threshold} (default)": ours}
    chosen = best_threshold(Remembering(ours.segmentation, light), development)
    options = DiarizationOptions(threshold=chosen)
    systems[f"ours with GE2E, {chosen}"] = CinescribeDiarizer(ours.segmentation, light, options)
    for encoder, name in ((ours.encoder, "CAM++"), (light, "GE2E")):
        pipeline = PyannotePipeline(encoder, THRESHOLDS[0])
        pipeline.remember()
        chosen = best_threshold(pipeline, development)
        systems[f"pyannote pipeline with {name}, {chosen}"] = PyannotePipeline(encoder, chosen)
    rows = []
    for name, diarizer in systems.items():
        for part, recordings in (("development", development), ("test", test)):
            scores = [(r, *score(diarizer, r), fastest(diarizer, r, bench.options.turns)) for r in recordings]
            for r, found, counts, seconds in scores:
                known = len({t.speaker for t in r.turns})
                rows.append([name, r.name, f"{found}/{known}", *parts(counts), speed_of(seconds, [r])])
            pooled = sum((counts for _, _, counts, _ in scores), DiarizationErrors(0, 0, 0, 0))
            taken = sum(seconds for *_, seconds in scores)
            rows.append([name, f"all of {part}", "", *parts(pooled), speed_of(taken, recordings)])
    bench.table(
        "Diarization: AMI meetings dev00, dev01 (development: thresholds were chosen on them), trn00, trn01 "
        f"and a telephone call, sample (test); 30 s each, no collar, overlap counted. Time: best of "
        f"{bench.options.turns} further turns, {bench.options.threads} threads.",
        ["system", "recording", "speakers", "DER", "missed", "false", "confused", "of real time"],
        rows,
    )


def read_recording(data: Path, name: str) -> Recording:
    """A recording of pyannote.audio's test data, by its name in the RTTM."""
    folder = data / "speech" / "pyannote"
    kind = {"dev": "debug.development", "trn": "debug.train"}.get(name[:3], "sample")
    file = folder / f"{name}.wav"
    sound = read_audio(file if file.exists() else folder / "trñ00.wav", rate=RATE)
    samples = np.rint(sound * 32768).clip(-32768, 32767).astype(np.int16)
    turns = [u for u in read_rttm(folder / f"{kind}.rttm", name) if u.start < 30]
    return Recording(name, samples, tuple(turns), ((0.0, 30.0),))


def score(diarizer: Diarizer, recording: Recording) -> tuple[int, DiarizationErrors]:
    """Speakers heard within the scored spans, and errors."""
    turns = diarizer(recording.sound).turns
    found = {t.speaker for t in turns if any(t.start < b and t.end > a for a, b in recording.scored)}
    return len(found), diarization_error(recording.turns, turns, recording.scored)


def fastest(diarizer: Diarizer, recording: Recording, turns: int) -> float:
    """Seconds of the quickest of several runs: the others waited for other programs."""
    seconds = []
    for _ in range(turns):
        begin = time.perf_counter()
        diarizer(recording.sound)
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def parts(counts: DiarizationErrors) -> list[str]:
    """Rate and its three parts."""
    seconds = (counts.missed, counts.false_alarm, counts.confusion)
    return [f"{100 * counts.rate:.1f}%", *(f"{100 * part / counts.total:.1f}%" for part in seconds)]


def speed_of(seconds: float, recordings: Iterable[Recording]) -> str:
    """Seconds taken per second of sound."""
    return f"{seconds * RATE / sum(len(r.sound) for r in recordings):.3f}"


class Remembering(CinescribeDiarizer):
    """Segments and embeds each recording once per window step and piece length: thresholds are cheap."""

    def __init__(self, segmentation: PyanNet, encoder: SpeakerEncoder) -> None:
        super().__init__(segmentation, encoder)
        self.segmented: dict[object, NDArray[np.bool_]] = {}
        self.embedded: dict[object, tuple[NDArray[np.float32], list[Piece]]] = {}

    def segment(self, sound: NDArray[np.int16]) -> NDArray[np.bool_]:
        """Local activity, remembered."""
        key = (hash(sound.tobytes()), self.options.hop_frames)
        if key not in self.segmented:
            self.segmented[key] = super().segment(sound)
        return self.segmented[key]

    def embed(
        self, sound: NDArray[np.int16], active: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], list[Piece]]:
        """Embeddings, remembered."""
        key = (hash(sound.tobytes()), self.options.hop_frames, self.options.piece_frames)
        if key not in self.embedded:
            self.embedded[key] = super().embed(sound, active)
        return self.embedded[key]

    def set_threshold(self, threshold: float) -> None:
        """Cosine distance above which clusters stay apart."""
        self.options = replace(self.options, threshold=threshold)


def by_threshold(diarizer: Remembering | PyannotePipeline, recordings: Sequence[Recording]) -> list[float]:
    """Pooled error rate at each of `THRESHOLDS`."""
    rates = []
    for threshold in THRESHOLDS:
        diarizer.set_threshold(threshold)
        counts = (score(diarizer, recording)[1] for recording in recordings)
        rates.append(sum(counts, DiarizationErrors(0, 0, 0, 0)).rate)
    return rates


def best_threshold(diarizer: Remembering | PyannotePipeline, recordings: Sequence[Recording]) -> float:
    """The threshold with the lowest pooled error rate; of equals, the middle one."""
    rates = by_threshold(diarizer, recordings)
    best = [t for t, rate in zip(THRESHOLDS, rates, strict=True) if rate < min(rates) + 1e-9]
    return best[len(best) // 2]


def grid(bench: "Bench", segmentation: PyanNet, encoder: SpeakerEncoder, recordings: list[Recording]) -> None:
    """Pooled error rate of ours over the options that matter."""
    diarizer = Remembering(segmentation, encoder)
    rows = []
    for hop, piece in product(HOPS, PIECES):
        diarizer.options = DiarizationOptions(hop_frames=hop, piece_frames=piece)
        rates = by_threshold(diarizer, recordings)
        rows.append([f"{hop} / {piece}", *(f"{100 * rate:.1f}" for rate in rates)])
    bench.table(
        "DER in percent on dev00 and dev01 (30 s each, pooled), by threshold; ours with CAM++",
        ["hop / piece frames", *map(str, THRESHOLDS)],
        rows,
    )
