"""The stages that `benchmarks.hour` measures, the parts of each, and the floors below them."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.meter import Meter
from cinescribe import tables
from cinescribe.errors import UsageError
from cinescribe.media.library import FilmRef
from cinescribe.media.probe import MediaInfo, open_media, probe
from pipelines.plan import Unit
from pipelines.units import Job, board

ENCODERS = ("objects", "actions")
_CHUNK = 60.0  # seconds, as `cinescribe extract` has it
_RATE = 16.0  # frames a second that the encoders see


@dataclass(frozen=True, slots=True)
class Part:
    """CPU seconds of a part of a stage; `kind`: "decode", "network" or "rest"."""

    kind: str
    name: str
    seconds: float
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage over the whole film; the parts add up to its CPU seconds."""

    name: str
    cpu_seconds: float
    wall_seconds: float
    parts: tuple[Part, ...]

    def of(self, kind: str) -> float:
        """CPU seconds of the parts of a kind."""
        return sum(part.seconds for part in self.parts if part.kind == kind)


@dataclass(slots=True)
class Bench:
    """One film, where its tables go, and what was measured.

    Attributes:
        networks: by name, a network and how often it was called with which shape.
    """

    film: FilmRef
    info: MediaInfo
    job: Job
    stages: list[Stage] = field(default_factory=list)
    networks: dict[str, tuple[Callable[[Any], Any], Counter[tuple[int, ...]]]] = field(default_factory=dict)

    @classmethod
    def of(cls, film: FilmRef, out: Path) -> "Bench":
        """A film with its tables in `out`."""
        plan = out / "plan"
        plan.touch()
        job = Job(str(out), str(plan), str(out), 0, stall_seconds=3600.0)
        return cls(film, probe(Path(film.uri)), job)

    def do(self, worker: Callable[..., Any], *units: Unit, **more: Any) -> None:
        """Some units by one stage; a failure ends the benchmark."""
        for unit in units:
            if message := worker(board(unit), **more)["message"]:
                raise UsageError(message)

    def measure(
        self,
        name: str,
        work: Callable[[], object],
        wrap: Callable[[Meter], None],
        elsewhere: tuple[str, str],
        networks: Mapping[str, Callable[[Any], Any]] | None = None,
    ) -> None:
        """One stage.

        Args:
            name: of it.
            work: to do.
            wrap: what to count; parts are named "kind: name".
            elsewhere: kind and name of what the threads without Python do.
            networks: by the names of their parts, to be run again by `floors`.
        """
        began = time.perf_counter()
        with Meter() as meter:
            wrap(meter)
            work()
        wall = time.perf_counter() - began
        parts = []
        for key, seconds in meter.seconds.items():
            kind, _, part = key.partition(": ")
            parts.append(Part(kind, part, seconds, meter.calls[key]))
            if part in (networks or {}):
                self.networks[part] = (networks or {})[part], meter.inputs[key]
        parts.append(Part(*elsewhere, meter.elsewhere))
        parts.append(Part("rest", "all else", meter.total - sum(part.seconds for part in parts)))
        self.stages.append(Stage(name, meter.total, wall, tuple(parts)))


def films(bench: Bench) -> None:
    """The container and the shots."""
    from scenedetect.detectors import AdaptiveDetector

    from cinescribe.media import frames, shots
    from pipelines import films as stage

    def wrap(meter: Meter) -> None:
        meter.wrap(stage, "probe", "rest: probe")
        meter.wrap(shots, "probe", "rest: probe")
        meter.wrap_generator(frames, "decodable_frames", "decode: calls of the decoder")
        meter.wrap_generator(shots, "decoded_frames", "rest: times of frames")
        meter.wrap(shots, "_small", "rest: small pictures")
        meter.wrap(AdaptiveDetector, "process_frame", "rest: comparing pictures")

    unit = Unit(bench.film, ("films",))
    bench.measure(
        "films",
        lambda: bench.do(stage.films_stage, unit, job=bench.job),
        wrap,
        ("decode", "the decoder's threads"),
    )


