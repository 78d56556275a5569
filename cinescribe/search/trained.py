"""What a trained model finds alike: windows near a query's vector, and how far they stand out.

A similarity of a trained model has no fixed scale: of one query all are near 0.1, of another near 0.6. So
what counts is by how many standard deviations a window lies above what the query has with windows at large,
of which some are kept in memory.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cinescribe.errors import CinescribeError
from cinescribe.search import embedding, filters
from cinescribe.search.embedding import EncodedText, WindowEncoder
from cinescribe.search.fusion import Hit
from cinescribe.search.query import Query
from cinescribe.search.store import IndexModel
from cinescribe.search.texts import PROBES

# Standard deviations above the query's background that count as 0 and as 1; see docs/search.md.
STANDS_OUT = (1.0, 4.0)

BACKGROUND = 1000  # windows, spread evenly over the index, that a query is compared with


class ModelSearch:
    """Searches the table `model` as it was opened.

    Args:
        table: of which.
        model: that it names.
    """

    def __init__(self, table: Any, model: IndexModel) -> None:
        self._table, self.model = table, model
        self.version = int(table.version)

    def hits(self, asked: EncodedText, query: Query) -> list[Hit]:
        """The windows that the model finds most alike, by its own similarity.

        Args:
            asked: the text, read by the same model.
            query: for its filters and limit.
        """
        from cinescribe.models.collaborative_experts_search import rescore

        most = max(100, 5 * query.limit)
        where = filters.condition(query.filters, spoken=False)
        parts = [where]
        if len(self._kinds) > 1:
            parts = [" AND ".join(filter(None, (where, f"flags = {kind}"))) for kind in self._kinds]
        found = pa.concat_tables([self._nearest(asked, part, most) for part in parts])
        products = 1.0 - found["_distance"].to_numpy()  # the store's distance is 1 - product
        best = rescore(asked.weights, products.astype(np.float32), found["flags"].to_numpy())
        mean, deviation = self.background(asked)
        low, high = STANDS_OUT
        hits = []
        nearest = zip(best.order[:most].tolist(), best.similarity[:most].tolist(), strict=True)
        for place, similarity in nearest:
            relevance = ((similarity - mean) / deviation - low) / (high - low)
            if relevance > 0:
                film_id, start, end = (found[name][place].as_py() for name in ("film_id", "start", "end"))
                hits.append(Hit("model", film_id, start, end, "", "", "", similarity, min(1.0, relevance)))
        return hits

    def _nearest(self, asked: EncodedText, where: str, most: int) -> pa.Table:
        """The windows of the highest dot products among those that fulfil `where`."""
        search = self._table.search(asked.vector, vector_column_name="vector").distance_type("dot")
        search = search.nprobes(PROBES)
        if where:
            search = search.where(where, prefilter=True)
        return search.select(["film_id", "start", "end", "flags", "_distance"]).limit(most).to_arrow()

    @cached_property
    def _kinds(self) -> list[int]:
        """The different `flags` of the index.

        Among windows of the same parts the model's order is that of the dot products, so each kind is looked
        up by itself; what lacks a part ranks higher by the model than by its dot product.
        """
        rows = self._table.search().select(["flags"]).limit(self._table.count_rows()).to_arrow()
        return sorted(rows["flags"].unique().to_pylist())

    def background(self, asked: EncodedText) -> tuple[float, float]:
        """Mean and standard deviation of the query's similarities to windows at large."""
        from cinescribe.models.collaborative_experts_search import available

        vectors, flags = self._sample
        shares = available(flags, len(asked.weights)) @ asked.weights
        similarities = vectors @ asked.vector / np.maximum(shares, np.finfo(np.float32).tiny)
        return float(similarities.mean()), max(float(similarities.std()), 1e-6)

    @cached_property
    def _sample(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """[n, dim] and [n] flags of at most BACKGROUND windows, evenly drawn: the same of the same index."""
        rows = self._table.count_rows()
        places = np.unique(np.linspace(0, rows - 1, min(rows, BACKGROUND)).round().astype(np.int64))
        found = self._table.take_offsets(places.tolist()).select(["vector", "flags"]).to_arrow()
        flat = found["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(len(found), -1).astype(np.float32), found["flags"].to_numpy()


class TrainedEncoder:
    """The model that an index names, loaded when a query first needs it. For one thread at a time.

    Args:
        device: "cpu" or "cuda".

    Attributes:
        missing: why it can't be had; "" when it can.
    """

    def __init__(self, device: str) -> None:
        self._device, self.missing = device, ""
        self._told: IndexModel | None = None
        self._encoder: WindowEncoder | None = None

    def of(self, told: IndexModel) -> WindowEncoder | None:
        """The encoder of that model; None when it can't be had."""
        if told != self._told:
            self._told, self._encoder, self.missing = told, None, ""
            try:
                encoder = embedding.load(Path(told.folder), self._device)
                if encoder.identity == told.identity:
                    encoder.encode_texts(["a"])  # loads what it reads texts with
                    self._encoder = encoder
                else:
                    self.missing = (
                        f"{told.folder} holds another one than the index was made with; index again"
                    )
            except CinescribeError as error:
                self.missing = str(error)
        return self._encoder
