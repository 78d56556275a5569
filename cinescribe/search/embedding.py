"""Trained dual encoders behind the source `model`: windows of films and texts of queries, both to vectors.

A model is the folder `best` or `last` of a run of `cinescribe train ce` or `prompting-clip`; what kind it is
its settings tell. How alike a text and a window are is their vectors' dot product, which an index looks up;
of Collaborative Experts divided by the weights of the experts that the window has.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from cinescribe import tables
from cinescribe.errors import UsageError, WeightsError
from cinescribe.models.folders import SETTINGS, TENSORS, WORDS

if TYPE_CHECKING:
    from cinescribe.encoders.text_tokens import TokenEncoder
    from cinescribe.models.collaborative_experts_files import SavedCE

WINDOW = 5.0  # seconds of a row of the table `model`


@dataclass(frozen=True, slots=True)
class EncodedText:
    """A query as a model reads it.

    Attributes:
        model: identity of the model.
        vector: float32 [dim].
        weights: float32 [parts], of the parts of a window's vector; one part where there is nothing to weigh.
    """

    model: str
    vector: NDArray[np.float32]
    weights: NDArray[np.float32]


class WindowEncoder(Protocol):
    """A dual encoder, loaded.

    Attributes:
        name: its folder, for messages.
        identity: changes with its weights or settings, not with its place.
        dim: numbers of a vector.
        tables: what it reads of a film, as `features/NAME` or `speech`.
    """

    name: str
    identity: str
    dim: int
    tables: tuple[str, ...]

    def encode_windows(
        self, root: str, film_id: str, windows: Sequence[tuple[float, float]]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Windows [start, end) of a film, in seconds.

        Returns:
            [windows, dim], and [windows] which parts each has, part i as bit i: 0 where the film has nothing
            there that the model reads.

        Raises:
            UsageError: a table holds other features than the model's.
        """

    def encode_texts(self, texts: Sequence[str]) -> list[EncodedText | None]:
        """Texts of queries; None for one in which the model knows no word.

        Raises:
            CinescribeError: a frozen network that it reads with can't be had: then the first call says so.
        """


def identity_of(folder: Path) -> str:
    """16 hex digits that change with the files of a model. Raises WeightsError where there is none."""
    digest = sha256()
    try:
        for name in (SETTINGS, TENSORS, WORDS):
            if name != WORDS or (folder / name).exists():
                with (folder / name).open("rb") as file:
                    while block := file.read(2**24):
                        digest.update(block)
    except OSError as error:
        raise WeightsError(
            f"{folder}: not a folder of a trained model ({error}); give the folder best or last of a run of "
            "`cinescribe train`"
        ) from error
    return digest.hexdigest()[:16]


def load(folder: Path, device: str = "cpu") -> WindowEncoder:
    """The dual encoder of a folder, in evaluation mode.

    Raises:
        WeightsError: there is none, or a frozen network that it reads with can't be had.
        UsageError: it is of a system that can't be looked up by vectors.
    """
    identity = identity_of(folder)
    try:
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{folder / SETTINGS}: not the settings of a model ({error})") from error
    if not isinstance(settings, dict):
        raise WeightsError(f"{folder / SETTINGS}: not the settings of a model; give its folder anew")
    if "collaborative_experts" in settings:
        return _CollaborativeExperts(folder, identity, device)
    if "prompting_clip" in settings:
        return _PromptingCLIP(folder, identity, device)
    raise UsageError(
        f"{folder}: not a model that an index can hold; give the folder best or last of a run of `cinescribe "
        "train ce` or `cinescribe train prompting-clip` (a JSFusion is for --reranker)"
    )


def windows_of(duration: float, window: float) -> list[tuple[float, float]]:
    """The windows of a film: [k * window / 2, ... + window), the last one up to the film's end.

    Args:
        duration: of the film, seconds.
        window: of one, seconds; a shorter film is one window.
    """
    if duration <= 0:
        return []
    count = max(0, math.ceil((duration - window) / (window / 2)))
    whole = [(k * window / 2, k * window / 2 + window) for k in range(count)]
    return [*whole, (max(0.0, duration - window), duration)]