def speech(bench: Bench) -> None:
    """The sound to clean words."""
    import whisper.audio
    from torchaudio.compliance import kaldi

    from cinescribe.media import audio
    from cinescribe.speech import (
        assignment,
        clean,
        diarization,
        embedding,
        narrator,
        segmentation,
        sentences,
        transcription,
        whisper_engines,
    )
    from pipelines import files
    from pipelines.transcribe import SpeechStage

    worker = SpeechStage(bench.job, clean.SpeechSettings(), False, 1, "cpu", clean.SpeechCleaner)
    if worker.fault:
        raise UsageError(worker.fault)

    def wrap(meter: Meter) -> None:
        meter.wrap_generator(audio, "_pieces", "decode: sound")
        meter.wrap_generator(audio, "_resample", "rest: resampling")
        meter.wrap(audio, "spool_audio", "rest: writing the sound down")
        meter.wrap(segmentation.PyanNet, "forward", "network: segmentation", tensor=1)
        meter.wrap(kaldi, "fbank", "rest: filter banks")
        meter.wrap(embedding.CamPlusPlus, "forward", "network: embedding", tensor=1)
        meter.wrap(diarization.CinescribeDiarizer, "segment", "rest: around the segmentation")
        meter.wrap(diarization.CinescribeDiarizer, "embed", "rest: around the embedding")
        meter.wrap(diarization, "cluster_voices", "rest: clustering")
        meter.wrap(diarization, "stitch", "rest: stitching")
        meter.wrap(whisper.audio, "log_mel_spectrogram", "rest: spectrograms")
        for name in ("encode", "decode", "align"):
            meter.wrap(whisper_engines.CTranslate2Engine, name, f"network: calls of Whisper, {name}")
        meter.wrap(transcription.Transcriber, "__call__", "rest: around Whisper")
        meter.wrap(assignment, "assign_words", "rest: words to voices")
        meter.wrap(sentences, "restore_sentences", "rest: sentences")
        meter.wrap(narrator, "separate_narrator", "rest: narrator")
        meter.wrap(files, "write", "rest: files for people")

    diarizer: Any = worker.cleaner.diarizer  # type: ignore[attr-defined]
    unit = Unit(bench.film, ("speech",))
    bench.measure(
        "speech",
        lambda: bench.do(worker, unit),
        wrap,
        ("network", "Whisper's threads"),
        {"segmentation": diarizer.segmentation, "embedding": diarizer.encoder.network},
    )


def extract(bench: Bench) -> None:
    """What is seen, by both encoders together."""
    from cinescribe.encoders import catalogue, extraction, s3d_network
    from cinescribe.encoders.chunks import chunks
    from cinescribe.encoders.preprocessing import Preprocessing
    from cinescribe.media import frames, sharing
    from pipelines.extract_stage import FeaturesStage

    worker = FeaturesStage(bench.job, ENCODERS, _CHUNK, 1, "cpu", catalogue)  # type: ignore[arg-type]
    if worker.fault:
        raise UsageError(worker.fault)
    networks: dict[str, Any] = {
        name: encoder._encoder._network  # type: ignore[attr-defined]
        for name, encoder in worker.encoders.items()
    }

    def wrap(meter: Meter) -> None:
        meter.wrap_generator(frames, "decodable_frames", "decode: calls of the decoder")
        meter.wrap(frames, "_upright", "decode: RGB")
        meter.wrap_generator(extraction, "share_frames", "rest: sharing frames")
        meter.wrap(sharing.Batch, "array", "rest: batches")
        meter.wrap(Preprocessing, "by_pillow", "rest: resizing")
        meter.wrap(Preprocessing, "__call__", "rest: normalising")
        meter.wrap(type(networks["objects"]), "forward", "network: objects", tensor=1)
        meter.wrap(s3d_network.S3D, "logits", "network: actions", tensor=1)
        meter.wrap(s3d_network, "as_video", "rest: layout for actions")

    names = tuple(tables.FEATURES + name for name in ENCODERS)
    units = [Unit(bench.film, names, chunk.number) for chunk in chunks(bench.info.duration, _CHUNK)]
    bench.measure(
        "extract",
        lambda: bench.do(worker, *units),
        wrap,
        ("decode", "the decoder's threads"),
        {"objects": networks["objects"], "actions": networks["actions"].logits},
    )


