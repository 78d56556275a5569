"""Answers queries from an index; one searcher serves many threads."""

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cinescribe.errors import UsageError
from cinescribe.search import filters, fusion
from cinescribe.search.fusion import Hit
from cinescribe.search.query import SOURCES, Answer, Query, Source
from cinescribe.search.store import IndexedFilm, Store, explained
from cinescribe.search.texts import TextSearch

LONGEST_TEXT = 2000  # characters of a query
MOST = 1000  # moments of an answer

_QUOTED = re.compile('["\u201c\u201d\u201e]([^"\u201c\u201d\u201e]+)["\u201c\u201d\u201e]')


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """A query's text, made ready for the sources.

    Attributes:
        text: the words without quotation marks.
        quotes: what must be there literally.
        sentence: float16 [D], unit length: the vector of the text; None when it is empty.
    """

    text: str
    quotes: tuple[str, ...]
    sentence: NDArray[np.float16] | None


class Searcher:
    """Searches the index of one root. Safe for many threads; what it has open is one state of the index.

    Args:
        root: the folder or `s3://` prefix that was indexed.
        threads: of torch, for encoding queries; 0 leaves them.
        device: "cpu" or "cuda".

    Raises:
        UsageError: there is no index.
        WeightsError: the encoders it was made with can't be had.
    """

    def __init__(self, root: str, *, threads: int = 0, device: str = "cpu") -> None:
        from cinescribe.encoders.text import SentenceEncoder

        self.root, self._store = root, Store(root)
        self._encoding = threading.Lock()
        self.refresh()
        made_with = next((f.stamps.get("sentence", "") for f in self._films.values()), "")
        self._sentences = SentenceEncoder(made_with, device=device, threads=threads)

    def refresh(self) -> None:
        """Go on with what was committed to the index meanwhile."""
        names = self._store.names()
        if "films" not in names:
            raise UsageError(f"{self._store.uri}: no index there; make one: cinescribe index {self.root}")
        films = self._store.films()
        texts = TextSearch(self._store.open("texts")) if "texts" in names else None
        self._films, self._texts = films, texts

    def films(self) -> Mapping[str, IndexedFilm]:
        """The films of the index, by id."""
        return self._films

    # ---- queries --------------------------------------------------------------------------------

    def encode(self, texts: Sequence[str]) -> list[EncodedQuery]:
        """Make the texts of queries ready, many at once."""
        plain = [" ".join(re.sub('["\u201c\u201d\u201e]', " ", text).split()) for text in texts]
        with self._encoding:
            vectors = self._sentences.encode(plain)
        return [
            EncodedQuery(
                text=words,
                quotes=tuple(" ".join(quote.split()) for quote in _QUOTED.findall(text) if quote.strip()),
                sentence=vectors[k] if words else None,
            )
            for k, (text, words) in enumerate(zip(texts, plain, strict=True))
        ]

    def search(self, query: Query) -> Answer:
        """Encode a query and find its moments. Raises UsageError on one that can't be meant."""
        return self.search_many([query])[0]

    def search_many(self, queries: Sequence[Query]) -> list[Answer]:
        """`search` for many, whose texts are encoded together."""
        for query in queries:
            self.check(query)
        encoded = self.encode([query.text for query in queries])
        return [self.find(one, query) for one, query in zip(encoded, queries, strict=True)]

    def check(self, query: Query) -> None:
        """Raise UsageError on a query that can't be meant, before anything is computed."""
        if not query.text.strip() and query.frames is None:
            raise UsageError("the query is empty; say what to look for")
        if len(query.text) > LONGEST_TEXT:
            raise UsageError(f"the query has {len(query.text)} characters; at most {LONGEST_TEXT}")
        if not 1 <= query.limit <= MOST:
            raise UsageError(f"the limit is {query.limit}; from 1 to {MOST} moments")
        filters.check(query.filters)
        for film_id in query.filters.films:
            if film_id not in self._films:
                raise UsageError(
                    f"no film {film_id!r} in the index ({len(self._films)} films); see how films are named "
                    "in the results of a search without --film"
                )

    def find(self, encoded: EncodedQuery, query: Query) -> Answer:
        """The moments of an encoded query."""
        self.check(query)
        wanted = query.filters.sources or SOURCES
        searched: list[Source] = []
        hits: list[Hit] = []
        texts = self._texts
        with explained(self._store.uri):
            for source in ("speech", "description"):
                if source in wanted and texts is not None and encoded.sentence is not None:
                    searched.append(source)
                    hits += texts.hits(encoded.text, encoded.sentence, encoded.quotes, query, source)
        return Answer(fusion.moments(hits, searched, query.limit) if searched else ())
