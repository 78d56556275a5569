"""What was said and described: by meaning (sentence vectors) and by words (BM25), as one relevance."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe.search import filters
from cinescribe.search.fusion import Hit
from cinescribe.search.query import Query, Source

MEANING = 0.7  # of the relevance is the cosine, the rest the words

_COLUMNS = ["id", "film_id", "start", "end", "role", "speaker", "text", "vector"]


class TextSearch:
    """Searches the table `texts` as it was opened."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def hits(
        self, text: str, vector: NDArray[np.float16], quotes: tuple[str, ...], query: Query, source: Source
    ) -> list[Hit]:
        """The rows of one source that answer best.

        Args:
            text, vector: the query's words, and their sentence vector.
            quotes: must be in a row's text, in any case.
            query: for its filters and limit.
            source: speech or description.
        """
        where = filters.condition(query.filters, spoken=True, source=source)
        for quote in quotes:
            where += f" AND contains(lower(text), {filters.literal(quote.lower())})"
        most = max(100, 5 * query.limit)
        near = self._table.search(vector, vector_column_name="vector").distance_type("cosine")
        near = near.where(where, prefilter=True).select([*_COLUMNS, "_distance"]).limit(most).to_arrow()
        said = self._words(text, where, most)
        rows = {row["id"]: row for row in (*near.to_pylist(), *said)}
        best = max((row["_score"] for row in said), default=0.0)
        scores = {row["id"]: row["_score"] / best for row in said}
        stems = self._stems(text)
        found = []
        for row in rows.values():
            if not all(_occurs(quote, row["text"]) for quote in quotes):
                continue
            cosine = float(np.dot(np.asarray(row["vector"], np.float32), vector.astype(np.float32)))
            relevance = MEANING * max(0.0, cosine) + (1 - MEANING) * scores.get(row["id"], 0.0)
            found.append(
                Hit(
                    source=source,
                    film_id=row["film_id"],
                    start=row["start"],
                    end=row["end"],
                    text=row["text"],
                    speaker=row["speaker"],
                    role=row["role"],
                    similarity=cosine,
                    relevance=min(1.0, relevance),
                    matched=self._matched(row["text"], stems),
                )
            )
        return found

    def _words(self, text: str, where: str, most: int) -> list[dict[str, Any]]:
        from lancedb.query import MatchQuery

        search = self._table.search(MatchQuery(text, "text"), query_type="fts")
        search = search.where(where, prefilter=True).select([*_COLUMNS, "_score"]).limit(most)
        rows: list[dict[str, Any]] = search.to_arrow().to_pylist()
        return rows

    def _stems(self, text: str) -> set[str]:
        return {token.text for token in self._table.tokenize(text, column="text")}

    def _matched(self, text: str, stems: set[str]) -> tuple[str, ...]:
        """The words of a text whose stems are in the query, each once."""
        words = dict.fromkeys(re.findall(r"\w+", text))
        return tuple(word for word in words if self._stems(word) & stems)


def _occurs(quote: str, text: str) -> bool:
    """Whether the quote is in the text, in any case, and not inside a word."""
    return re.search(rf"(?<!\w){re.escape(quote.lower())}(?!\w)", text.lower()) is not None
