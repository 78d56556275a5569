"""How the service asks the index: in this process, or through deployments (`serve.app`)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from cinescribe.errors import UsageError
from cinescribe.search.query import Answer, Query

if TYPE_CHECKING:
    from cinescribe.search.searcher import EncodedQuery


@dataclass(frozen=True, slots=True)
class Refusal:
    """A query that can't be answered, and why; the words are for whoever asked."""

    message: str


@dataclass(frozen=True, slots=True)
class IndexState:
    """How much there is to find.

    Attributes:
        films: wholly indexed.
        rows: by table of the index.
    """

    films: int
    rows: Mapping[str, int]


class Finder(Protocol):
    """Answers queries."""

    async def find(self, query: Query) -> Answer | Refusal:
        """The moments of a query.

        Raises:
            HTTPException: 503, when there are too many queries at once.
        """
        ...

    async def state(self) -> IndexState:
        """What the index holds; raises while it can't be asked."""
        ...


class Index:
    """The index of one process: asked by threads, and looked at again now and then.

    Args:
        root, threads, device, reranker: as of `cinescribe.search.searcher.Searcher`.
        refresh_seconds: between looks.
    """

    def __init__(
        self, root: str, *, threads: int, device: str, refresh_seconds: float, reranker: str = ""
    ) -> None:
        from cinescribe.search.searcher import Searcher

        self.searcher: Searcher = Searcher(root, threads=threads, device=device, reranker=reranker)
        self._root, self._refresh = root, refresh_seconds
        self._rows = self._count()
        self._renewal: asyncio.Task[None] | None = None

    def encode(self, texts: Sequence[str]) -> "list[EncodedQuery]":
        """The texts of many queries at once."""
        return self.searcher.encode(texts)

    def find(self, encoded: "EncodedQuery", query: Query) -> Answer | Refusal:
        """The moments of an encoded query."""
        try:
            self.searcher.check(query)
        except UsageError as error:
            return Refusal(str(error))
        try:
            return self.searcher.find(encoded, query)
        except UsageError as error:
            if query.frames is None or error.__cause__ is not None:  # a fault of the store, not of the query
                raise
            return Refusal(
                "this library can't be searched by a picture or clip: its index has no CLIP features"
            )

    def state(self) -> IndexState:
        """What it holds, as of the last look."""
        return IndexState(len(self.searcher.films()), self._rows)

    def keep_fresh(self, failed: Callable[[Exception], Any]) -> None:
        """Look at the index again every few seconds, from the running loop on; tell `failed` of failures."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(self._refresh)
                try:
                    await asyncio.to_thread(self._renew)
                except Exception as error:  # the state that is open goes on being searched
                    failed(error)

        if self._renewal is None:
            self._renewal = asyncio.get_running_loop().create_task(renew())

    def _renew(self) -> None:
        self.searcher.refresh()
        self._rows = self._count()

    def _count(self) -> Mapping[str, int]:
        from cinescribe.search.store import EVIDENCE, Store

        store = Store(self._root)
        return {table: store.open(table).count_rows() for table in EVIDENCE if table in store.names()}


class LocalFinder:
    """Asks an index of this very process."""

    def __init__(self, index: Index) -> None:
        self._index = index

    async def find(self, query: Query) -> Answer | Refusal:
        """See `Finder`."""

        def work() -> Answer | Refusal:
            return self._index.find(self._index.encode([query.text])[0], query)

        return await asyncio.to_thread(work)

    async def state(self) -> IndexState:
        """See `Finder`."""
        return self._index.state()
