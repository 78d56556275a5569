"""A film's sound to clean words: diarize, transcribe, assign, find the narrator, restore sentences."""

import hashlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cinescribe import zoo
from cinescribe.speech.narrator import SpeakerEvidence, separate_narrator
from cinescribe.utterance import Utterance

if TYPE_CHECKING:
    from cinescribe.speech.diarization import Diarizer
    from cinescribe.speech.whisper_engines import WhisperEngine


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """What a user may choose of the speech stage; empty strings mean the profile's weights.

    Attributes:
        profile: "small" or "paper" (cinescribe/zoo.py).
        asr: a Whisper weight by zoo name or path.
        diarization: a pyannote pipeline by name or path instead of our own.
        language: ISO 639-1 code; "" detects it (multilingual weights only).
        narrator: "auto", "none" (nobody describes), "all" (a track of pure description), or speaker labels
            separated by commas.
        names: words to expect, such as the characters' names: Whisper spells them so.
        min_speakers, max_speakers: bounds on the number of voices, 0 = unbounded.
    """

    profile: zoo.Profile = "small"
    asr: str = ""
    diarization: str = ""
    language: str = ""
    narrator: str = "auto"
    names: tuple[str, ...] = ()
    min_speakers: int = 0
    max_speakers: int = 0


@dataclass(frozen=True, slots=True)
class CleanSpeech:
    """All the speech of one film.

    Attributes:
        utterances: by start time; words, speaker and role set.
        language: ISO 639-1 code, with its probability (1 when given or when the weights know only one).
        narrator_confidence: 0..1 that the voices marked narrator are the description (or that there is none).
        evidence: one row per speaker.
        suppressed: words taken out, by rule ("repetition", "silence", ...).
        damaged_seconds: sound that could not be decoded and was treated as silence.
        weights: role -> weight that was used.
        seconds: stage -> wall seconds; of this run, never stored in a table.
    """

    utterances: tuple[Utterance, ...]
    language: str
    language_probability: float
    narrator_confidence: float
    evidence: tuple[SpeakerEvidence, ...]
    suppressed: Mapping[str, int]
    damaged_seconds: float
    weights: Mapping[str, str]
    seconds: Mapping[str, float] = field(default_factory=dict)


class SpeechCleaner:
    """Loads the models once; call it with a film's local path.

    Args:
        settings: what the user chose.
        threads: CPU threads of the models, 0 for all.
        device: "cpu", "cuda", "cuda:1" or "" for a GPU when there is one.
        scratch: folder for the sound of the film being cleaned (115 MB an hour); "" for the system's own.

    Raises:
        WeightsError: weights that can't be had.
        UsageError: settings that can't be met.
    """

    def __init__(
        self, settings: SpeechSettings, *, threads: int = 0, device: str = "", scratch: str = ""
    ) -> None:
        import torch

        from cinescribe.speech.transcription import Transcriber

        if threads:
            torch.set_num_threads(threads)
        self.settings = settings
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.scratch = Path(scratch or tempfile.gettempdir())
        self.weights: dict[str, str] = {}
        self.transcriber = Transcriber(
            self._load_asr(threads), language=settings.language, names=settings.names
        )
        self.diarizer = self._load_diarizer()

    def __call__(self, path: Path) -> CleanSpeech:
        """Clean one film.

        Raises:
            MediaError: it has no readable sound, or not the speaker told to be the narrator.
        """
        from cinescribe.media.audio import AudioReport, spool_audio
        from cinescribe.media.probe import described_stream, probe
        from cinescribe.speech.assignment import assign_words
        from cinescribe.speech.sentences import restore_sentences
        from cinescribe.speech.transcription import SAMPLE_RATE, speech_regions

        settings, watch, report = self.settings, _Stopwatch(), AudioReport()
        stream = described_stream(probe(path))  # a described track of its own, where the film has one
        sound = spool_audio(path, self.scratch, rate=SAMPLE_RATE, stream=stream, report=report)
        watch("decode")
        diarization = self.diarizer(
            sound, min_speakers=settings.min_speakers, max_speakers=settings.max_speakers
        )
        watch("diarize")
        regions = speech_regions(diarization.turns, len(sound) / SAMPLE_RATE, self.transcriber.options)
        transcript = self.transcriber(sound, regions)
        watch("transcribe")
        utterances = restore_sentences(
            assign_words(transcript.words, diarization.turns, heard=transcript.voices)
        )
        narration = separate_narrator(
            utterances, language=transcript.language, choice=settings.narrator, voices=diarization.voices
        )
        watch("separate")
        return CleanSpeech(
            narration.utterances,
            transcript.language,
            transcript.language_probability,
            narration.confidence,
            narration.evidence,
            dict(sorted(transcript.suppressed.items())),
            report.damaged,
            self.weights,
            watch.seconds,
        )

    def _load_asr(self, threads: int) -> "WhisperEngine":
        from cinescribe.speech.whisper_engines import CTranslate2Engine, TorchEngine, convert_to_ctranslate2

        name = self.settings.asr or zoo.for_role("asr", self.settings.profile)
        found = Path(name) if Path(name).exists() else zoo.path(name)
        self.weights["asr"] = name
        if found.is_dir():  # CTranslate2's own format, as faster-whisper publishes it
            return CTranslate2Engine(found, threads=threads)
        if self.device != "cpu":
            return TorchEngine(found, device=self.device)
        with found.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        converted = zoo.store_folder() / "ctranslate2" / f"{found.stem}-{digest[:16]}"
        return CTranslate2Engine(convert_to_ctranslate2(found, converted), threads=threads)

    def _load_diarizer(self) -> "Diarizer":
        from cinescribe.speech.diarization import CinescribeDiarizer, PyannoteDiarizer
        from cinescribe.speech.embedding import CamPlusPlusEncoder
        from cinescribe.speech.segmentation import PyanNet

        if name := self.settings.diarization:
            self.weights["diarization"] = name
            found = zoo.path(name) if name in zoo.entries() else name
            return PyannoteDiarizer(str(found), device=self.device)
        segmentation = zoo.for_role("segmentation", self.settings.profile)
        embedding = zoo.for_role("speaker_embedding", self.settings.profile)
        self.weights |= {"segmentation": segmentation, "speaker_embedding": embedding}
        return CinescribeDiarizer(
            PyanNet.from_state(zoo.load_state(segmentation)),
            CamPlusPlusEncoder(zoo.load_state(embedding), self.device),
            device=self.device,
        )


class _Stopwatch:
    """Seconds since the last call, by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.last = time.perf_counter()

    def __call__(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self.last
        self.last = now
