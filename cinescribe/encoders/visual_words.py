"""Visual words: names of recognised objects and actions as evidence that words can find.

A moment is described by the few labels which the networks `objects` and `actions` are sure of. A query, in
words, weighs labels by how alike they are to it in meaning; a moment that has a label of weight w with a
confidence c is what the query looks for with a chance of w x c. No CLIP weights are needed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from cinescribe.encoders import glosses, names

Kind = Literal["objects", "actions"]
FLOORS: Mapping[Kind, float] = {"objects": 0.2, "actions": 0.2}  # confidence below which nothing is named
# The chance that a label is right rises with its cosine to the query along this logistic curve, fitted by
# benchmarks/visual_words.py on captions that describe a label without naming it.
STEEPNESS, EVEN_CHANCE = 15.6, 0.574
SIMILARITY_FLOOR = 0.35  # a chance of 3%: below it a label isn't worth a look


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
        """Embed all labels with that encoder (some seconds on a CPU)."""
        self._encoder = encoder
        texts = [phrase for label in LABELS for phrase in _phrases(label)]
        self._owners = np.array([label.id for label in LABELS for _ in _phrases(label)])
        self._vectors = encoder.encode(texts).astype(np.float32)  # [phrases, dim]

    def weights(self, text: str) -> dict[int, float]:
        """label id -> the chance in (0, 1) that the query looks for it; the few of note, best first."""
        cosine = self.cosines([text])[0]
        found = np.flatnonzero(cosine >= SIMILARITY_FLOOR)
        chance = 1.0 / (1.0 + np.exp(-STEEPNESS * (cosine - EVEN_CHANCE)))
        return {i: float(chance[i]) for i in found[np.argsort(-cosine[found])].tolist()}

    def cosines(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """How alike each text and each label are, by the label's nearest phrase: float32 [texts, labels]."""
        queries = self._encoder.encode(texts).astype(np.float32)
        cosines = np.full((len(LABELS), len(texts)), -1.0, np.float32)
        np.maximum.at(cosines, self._owners, self._vectors @ queries.T)
        return cosines.T


def _phrases(label: Label) -> tuple[str, ...]:
    """What a label may be called in a query; the nearest counts."""
    if label.kind == "actions" and label.name in glosses.ACTIONS:
        return label.name, f"{label.name}: {glosses.ACTIONS[label.name]}"
    return (label.name,)