def features_end(root: str, film_id: str, model: WindowEncoder) -> float:
    """Seconds up to which a film has features of a model: its length, where no table tells it."""
    ends = [0.0]
    for table in model.tables:
        if table.startswith(tables.FEATURES):
            found = tables.read_features(root, table.removeprefix(tables.FEATURES), film_id)
            if found is not None and len(found.times):
                ends.append(float(found.times[-1]) + 1 / found.hz)
    return max(ends)


class _CollaborativeExperts:
    def __init__(self, folder: Path, identity: str, device: str) -> None:
        from cinescribe.encoders.experts import SPEECH
        from cinescribe.models import collaborative_experts_files

        self._saved: SavedCE = collaborative_experts_files.load(folder)
        self._saved.model.to(device)
        self._device = device
        config = self._saved.model.config
        if len(config.widths) < len(config.experts):
            raise UsageError(f"{folder}: its variant concat has no vectors that an index can hold")
        self.name, self.identity, self.dim = str(folder), identity, sum(config.widths)
        self.tables = tuple(
            expert.table if expert.table == SPEECH else tables.FEATURES + expert.table
            for expert in self._saved.experts
        )
        self._text: TokenEncoder | None = None

    def encode_windows(
        self, root: str, film_id: str, windows: Sequence[tuple[float, float]]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        from cinescribe.models import collaborative_experts_search as search

        clips = search.encode_windows(self._saved, root, film_id, windows)
        return search.index_vectors(clips), search.flags(clips)

    def encode_texts(self, texts: Sequence[str]) -> list[EncodedText | None]:
        import torch

        from cinescribe.encoders import text_tokens
        from cinescribe.models.collaborative_experts_search import query_vectors

        if self._text is None:  # only who asks needs it
            self._text = text_tokens.load(self._saved.text, self._device)
        model = self._saved.model
        tokens = torch.from_numpy(self._text.encode(texts, model.config.text.tokens)).to(self._device)
        with torch.inference_mode():
            encoded = model.encode_text(tokens)
            vectors = query_vectors(encoded, model.config.widths)
        weights = encoded.weights.float().cpu().numpy()
        read = tokens.flatten(1).any(1).tolist()
        return [
            EncodedText(self.identity, *pair) if known else None
            for known, *pair in zip(read, vectors, weights, strict=True)
        ]


class _PromptingCLIP:
    def __init__(self, folder: Path, identity: str, device: str) -> None:
        from cinescribe.models.prompting_clip_search import PromptingCLIPSearch

        self._search = PromptingCLIPSearch.load(folder, device)
        self.name, self.identity, self.dim = str(folder), identity, self._search.dim
        self.tables: tuple[str, ...] = (tables.FEATURES + self._search.inputs.features,)

    def encode_windows(
        self, root: str, film_id: str, windows: Sequence[tuple[float, float]]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        inputs = self._search.inputs
        features = tables.read_features(root, inputs.features, film_id)
        if features is None:
            return np.zeros((len(windows), self.dim), np.float32), np.zeros(len(windows), np.int64)
        if features.hz != inputs.hz:
            raise UsageError(
                f"{root}: features/{inputs.features} of {film_id} are {features.hz:g} a second, and the "
                f"model reads {inputs.hz:g}; give the features that it was trained on"
            )
        vectors = self._search.window_vectors(features.whole(), windows)
        return vectors, np.asarray(vectors.any(axis=1), np.int64)

    def encode_texts(self, texts: Sequence[str]) -> list[EncodedText | None]:
        one = np.ones(1, np.float32)
        return [EncodedText(self.identity, vector, one) for vector in self._search.text_vectors(texts)]
