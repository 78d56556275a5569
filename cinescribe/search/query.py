"""What one asks of the index and what it answers; nothing here touches the index."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

# Where evidence comes from: what somebody says, what the film's narrator describes, what a machine described
# (as people corrected it), what is seen (CLIP, for queries in words or pictures), what was recognised (visual
# words: objects and actions, without CLIP's weights), and what a model that was trained for it finds alike.
Source = Literal["speech", "description", "generated", "visual", "words", "model"]
SOURCES: tuple[Source, ...] = get_args(Source)
TEXTS: frozenset[Source] = frozenset({"speech", "description", "generated"})  # what is words itself

# Whose words they are: roles of an utterance, or of a generated description: the machine's, or a person's.
Role = Literal["narrator", "dialogue", "unknown", "generated", "corrected"]
ROLES_OF: Mapping[Source, frozenset[Role]] = {
    "speech": frozenset({"dialogue", "unknown"}),
    "description": frozenset({"narrator"}),
    "generated": frozenset({"generated", "corrected"}),
}


@dataclass(frozen=True, slots=True)
class Filters:
    """Which moments may be found; empty means any.

    Attributes:
        films: film ids.
        start, end: seconds; moments that touch [start, end) of their film. None: no bound.
        speakers: labels such as SPEAKER_00; only evidence of theirs counts.
        roles: narrator, dialogue, unknown; generated, corrected (of generated descriptions); only evidence
            of such words counts.
        sources: only evidence of these counts.
    """

    films: tuple[str, ...] = ()
    start: float | None = None
    end: float | None = None
    speakers: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """One question: words, a picture, a clip, or words with one of them.

    Attributes:
        text: what is looked for, in words; words in double quotes must be said or described literally.
        frames: uint8 [T, H, W, 3], RGB: one frame is a picture, several are a clip; None without.
        limit: most moments to answer with.
    """

    text: str = ""
    frames: NDArray[np.uint8] | None = None
    filters: Filters = field(default_factory=Filters)
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a moment was found.

    Attributes:
        source: where it comes from.
        start, end: seconds, of what was said or seen.
        text: what was said or described, or the names of what was recognised; "" for `visual` and `model`.
        speaker, role: of speech and description, else ""; of generated descriptions the role alone.
        rank: 1-based among the hits of its source.
        similarity: as its source measures it (cosine, BM25, the trained model's).
        share: its part of the moment's score; the shares of a moment add up to its score.
        matched: the query's words found in `text`, in its order, for marking.
    """

    source: Source
    start: float
    end: float
    text: str
    speaker: str
    role: str
    rank: int
    similarity: float
    share: float
    matched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """A stretch of a film, [start, end) seconds, with the evidence for it, the strongest first.

    Attributes:
        score: of all sources together.
        reranked: the re-ranker's own score, of no fixed scale; None where it was not asked.
    """

    film_id: str
    start: float
    end: float
    score: float
    why: tuple[Evidence, ...]
    reranked: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The moments, best first, and what the user should know of how they were found.

    Attributes:
        notes: such as "no CLIP features in this index: what is seen is searched by visual words".
    """

    moments: tuple[Moment, ...]
    notes: tuple[str, ...] = ()
