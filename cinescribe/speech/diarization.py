"""Who speaks when: local segmentation, speaker embedding, clustering, and stitching them together.

The method is pyannote's (Bredin 2023, "pyannote.audio 2.1 speaker diarization pipeline"): a network says
who of at most three voices is active in each ten-second window; each local voice is embedded; embeddings
are clustered over the whole film; and the windows vote. What is ours is the order of the work: a larger
step, the sound of a voice cut out before it is embedded, and memory that does not grow with a film's sound.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cinescribe.errors import WeightsError
from cinescribe.speech.embedding import SpeakerEncoder
from cinescribe.speech.segmentation import FRAME_CENTRE, FRAME_STEP, FRAMES, SAMPLE_RATE, WINDOW, PyanNet

SECONDS_PER_FRAME = FRAME_STEP / SAMPLE_RATE
_LEAD = FRAME_CENTRE - FRAME_STEP // 2  # samples before frame 0's own 16.875 ms


@dataclass(frozen=True, slots=True)
class Turn:
    """One voice active from start to end (seconds); turns of different speakers may overlap."""

    start: float
    end: float
    speaker: str


@dataclass(frozen=True, slots=True)
class Diarization:
    """Turns by start time, speakers named as they first speak, and each speaker's unit embedding `[dim]`."""

    turns: tuple[Turn, ...]
    voices: Mapping[str, NDArray[np.float32]]


class Diarizer(Protocol):
    """Sound to turns."""

    def __call__(
        self, sound: NDArray[np.int16], *, min_speakers: int = 0, max_speakers: int = 0
    ) -> Diarization:
        """Who speaks when, from 16-kHz samples `[samples]`; bounds of 0 are none."""
        ...


