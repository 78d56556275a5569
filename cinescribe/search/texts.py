"""What was said and described: by meaning (sentence vectors) and by words (BM25), as one relevance."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe.search import filters
from cinescribe.search.fusion import Hit
from cinescribe.search.query import Query, Source

# Of the relevance, MEANING is the cosine and the rest the words, BM25 / (BM25 + HALF). Chosen on MSR-VTT's
# training sentences, see docs/search.md.
MEANING = 0.8
HALF = 15.0

_WORD = re.compile(r"[^\W_]+")  # as the index splits words
# Words that are in the index, for quotes, but say nothing about why something was found.
_COMMON = frozenset(
    "a an and are as at be but by for from has have he her his i if in into is it its me my no not of on or "
    "our she so that the their them then there these they this to was we were what when where which who will "
    "with you your".split()
)

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
        scores = {row["id"]: row["_score"] for row in said}
        found = []
        for row in rows.values():
            if not all(_occurs(quote, row["text"]) for quote in quotes):
                continue
            cosine = float(np.dot(np.asarray(row["vector"], np.float32), vector.astype(np.float32)))
            bm25 = scores.get(row["id"], 0.0)
            relevance = MEANING * max(0.0, cosine) + (1 - MEANING) * bm25 / (bm25 + HALF)
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
                )
            )
        return found

    def _words(self, text: str, where: str, most: int) -> list[dict[str, Any]]:
        from lancedb.query import MatchQuery

        search = self._table.search(MatchQuery(text, "text"), query_type="fts")
        search = search.where(where, prefilter=True).select([*_COLUMNS, "_score"]).limit(most)
        rows: list[dict[str, Any]] = search.to_arrow().to_pylist()
        return rows

    def matched(self, text: str, query: str) -> tuple[str, ...]:
        """The words of a text that have a stem in common with the query, each once; not those like "the"."""
        stems = {token.text for token in self._table.tokenize(query, column="text")} - _COMMON
        words = _WORD.findall(text)
        found = {}
        for token in self._table.tokenize(text, column="text"):
            if token.text in stems and token.position < len(words):
                found[words[token.position]] = True
        return tuple(found)


def _occurs(quote: str, text: str) -> bool:
    """Whether the quote is in the text, in any case, and not inside a word."""
    return re.search(rf"(?<!\w){re.escape(quote.lower())}(?!\w)", text.lower()) is not None