def index(bench: Bench) -> None:
    """Sentences to vectors, words of the features, and their commit."""
    from cinescribe.encoders.text import SentenceEncoder
    from cinescribe.search import documents
    from cinescribe.search.store import FilmRows, IndexedFilm, Store

    out, film_id = bench.job.out, bench.film.film_id
    encoder = SentenceEncoder(threads=1)
    store = Store(out)

    def work() -> None:
        spoken = tables.read_row(out, "speech", film_id)
        assert spoken is not None
        seen = {kind: tables.read_features(out, kind, film_id) for kind in ("objects", "actions")}
        rows = {
            "texts": documents.text_rows(spoken, encoder),
            "visuals": documents.word_rows(film_id, seen),  # type: ignore[arg-type]
        }
        store.replace([FilmRows(IndexedFilm(film_id, bench.film.uri, bench.info.duration, {}, ""), rows)])

    def wrap(meter: Meter) -> None:
        meter.wrap(type(encoder._model), "forward", "network: sentences")
        meter.wrap(SentenceEncoder, "encode", "rest: tokens")
        meter.wrap(documents, "word_rows", "rest: visual words")
        meter.wrap(Store, "replace", "rest: commit")

    work()  # the first makes the tables of the index
    bench.measure("index", work, wrap, ("rest", "Lance's threads"))


# ---- the floors ---------------------------------------------------------------------------------


def floors(bench: Bench, passes: int) -> dict[str, float]:
    """CPU seconds of what no stage can do without, by name.

    Args:
        bench: with its stages done.
        passes: of each network and shape at most, from which those that the stage made are reckoned.
    """
    path = Path(bench.film.uri)
    found = {
        "decode picture": _used(lambda: _decode(path, "video")),
        "decode sound": _used(lambda: _decode(path, "audio")),
        f"decode picture, RGB at {_RATE:g} a second": _used(lambda: _decode_rgb(path)),
    }
    for name, (network, shapes) in bench.networks.items():
        found[f"network {name}"] = sum(
            _pass_seconds(network, name, shape, min(count, passes)) * count for shape, count in shapes.items()
        )
    return found


def _used(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _decode(path: Path, kind: str) -> None:
    """Every frame of a stream, by PyAV, as it comes."""
    with open_media(path) as container:
        stream: Any = container.streams.get({kind: 0})[0]
        stream.thread_type = "AUTO"
        for packet in container.demux(stream):
            packet.decode()


def _decode_rgb(path: Path) -> None:
    """The frames that the encoders see, by PyAV, as RGB."""
    from av.video.reformatter import VideoReformatter

    to_rgb = VideoReformatter()
    with open_media(path) as container:
        stream: Any = container.streams.get({"video": 0})[0]
        stream.thread_type = "AUTO"
        asked = 0
        for packet in container.demux(stream):
            for frame in packet.decode():
                if frame.time is not None and frame.time * _RATE >= asked:
                    to_rgb.reformat(frame, format="rgb24", interpolation="BILINEAR").to_ndarray()
                    asked += 1


def _pass_seconds(network: Callable[[Any], Any], name: str, shape: tuple[int, ...], passes: int) -> float:
    """CPU seconds of one pass on noise."""
    import torch

    from cinescribe.encoders.s3d_network import as_video

    noise = torch.randn(shape)
    if name == "actions":
        noise = as_video(noise[0].transpose(0, 1))
    with torch.inference_mode():
        network(noise)
        return _used(lambda: [network(noise) for _ in range(passes)]) / passes
