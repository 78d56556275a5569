"""What was said and described: by meaning (sentence vectors) and by words (BM25), as one relevance."""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cinescribe.search import filters
from cinescribe.search.fusion import Hit
from cinescribe.search.query import Query, Source

# Of the relevance, MEANING is the cosine and the rest the words, BM25 / (BM25 + HALF). Chosen on MSR-VTT's
# training sentences, see docs/search.md.
MEANING = 0.8
HALF = 15.0

PROBES = 20  # partitions of the vector index that are looked into, where there is one; see docs/search.md

_WORD = re.compile(r"[^\W_]+")  # as the index splits words
# Words that are in the index, for quotes, but say nothing about why something was found.
_COMMON = frozenset(
    "a an and are as at be but by for from has have he her his i if in into is it its me my no not of on or "
    "our she so that the their them then there these they this to was we were what when where which who will "
    "with you your".split()
)

_COLUMNS = ["id", "film_id", "start", "end", "role", "speaker", "text"]


class TextSearch:
    """Searches the table `texts` as it was opened."""

    def __init__(self, table: Any) -> None:
        self._table = table

    @cached_property
    def generated(self) -> bool:
        """Whether any film was described: a source that none has takes nothing from the others' scores."""
        return bool(self._table.count_rows("source = 'generated'"))

    def hits(
        self, text: str, vector: NDArray[np.float16], quotes: tuple[str, ...], query: Query, source: Source
    ) -> list[Hit]:
        """The rows of one source that answer best.

        Args:
            text, vector: the query's words, and their sentence vector.
            quotes: must be in a row's text, in any case.
            query: for its filters and limit.
            source: speech, description or generated.
        """
        where = filters.condition(query.filters, spoken=True, source=source)
        for quote in quotes:
            where += f" AND contains(lower(text), {filters.literal(quote.lower())})"
        most = max(100, 5 * query.limit)
        rows = self._near(vector, where, most)
        said, least = self._said(text, vector, where, most)
        scores = {row["id"]: row["_score"] for row in said}
        if least and (unscored := [row for row in rows if row["id"] not in scores]):
            scores |= self._scores(text, unscored, least)
        found = []
        for row in {row["id"]: row for row in (*said, *rows)}.values():
            if not all(_occurs(quote, row["text"]) for quote in quotes):
                continue
            bm25 = scores.get(row["id"], 0.0)
            relevance = MEANING * max(0.0, row["cosine"]) + (1 - MEANING) * bm25 / (bm25 + HALF)
            found.append(
                Hit(
                    source=source,
                    film_id=row["film_id"],
                    start=row["start"],
                    end=row["end"],
                    text=row["text"],
                    speaker=row["speaker"],
                    role=row["role"],
                    similarity=row["cosine"],
                    relevance=min(1.0, relevance),
                )
            )
        return found

    def _near(self, vector: NDArray[np.float16], where: str, most: int) -> list[dict[str, Any]]:
        """The rows nearest in meaning, with their cosine."""
        search = self._table.search(vector, vector_column_name="vector").distance_type("cosine")
        search = search.nprobes(PROBES).where(where, prefilter=True)
        rows = search.select([*_COLUMNS, "_distance"]).limit(most).to_arrow().to_pylist()
        return [{**row, "cosine": 1.0 - row["_distance"]} for row in rows]

    def _said(
        self, text: str, vector: NDArray[np.float16], where: str, most: int
    ) -> tuple[list[dict[str, Any]], float]:
        """The rows with the words of the query, with BM25 as `_score` and their cosine; `most` of the best.

        Where there are more, rows as good as the best of those are left out too, for which of them the index
        gives depends on the order in which films were indexed; unless no row is better.

        Returns:
            The rows, and the BM25 of the best that found no place, 0 where all have one.
        """
        found = self._by_words(text, where).select([*_COLUMNS, "vector", "_score"]).limit(most + 1).to_arrow()
        least = 0.0
        if found.num_rows > most:
            scores = found["_score"].to_numpy()
            least = float(scores.min())
            better = scores > least
            found = found.filter(pa.array(better)) if better.any() else found.slice(0, most)
        vectors = found["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        cosines = vectors.astype(np.float32).reshape(-1, len(vector)) @ vector.astype(np.float32)
        rows = found.drop_columns("vector").to_pylist()
        return [{**row, "cosine": cosine} for row, cosine in zip(rows, cosines.tolist(), strict=True)], least

    def _by_words(self, text: str, where: str) -> Any:
        """The search for rows with words of the query, the most BM25 first."""
        from lancedb.query import MatchQuery

        return self._table.search(MatchQuery(text, "text"), query_type="fts").where(where, prefilter=True)

    def _scores(self, text: str, rows: Sequence[dict[str, Any]], most: float) -> dict[str, float]:
        """BM25 of these rows, by id, where it isn't 0.

        Args:
            most: what it can't be above. Of rows that the index has not taken in yet (`Store.optimise`) it
                reckons how rare a word is by the rows that are asked for, here these few.
        """
        where = " AND ".join(  # films have a scalar index, ids have none
            filters.among(column, sorted({row[column] for row in rows})) for column in ("film_id", "id")
        )
        found = self._by_words(text, where).select(["id", "_score"]).limit(len(rows)).to_arrow()
        scores = zip(found["id"].to_pylist(), found["_score"].to_pylist(), strict=True)
        return {row_id: min(score, most) for row_id, score in scores}

    def matched(self, texts: Sequence[str], query: str) -> list[tuple[str, ...]]:
        """Of each text the words that share a stem with the query, each once; not those like "the"."""
        stems = {token.text for token in self._table.tokenize(query, column="text")} - _COMMON
        words = [(k, word) for k, text in enumerate(texts) for word in _WORD.findall(text)]
        found: list[dict[str, None]] = [{} for _ in texts]
        for token in self._table.tokenize("\n".join(texts), column="text"):  # one call: it is slow to begin
            if token.text in stems and token.position < len(words):
                k, word = words[token.position]
                found[k][word] = None
        return [tuple(some) for some in found]


def _occurs(quote: str, text: str) -> bool:
    """Whether the quote is in the text, in any case, and not inside a word."""
    return re.search(rf"(?<!\w){re.escape(quote.lower())}(?!\w)", text.lower()) is not None
