"""Whole films described by a trained AutoAD, from their features and their dialogue."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cinescribe.describe.placement import Sentence, Span
from cinescribe.errors import MediaError
from cinescribe.tables import Features
from cinescribe.utterance import Utterance

if TYPE_CHECKING:
    from cinescribe.models.autoad_files import Inputs


class FilmDescriber:
    """Describes films with an AutoAD from its folder, as training saved it.

    Attributes:
        inputs: what it has to be given.
        weight: the first 16 digits of the SHA-256 of the folder's files, by which models are told apart.

    Raises:
        WeightsError: the folder is none of an AutoAD, or doesn't tell its features.
    """

    def __init__(self, folder: Path, *, beams: int = 5, device: str = "cpu", threads: int = 0) -> None:
        from cinescribe.models import autoad_files

        self.inputs = autoad_files.load_inputs(folder)  # a wrong folder is told before torch is there
        self.weight = weight_of(folder)

        import torch

        from cinescribe.models.decoding import Decoding

        if threads:
            torch.set_num_threads(threads)
        self._decoding = Decoding(beams=beams)
        self._model = autoad_files.load(folder).to(device)

    def __call__(
        self,
        film: str,
        features: Features,
        intervals: Sequence[Span],
        speech: Iterable[Utterance],
        names: Iterable[str] = (),
    ) -> list[Sentence]:
        """A sentence for each interval, in order, each in the context of the sentences before it.

        Args:
            film: its name in errors.
            features: of the film.
            intervals: (start, end) in seconds, in order.
            speech: of the film; its dialogue is read, its narration is not.
            names: of the characters, for a model that reads these alone.

        Raises:
            MediaError: the features are not such as the model was trained on.
        """
        from cinescribe.models.autoad_film import (
            Clip,
            describe_films_scored,
            frames_between,
            names_alone,
            recent_lines,
        )

        config, spoken, names = self._model.config, list(speech), list(names)
        whole = self._whole(film, features)
        clips = []
        for start, end in intervals:
            lines: list[str] = []
            if self.inputs.subtitles != "none":
                lines = recent_lines(spoken, start, config.subtitle_sentences, config.subtitle_seconds)
            if self.inputs.subtitles == "names":
                lines = names_alone(lines, names)
            clips.append(Clip(frames_between(whole, features.hz, start, end, self.inputs.frames), lines))
        (said,) = describe_films_scored(self._model, [clips], "recurrent", self._decoding)
        return [
            Sentence(start, end, one.text, one.score)
            for (start, end), one in zip(intervals, said, strict=True)
        ]

    def _whole(self, film: str, features: Features) -> NDArray[np.float16]:
        """[T, width] without holes: NaN where a chunk is missing."""
        check_features(film, features, self.inputs, self._model.config.frame_width)
        return features.whole()


def check_features(film: str, features: Features, inputs: "Inputs", width: int) -> None:
    """Check that features are such as a model was trained on.

    Args:
        film: its name in errors.
        features: of the film, or of a stretch of it.
        inputs: of the model.
        width: of a feature, as the model takes it.

    Raises:
        MediaError: they are of another rate or width.
    """
    there = f"features/{inputs.features} of {film}"
    if features.hz != inputs.hz:
        raise MediaError(
            "missing",
            f"{there} are {features.hz:g} a second, and the model was trained on {inputs.hz:g}; "
            "extract them so",
        )
    if features.array.shape[1] != width:
        raise MediaError(
            "missing",
            f"{there} are {features.array.shape[1]} numbers wide, and the model was trained on {width}; "
            "extract them with the encoder it was trained with",
        )


def weight_of(folder: Path) -> str:
    """What tells a model's folder from another: digits of the SHA-256 of the files it is loaded from."""
    digest = hashlib.sha256()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        if (folder / name).exists():
            with (folder / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
