"""The peers of the speech benchmark, on the same weights: the whisper library, pyannote.audio's pipeline."""

import hashlib
import json
import os
import warnings
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cinescribe import zoo
from cinescribe.speech.diarization import Diarization, Turn
from cinescribe.speech.embedding import SpeakerEncoder
from cinescribe.utterance import Word

SAMPLE_RATE = 16_000
_SHORTEST = 6_480  # samples of a voice that pyannote's pipeline embeds: 24 segmentation frames, as ours


class WhisperLibrary:
    """`whisper.transcribe(word_timestamps=True)` with the library's defaults but for the beam.

    Args:
        checkpoint: of the whisper library.
        cache: folder to keep the results in, None to decode anew each time.
    """

    def __init__(self, checkpoint: Path, cache: Path | None) -> None:
        from cinescribe.speech.whisper_engines import load_checkpoint

        # whisper.load_model gives the published alignment heads only to the names it downloads itself.
        self.model = load_checkpoint(checkpoint)
        self.name = checkpoint.stem
        self.cache = cache

    def __call__(self, sound: NDArray[np.float32], beam: int = 0) -> tuple[Word, ...]:
        """Words of 16-kHz samples `[samples]`; a beam of 0 is greedy, the library's default."""
        digest = hashlib.sha256(sound.tobytes()).hexdigest()[:16]
        kept = self.cache / f"whisper-{self.name}-beam{beam}-{digest}.json" if self.cache else None
        if kept and kept.exists():
            return tuple(Word(*row) for row in json.loads(kept.read_text()))
        words = self.transcribe(sound, beam)
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps([(w.start, w.end, w.text, w.probability) for w in words]))
        return words

    def transcribe(self, sound: NDArray[np.float32], beam: int = 0) -> tuple[Word, ...]:
        """As a call, never from the cache."""
        from whisper import transcribe

        torch.manual_seed(0)  # the library samples when it doubts its first reading
        result = transcribe(
            self.model, sound, word_timestamps=True, fp16=False, beam_size=beam or None, language="en"
        )
        return tuple(
            Word(float(w["start"]), float(w["end"]), w["word"].strip(), float(w["probability"]))
            for segment in result["segments"]
            for w in segment["words"]
        )


class PyannotePipeline:
    """pyannote.audio's `SpeakerDiarization` with our two networks in it.

    Its published settings (a window each second, centroid linkage, clusters of at least 12, overlap left out
    of the embeddings, batches of 32) except for the threshold, which belongs to the embedding.
    """

    def __init__(self, encoder: SpeakerEncoder, threshold: float) -> None:
        os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")  # no telemetry
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message=r"(?s).*torchcodec"
            )  # only decodes files; we give it sound
            from pyannote.audio.core.plda import PLDA
            from pyannote.audio.pipelines import SpeakerDiarization, speaker_diarization

        class NoPLDA(PLDA):  # type: ignore[misc]
            """Agglomerative clustering uses none, but the pipeline loads one."""

            def __init__(self) -> None:
                pass

        embedding = _embedding(encoder)
        # The pipeline knows embeddings by name only.
        with patch.object(speaker_diarization, "PretrainedSpeakerEmbedding", lambda *_, **__: embedding):
            self.pipeline = SpeakerDiarization(
                segmentation=_segmentation(),
                embedding_exclude_overlap=True,
                plda=NoPLDA(),
                clustering="AgglomerativeClustering",
                segmentation_batch_size=32,
                embedding_batch_size=32,
            )
        self.set_threshold(threshold)
        self.remembered: dict[int, dict[str, Any]] | None = None

    def set_threshold(self, threshold: float) -> None:
        """Distance above which clusters stay apart."""
        clustering = {"method": "centroid", "min_cluster_size": 12, "threshold": threshold}
        self.pipeline.instantiate({"segmentation": {"min_duration_off": 0.0}, "clustering": clustering})

    def remember(self) -> None:
        """Segment and embed each recording once from now on, to try several thresholds."""
        self.pipeline.training = True
        self.remembered = {}

    def __call__(
        self, sound: NDArray[np.int16], *, min_speakers: int = 0, max_speakers: int = 0
    ) -> Diarization:
        """Turns by start time, from 16-kHz samples `[samples]`."""
        waveform = torch.from_numpy(np.asarray(sound, dtype=np.float32) / 32768)[None]
        file: dict[str, Any] = {"waveform": waveform, "sample_rate": SAMPLE_RATE, "uri": "film"}
        if self.remembered is not None:
            file = self.remembered.setdefault(hash(sound.tobytes()), file)
        output = self.pipeline.apply(
            file, min_speakers=min_speakers or None, max_speakers=max_speakers or None
        )
        turns = [
            Turn(t.start, t.end, str(name))
            for t, _, name in output.speaker_diarization.itertracks(yield_label=True)
        ]
        return Diarization(tuple(turns), {})


def _segmentation() -> Any:
    """pyannote's own PyanNet with the published weights."""
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.segmentation import PyanNet

    name = zoo.for_role("segmentation")
    said = zoo.load_metadata(name)
    network = PyanNet(**{key: said["hyper_parameters"][key] for key in ("sincnet", "lstm", "linear")})
    known = said["specifications"]
    network.specifications = Specifications(
        problem=Problem(known["problem"]),
        resolution=Resolution(known["resolution"]),
        duration=known["duration"],
        classes=known["classes"],
        powerset_max_classes=known["powerset_max_classes"],
        permutation_invariant=known["permutation_invariant"],
    )
    network.build()
    network.load_state_dict(zoo.load_state(name))
    return network.eval()


def _embedding(encoder: SpeakerEncoder) -> Any:
    """Our speaker encoder as pyannote's pipeline wants one."""
    from pyannote.audio.core.inference import BaseInference

    class Embedding(BaseInference):  # type: ignore[misc]
        """The sound under the mask, cut out and embedded; NaN where there is too little of it."""

        sample_rate = SAMPLE_RATE
        dimension = encoder.dimension
        metric = "cosine"
        min_num_samples = _SHORTEST

        def to(self, device: torch.device) -> "Embedding":
            """Stays where the encoder is."""
            return self

        def __call__(self, waveforms: Tensor, masks: Tensor) -> NDArray[np.float32]:
            """Rows `[batch, dimension]` from `[batch, 1, samples]` and masks `[batch, frames]`."""
            samples = waveforms.shape[-1]
            wide = torch.nn.functional.interpolate(masks[:, None], size=samples, mode="nearest")[:, 0] > 0.5
            heard = [wave[0][mask] for wave, mask in zip(waveforms, wide, strict=True)]
            # Few different lengths, as in our own pipeline: equal ones share a batch.
            heard = [sound[: len(sound) // _SHORTEST * _SHORTEST] for sound in heard]
            enough = [index for index, sound in enumerate(heard) if len(sound)]
            rows = np.full((len(heard), self.dimension), np.nan, np.float32)
            if enough:
                rows[enough] = encoder([heard[index] for index in enough])
            return rows

    return Embedding()
