"""Narration put where it is seen: a trained TAN on the sentences of whole videos.

From the network's similarity of a sentence and each second, its span is read off by `span_of`.
"""

import hashlib
import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cinescribe import storage
from cinescribe.errors import WeightsError
from cinescribe.metrics.alignment import UNSEEN, SentenceAlignment
from cinescribe.utterance import Utterance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

ALIGNABLE = 0.5  # score from which a sentence is said to be seen


@dataclass(frozen=True, slots=True)
class AlignedSentence:
    """A sentence, when it was spoken, and when what it says is seen; seconds.

    Attributes:
        text: of the sentence.
        spoken_start, spoken_end: of the narration.
        start, end: where it is seen; the spoken span where no window showed the sentence.
        score: 0 to 1. Of a network with a head the probability that the sentence is seen; of one without
            (stage 1) its highest cosine, which ranks sentences but is no probability.
        alignable: whether the score is `ALIGNABLE` or more.
    """

    text: str
    spoken_start: float
    spoken_end: float
    start: float
    end: float
    score: float
    alignable: bool


def span_of(similarity: "ArrayLike") -> tuple[int, int] | None:
    """The seconds [first, last) that a sentence belongs to; None when it was compared with none.

    The rule: the run of seconds around the peak (the first of several) that are more similar than half-way
    between the median of the seconds it was compared with and the peak. It depends neither on the scale of
    the similarities nor on a number added to all. A peak that stands alone, or a flat curve, gives one
    second.

    Args:
        similarity: [seconds] of one sentence; `UNSEEN` where never compared.
    """
    import numpy as np

    values = np.asarray(similarity, dtype=np.float64)
    compared = values > UNSEEN
    if not compared.any():
        return None
    peak = int(np.argmax(values))
    above = values > (values[peak] + np.median(values[compared])) / 2
    first, last = peak, peak + 1
    while first > 0 and above[first - 1]:
        first -= 1
    while last < values.size and above[last]:
        last += 1
    return first, last


class NarrationAligner:
    """Aligns the narration of videos with a TAN from its folder (or `s3://` prefix), as training saved it.

    Attributes:
        features: name of the encoder whose features it reads, one a second.
        window: seconds that the network sees at once.
        weight: the first 16 digits of the SHA-256 of the folder's files, by which models are told apart.

    Raises:
        WeightsError: the folder is none of a TAN, or what its sentences are encoded by can't be had.
    """

    def __init__(self, folder: str, *, device: str = "cpu", threads: int = 0) -> None:
        from cinescribe.models import tan_files

        with _local(folder) as place:
            saved = tan_files.load(place)  # a wrong folder is told before torch is there
            self.weight = weight_of(place)

        import torch

        from cinescribe.models.tan_text import TextReader

        if threads:
            torch.set_num_threads(threads)
        self.features, self.window = saved.features, saved.window
        self._folder = folder
        self._pair = saved.pair.to(device)
        self._read = TextReader(saved.text, saved.words)

    def __call__(
        self, video: "NDArray[np.float16]", narration: Sequence[Utterance], duration: float
    ) -> list[AlignedSentence]:
        """The sentences of a video in the order they are spoken; utterances without a text are left out.

        Args:
            video: [seconds, width] features, one a second; NaN where nothing was seen.
            narration: in any order.
            duration: of the video, seconds; spans end there at the latest.

        Raises:
            WeightsError: the features are of another width than the network reads.
        """
        import torch

        from cinescribe.models.tan_inference import align_video, seen
        from cinescribe.models.tan_loss import TEMPERATURE

        said = sorted((line for line in narration if line.text), key=lambda line: (line.start, line.end))
        if not said:
            return []
        self.check(video)
        with torch.no_grad():
            vectors = self._read(self._pair, [line.text for line in said]).float()
        middles = [(line.start + line.end) / 2 for line in said]
        network = self._pair.online
        found = align_video(network, seen(video, vectors), vectors, middles, window=self.window)
        aligned = []
        for line, similarity, value in zip(said, found.similarity, found.alignability, strict=True):
            span, start, end, score = span_of(similarity), line.start, line.end, 0.0
            if span is not None and span[0] < duration:
                start, end = float(span[0]), min(float(span[1]), duration)
                score = value * TEMPERATURE if network.config.head == "none" else _sigmoid(value)
            score = min(1.0, max(0.0, float(score)))
            alignable = score >= ALIGNABLE
            aligned.append(AlignedSentence(line.text, line.start, line.end, start, end, score, alignable))
        return aligned

    def held_out(self, video: "NDArray[np.float16]", truth: Sequence[Sequence[Any]]) -> SentenceAlignment:
        """A video of HTM-Align, for `score_alignment`; see `align_held_out`."""
        import torch

        from cinescribe.models.tan_inference import align_held_out

        self.check(video)
        with torch.no_grad():
            vectors = self._read(self._pair, [str(row[3]) for row in truth])
        return align_held_out(self._pair.online, video, vectors, truth, self.window)

    def check(self, video: "NDArray[np.float16]") -> None:
        """Raise WeightsError when the features [seconds, width] are of another width than it reads."""
        width = self._pair.online.config.video_width
        if video.shape[1] != width:
            raise WeightsError(
                f"{self._folder}: reads features of {width} numbers, and those of {self.features} have "
                f"{video.shape[1]}; take the features that it was trained on"
            )


@contextmanager
def _local(folder: str) -> Iterator[Path]:
    """The folder on this machine, for as long as it takes to read."""
    from cinescribe.models.tan_files import FILES

    if not storage.is_s3(folder):
        yield Path(folder)
        return
    with tempfile.TemporaryDirectory() as place:
        for name in storage.list_names(folder) & set(FILES):
            Path(place, name).write_bytes(storage.read_bytes(storage.join(folder, name)))
        if not any(Path(place).iterdir()):
            raise WeightsError(f"{folder}: holds no model; give RUN/best or RUN/last of `cinescribe train`")
        yield Path(place)


def weight_of(folder: Path) -> str:
    """What tells a model's folder from another: digits of the SHA-256 of its files."""
    from cinescribe.models.tan_files import FILES

    digest = hashlib.sha256()
    for path in (folder / name for name in FILES):
        if path.exists():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-max(-700.0, value)))
