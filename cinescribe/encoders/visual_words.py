"""Visual words: names of recognised objects and actions as evidence that words can find.

A moment is described by the few labels which the networks `objects` and `actions` are sure of. A query, in
words, weighs labels by how alike they are to it in meaning; a moment's score is the sum over its labels of
weight x confidence. No CLIP weights are needed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from cinescribe.encoders import names

Kind = Literal["objects", "actions"]
FLOORS: Mapping[Kind, float] = {"objects": 0.2, "actions": 0.2}  # confidence below which nothing is named
SIMILARITY_FLOOR = 0.4  # cosine below which a label has nothing to do with a query


@dataclass(frozen=True, slots=True)
class Label:
    """One visual word.

    Attributes:
        id: its place in `LABELS`: stable, for indexes.
        kind: the encoder that recognises it.
        index: of the encoder's output.
        name: in words.
    """

    id: int
    kind: Kind
    index: int
    name: str


OBJECTS = names.imagenet()
LABELS: tuple[Label, ...] = (
    *(Label(i, "objects", i, name) for i, name in enumerate(OBJECTS)),
    *(Label(len(OBJECTS) + i, "actions", i, name) for i, name in enumerate(names.kinetics400())),
)


@dataclass(frozen=True, slots=True)
class Word:
    """A label seen in a window, with the network's calibrated confidence in [0, 1]."""

    label: Label
    confidence: float


class Sentences(Protocol):
    """What `WordMatcher` needs of a sentence encoder (`cinescribe.encoders.text.SentenceEncoder`)."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float16]:
        """Vectors of length 1: float16 [len(texts), dim]."""


def words_of(kind: Kind, probabilities: NDArray[Any]) -> list[Word]:
    """The labels of a window, the surest first: those whose mean confidence over it reaches the floor.

    Args:
        kind: "objects" or "actions".
        probabilities: float [T, classes], the features of that encoder within the window; rows of NaN are
            left out.
    """
    rows = np.asarray(probabilities, np.float32)
    rows = rows[~np.isnan(rows).any(1)]
    if not len(rows):
        return []
    mean = rows.mean(0)
    first = 0 if kind == "objects" else len(OBJECTS)
    seen = [Word(LABELS[first + i], float(mean[i])) for i in np.flatnonzero(mean >= FLOORS[kind]).tolist()]
    return sorted(seen, key=lambda word: -word.confidence)


class WordMatcher:
    """How much each label has to do with a query in words."""

    def __init__(self, encoder: Sentences) -> None:
        """Embed all labels with that encoder (a second or so on a CPU)."""
        self._encoder = encoder
        texts = [phrase for label in LABELS for phrase in _phrases(label)]
        self._owners = np.array([label.id for label in LABELS for _ in _phrases(label)])
        self._vectors = encoder.encode(texts).astype(np.float32)  # [phrases, dim]

    def weights(self, text: str) -> dict[int, float]:
        """label id -> weight in (0, 1], of the few labels that mean something like the query.

        A moment's score is the sum over its words of weight x confidence.
        """
        return self.weights_of(self._encoder.encode([text])[0])

    def weights_of(self, vector: NDArray[np.float16]) -> dict[int, float]:
        """`weights` of a query that is encoded already."""
        query = vector.astype(np.float32)
        cosine = np.full(len(LABELS), -1.0, np.float32)
        np.maximum.at(cosine, self._owners, self._vectors @ query)
        found = np.flatnonzero(cosine >= SIMILARITY_FLOOR)
        return {int(i): min(1.0, float(cosine[i])) for i in found[np.argsort(-cosine[found])]}


def _phrases(label: Label) -> tuple[str, ...]:
    """What a label may be called in a query; the nearest counts."""
    if label.kind == "objects":
        return label.name, f"a photo of a {label.name}"
    return label.name, f"someone is {label.name}"
