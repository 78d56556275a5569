"""What is seen: visual words, which the index looks up, and CLIP vectors, near which it looks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe.encoders.visual_words import LABELS
from cinescribe.search import filters
from cinescribe.search.documents import token
from cinescribe.search.fusion import Hit
from cinescribe.search.query import Query

# Cosines between which a CLIP vector goes from beside the point to spot on: chosen, not measured.
WORDS_TO_PICTURE = (0.15, 0.35)
PICTURE_TO_PICTURE = (0.5, 1.0)


class WordSearch:
    """Searches the table `visuals` as it was opened."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def hits(self, weights: Mapping[int, float], query: Query) -> list[Hit]:
        """The windows whose visual words mean something like the query.

        The index finds candidates by its own score, which knows how rare a label is; what counts is that of
        all labels in question at least one is right: 1 - product of (1 - weight x confidence).

        Args:
            weights: label id -> weight in (0, 1].
            query: for its filters and limit.
        """
        from lancedb.query import BooleanQuery, MatchQuery, Occur

        if not weights:
            return []
        asked = BooleanQuery(
            [(Occur.SHOULD, MatchQuery(token(i), "tokens", boost=w)) for i, w in weights.items()]
        )
        search = self._table.search(asked, query_type="fts").limit(max(200, 10 * query.limit))
        if where := filters.condition(query.filters, spoken=False):
            search = search.where(where, prefilter=True)
        found = []
        for row in search.select(["film_id", "start", "end", "words", "_score"]).to_arrow().to_pylist():
            words = [(word["label"], word["confidence"]) for word in row["words"] if word["label"] in weights]
            words.sort(key=lambda word: -weights[word[0]] * word[1])
            relevance = 1.0 - float(np.prod([1.0 - weights[label] * sure for label, sure in words]))
            names = tuple(dict.fromkeys(LABELS[label].name for label, _ in words))
            every = ", ".join(dict.fromkeys(LABELS[word["label"]].name for word in row["words"]))
            place = row["film_id"], row["start"], row["end"]
            found.append(Hit("words", *place, every, "", "", relevance, relevance, names))
        return found


class ClipSearch:
    """Searches the table `clip` as it was opened."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self.dim = int(table.schema.field("vector").type.list_size)

    def hits(self, vector: NDArray[np.float16], bounds: tuple[float, float], query: Query) -> list[Hit]:
        """The windows whose pictures are nearest.

        Args:
            vector: [dim], unit length, of words or of pictures.
            bounds: the cosines that count as 0 and as 1.
            query: for its filters and limit.
        """
        search = self._table.search(vector, vector_column_name="vector").distance_type("cosine")
        if where := filters.condition(query.filters, spoken=False):
            search = search.where(where, prefilter=True)
        search = search.select(["film_id", "start", "end", "_distance"]).limit(max(100, 5 * query.limit))
        found = []
        for row in search.to_arrow().to_pylist():
            cosine = 1.0 - row["_distance"]
            relevance = min(1.0, (cosine - bounds[0]) / (bounds[1] - bounds[0]))
            if relevance > 0:
                found.append(
                    Hit("visual", row["film_id"], row["start"], row["end"], "", "", "", cosine, relevance)
                )
        return found