@dataclass(frozen=True, slots=True)
class DiarizationOptions:
    """Defaults measured by `python -m benchmarks.speech --only diarization --grid` (docs/speech.md).

    Attributes:
        hop_frames: segmentation frames (16.875 ms) between windows; 148 is 2.5 s, a quarter of a window.
        piece_frames: longest stretch of one local voice embedded as a whole; 168 is 2.8 s.
        pause_frames: a longer silence of the voice ends a piece.
        minimum_frames: shortest; a voice with less sound in a window is left to the other windows.
        cluster_frames: shortest stretch that takes part in the clustering, not only is assigned; 0.8 s.
        threshold: cosine distance above which two clusters stay apart (average linkage).
        min_cluster_seconds: a cluster with less distinct speech than this is dissolved into the others.
        max_points: embeddings clustered at most; the rest (of very long films) go to the nearest centroid.
        batch: windows segmented at once.
        embedding_batch: pieces embedded at once, at least.
    """

    hop_frames: int = 148
    piece_frames: int = 168
    minimum_frames: int = 24
    pause_frames: int = 12
    cluster_frames: int = 48
    threshold: float = 0.65
    min_cluster_seconds: float = 1.5
    max_points: int = 4000
    batch: int = 16
    embedding_batch: int = 64


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one local voice: window, local voice 0..2, and its frames `[n]` within the window."""

    window: int
    voice: int
    frames: NDArray[np.int64]


class CinescribeDiarizer:
    """The default diarizer.

    Memory grows with the film's windows (2 KB each), not with its sound, which may be a memory map.
    """

    def __init__(
        self,
        segmentation: PyanNet,
        encoder: SpeakerEncoder,
        options: DiarizationOptions | None = None,
        device: str = "cpu",
    ) -> None:
        self.segmentation = segmentation.to(device)
        self.encoder = encoder
        self.options = options or DiarizationOptions()
        self.device = device

    def __call__(
        self, sound: NDArray[np.int16], *, min_speakers: int = 0, max_speakers: int = 0
    ) -> Diarization:
        """Turns by start time, from 16-kHz samples `[samples]`; speakers are numbered as they first speak."""
        active = self.segment(sound)
        embeddings, pieces = self.embed(sound, active)
        labels = cluster_voices(
            embeddings,
            np.array([len(piece.frames) for piece in pieces], int),
            self.options,
            min_speakers=min_speakers,
            max_speakers=max_speakers,
        )
        spans = stitch(active, pieces, labels, self.options.hop_frames, len(sound) / SAMPLE_RATE)
        names: dict[int, str] = {}
        turns = tuple(Turn(s, e, names.setdefault(c, f"SPEAKER_{len(names):02d}")) for s, e, c in spans)
        voices = {name: _unit(embeddings[labels == cluster].sum(axis=0)) for cluster, name in names.items()}
        return Diarization(turns, voices)

    @torch.inference_mode()
    def segment(self, sound: NDArray[np.int16]) -> NDArray[np.bool_]:
        """Local activity `[windows, FRAMES, 3]`; window w starts at frame w * hop_frames."""
        hop = self.options.hop_frames * FRAME_STEP
        count = max(1, 1 + -(-(len(sound) - WINDOW) // hop))
        active = np.zeros((count, FRAMES, 3), dtype=bool)
        for first in range(0, count, self.options.batch):
            numbers = range(first, min(first + self.options.batch, count))
            batch = np.stack([_cut(sound, w * hop, WINDOW) for w in numbers])
            active[numbers.start : numbers.stop] = (
                self.segmentation.active(torch.from_numpy(batch)[:, None].to(self.device)).cpu().numpy()
            )
        return active

    def embed(
        self, sound: NDArray[np.int16], active: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], list[Piece]]:
        """Embeddings `[pieces, dim]` of every local voice, cut into pieces of at most `piece_frames`.

        Short pieces find the changes of speaker that the segmentation missed within one window. Frames where
        another voice speaks too are left out, unless a voice has nothing else.
        """
        options = self.options
        rows: list[NDArray[np.float32]] = []
        pieces: list[Piece] = []
        sounds: list[Tensor] = []
        for window in range(len(active)):
            by_frame = None
            alone = active[window] & (active[window].sum(axis=1, keepdims=True) == 1)
            for voice in range(3):
                frames = np.flatnonzero(alone[:, voice])
                if len(frames) < options.minimum_frames:
                    frames = np.flatnonzero(active[window][:, voice])
                if len(frames) < options.minimum_frames:
                    continue
                if by_frame is None:
                    whole = _cut(sound, window * options.hop_frames * FRAME_STEP, WINDOW)
                    by_frame = whole[_LEAD : _LEAD + FRAMES * FRAME_STEP].reshape(FRAMES, FRAME_STEP)
                for part in split_frames(frames, options):
                    pieces.append(Piece(window, voice, part))
                    # Few different lengths: equal ones share a batch, and a new shape costs set-up time.
                    heard = part[: len(part) // options.minimum_frames * options.minimum_frames]
                    sounds.append(torch.from_numpy(by_frame[heard].ravel()))
            if len(sounds) >= options.embedding_batch or window == len(active) - 1:
                rows.append(self.encoder(sounds))
                sounds = []
        return np.concatenate(rows), pieces


def split_frames(frames: NDArray[np.int64], options: DiarizationOptions) -> list[NDArray[np.int64]]:
    """Cut a voice's frames (ascending) into pieces: at `piece_frames`, or earlier at a pause of a second."""
    pieces: list[list[int]] = [[]]
    for frame in frames.tolist():
        current = pieces[-1]
        paused = (
            bool(current)
            and frame - current[-1] > options.pause_frames
            and len(current) >= options.minimum_frames
        )
        if len(current) >= options.piece_frames or paused:
            pieces.append([])
        pieces[-1].append(frame)
    if len(pieces) > 1 and len(pieces[-1]) < options.minimum_frames:
        last = pieces.pop()
        pieces[-1] += last
    return [np.array(piece) for piece in pieces]


def cluster_voices(
    embeddings: NDArray[np.float32],
    frames: NDArray[np.int64],
    options: DiarizationOptions,
    *,
    min_speakers: int = 0,
    max_speakers: int = 0,
) -> NDArray[np.int64]:
    """Cluster the pieces of all windows: the cluster of each `[n]`.

    Average-linkage agglomeration under a cosine threshold on the pieces with enough sound; clusters too small
    to trust are dissolved; then every piece goes to its nearest centroid.

    Args:
        embeddings: unit rows `[n, dim]`.
        frames: frames of sound behind each `[n]`.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(embeddings) == 0:
        return np.zeros(0, int)
    good = np.flatnonzero(frames >= options.cluster_frames)
    if len(good) < 2:
        good = np.arange(len(embeddings))
    if len(good) > options.max_points:
        good = good[np.linspace(0, len(good) - 1, options.max_points).astype(int)]
    if len(good) == 1:
        return np.zeros(len(embeddings), int)
    tree = linkage(embeddings[good], method="average", metric="cosine")
    labels = fcluster(tree, options.threshold, criterion="distance") - 1
    share = frames[good].sum() / frames.sum()  # of the film's speech that these pieces stand for
    seen = FRAMES / options.hop_frames  # windows that see each second
    seconds = np.bincount(labels, weights=frames[good]) * SECONDS_PER_FRAME / (seen * share)
    kept = np.flatnonzero(seconds >= min(options.min_cluster_seconds, seconds.max()))
    wanted = min(max(len(kept), min_speakers), max_speakers or len(good), len(good))
    if wanted != len(kept):
        # The first cut with that many large clusters: the top of a tree is mostly outliers.
        for height in np.unique(tree[:, 2])[::-1]:
            labels = fcluster(tree, np.nextafter(height, 0), criterion="distance") - 1
            seconds = np.bincount(labels, weights=frames[good]) * SECONDS_PER_FRAME / (seen * share)
            kept = np.flatnonzero(seconds >= min(options.min_cluster_seconds, seconds.max()))
            if len(kept) >= wanted:
                break
        kept = kept[np.argsort(-seconds[kept], kind="stable")[:wanted]]
    centroids = np.stack([embeddings[good][labels == label].mean(axis=0) for label in kept])
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    return np.argmax(embeddings @ centroids.T, axis=1)


def stitch(
    active: NDArray[np.bool_],
    pieces: Sequence[Piece],
    labels: NDArray[np.int64],
    hop_frames: int,
    duration: float,
) -> list[tuple[float, float, int]]:
    """Let the windows vote: (start, end, cluster) in seconds, by start time.

    At each frame the number of voices is the rounded mean over the windows that see it, and that many of the
    clusters with the most votes are active. A frame of a voice that is in no piece (another spoke too) votes
    as the voice's nearest piece.
    """
    windows, frames, _ = active.shape
    if len(pieces) == 0:
        return []
    total = (windows - 1) * hop_frames + frames
    voices, seen = np.zeros(total, np.float32), np.zeros(total, np.float32)
    for window in range(windows):
        span = slice(window * hop_frames, window * hop_frames + frames)
        seen[span] += 1
        voices[span] += active[window].sum(axis=1)
    votes = np.zeros((total, int(labels.max()) + 1), np.uint8)  # a frame is seen by few windows
    of_voice: dict[tuple[int, int], list[tuple[Piece, int]]] = {}
    for piece, label in zip(pieces, labels.tolist(), strict=True):
        of_voice.setdefault((piece.window, piece.voice), []).append((piece, label))
    for (window, voice), parts in of_voice.items():
        known = np.concatenate([piece.frames for piece, _ in parts])
        label = np.concatenate([np.full(len(piece.frames), label) for piece, label in parts])
        speaking = np.flatnonzero(active[window, :, voice])
        order = np.argsort(known)
        right = np.searchsorted(known[order], speaking).clip(0, len(known) - 1)
        left = (right - 1).clip(0)
        nearer = np.abs(known[order][left] - speaking) < np.abs(known[order][right] - speaking)
        votes[window * hop_frames + speaking, label[order][np.where(nearer, left, right)]] += 1
    count = np.rint(voices / seen).astype(int)
    on = np.zeros(votes.shape, bool)
    for first in range(0, total, 1 << 16):  # in blocks: the ranks of a long film would take gigabytes
        block = slice(first, first + (1 << 16))
        order = np.argsort(-votes[block].astype(np.int16), axis=1, kind="stable")
        rank = np.argsort(order, axis=1, kind="stable")
        on[block] = (rank < count[block, None]) & (votes[block] > 0)
    turns = []
    for cluster in range(votes.shape[1]):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], on[:, cluster].astype(np.int8), [0]])))
        for first, last in edges.reshape(-1, 2).tolist():
            start, end = ((_LEAD + FRAME_STEP * frame) / SAMPLE_RATE for frame in (first, last))
            if start < duration:
                turns.append((0.0 if first == 0 else start, min(end, duration), cluster))
    return sorted(turns)


class PyannoteDiarizer:
    """Any pyannote.audio pipeline by hub name or local path (a gated one needs a token)."""

    def __init__(self, name: str, *, token: str | None = None, device: str = "cpu") -> None:
        os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")  # no telemetry
        from pyannote.audio import Pipeline

        _refuse_foreign_code(Path(name))
        try:
            with _tensors_only():
                self.pipeline = Pipeline.from_pretrained(name, token=token)
        except Exception as error:
            raise WeightsError(f"pyannote pipeline {name!r} could not be loaded: {error}") from error
        if self.pipeline is None:
            raise WeightsError(
                f"pyannote pipeline {name!r} was refused: accept its conditions on its page and set HF_TOKEN"
            )
        self.pipeline.to(torch.device(device))

    def __call__(
        self, sound: NDArray[np.int16], *, min_speakers: int = 0, max_speakers: int = 0
    ) -> Diarization:
        """Turns by start time, from 16-kHz samples `[samples]`."""
        waveform = torch.from_numpy(np.asarray(sound, dtype=np.float32) / 32768)[None]
        output = self.pipeline(
            {"waveform": waveform, "sample_rate": SAMPLE_RATE, "uri": "film"},
            min_speakers=min_speakers or None,
            max_speakers=max_speakers or None,
        )
        annotation = getattr(output, "speaker_diarization", output)
        turns = [Turn(t.start, t.end, str(name)) for t, _, name in annotation.itertracks(yield_label=True)]
        embeddings = getattr(output, "speaker_embeddings", None)
        voices = (
            {}
            if embeddings is None
            else {str(n): _unit(e) for n, e in zip(annotation.labels(), embeddings, strict=False)}
        )
        return Diarization(tuple(sorted(turns, key=lambda turn: (turn.start, turn.end))), voices)


def _refuse_foreign_code(folder: Path) -> None:
    """Raise WeightsError when a local pipeline's configuration names code outside pyannote.audio."""
    config = folder / "config.yaml" if folder.is_dir() else folder
    if not config.is_file():
        return
    import yaml

    try:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
        named = content["pipeline"]["name"]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, RecursionError) as error:
        raise WeightsError(f"{config} is no configuration of a pyannote pipeline") from error
    if not str(named).startswith("pyannote.audio.pipelines.") or "preprocessors" in content:
        raise WeightsError(f"{config} names code outside pyannote.audio.pipelines; it is not run")


@contextmanager
def _tensors_only() -> Iterator[None]:
    """Have torch refuse pickled code in the checkpoints that pyannote loads, whatever it asks for."""
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from torch.torch_version import TorchVersion

    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        with torch.serialization.safe_globals([Problem, Resolution, Specifications, TorchVersion]):
            yield
    finally:
        os.environ.pop(name) if before is None else os.environ.update({name: before})


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def _cut(sound: NDArray[np.int16], start: int, length: int) -> NDArray[np.float32]:
    """Float samples `[length]` from `start`, zeros beyond the end."""
    piece = np.zeros(length, np.float32)
    part = sound[start : start + length]
    piece[: len(part)] = part.astype(np.float32) / 32768
    return piece
