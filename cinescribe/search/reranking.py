"""The first moments of a text query scored anew by a JSFusion, which meets every frame with every word.

Its score can't be looked up in an index, so it is asked of what the other sources found. The moments'
features are read from the tables as in training, and kept: the same moments are found again and again.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cinescribe.describe.stretch import read_stretch
from cinescribe.errors import CinescribeError, MediaError, UsageError
from cinescribe.models import jsfusion_files
from cinescribe.models.frame_times import frame_times
from cinescribe.models.jsfusion_files import SavedJSFusion
from cinescribe.models.jsfusion_rerank import MOST, rerank
from cinescribe.search.query import Moment
from cinescribe.search.store import IndexedFilm

# In the order the model's score counts so much and the fusion's the rest, each in standard deviations over
# the moments that are scored. Chosen on a made world, see docs/search.md.
MODEL_SHARE = 0.25
_KEPT_BYTES = 256 * 2**20  # of features of moments


@dataclass(frozen=True, slots=True)
class Reordered:
    """Moments in their final order, and what the user should know of it ("" for nothing)."""

    moments: tuple[Moment, ...]
    note: str = ""


class Reranker:
    """Scores moments anew. Safe for many threads, which take turns.

    Args:
        root: folder or `s3://` prefix of the tables.
        folder: of a JSFusion that was trained for retrieval or choice.
        device: "cpu" or "cuda".

    Raises:
        CinescribeError: as of `load_scoring`.
    """

    def __init__(self, root: str, folder: Path, device: str = "cpu") -> None:
        self._root, self._saved = root, load_scoring(folder)
        self._saved.model.to(device)
        self._kept: OrderedDict[tuple[str, float, float], NDArray[np.float16]] = OrderedDict()
        self._bytes = 0
        self._computing, self._keeping = threading.Lock(), threading.Lock()

    def reorder(self, text: str, moments: Sequence[Moment], films: Mapping[str, IndexedFilm]) -> Reordered:
        """The first `MOST` moments in their order; behind them those without features, then the others.

        Args:
            text: the query, in words alone.
            moments: best first.
            films: of the index.
        """
        if not self._saved.vocabulary.ids(text, self._saved.model.config.words):
            return Reordered(tuple(moments), "the re-ranker knows none of these words: not re-ranked")
        first, rest = moments[:MOST], moments[MOST:]
        frames, damage = [], ""
        for moment in first:
            try:
                frames.append(self._frames(moment, films.get(moment.film_id)))
            except (CinescribeError, OSError, ValueError) as error:  # a damaged file of features
                frames.append(None)
                damage = damage or f"; those of {moment.film_id} can't be read ({error})"
        seen = [(moment, its) for moment, its in zip(first, frames, strict=True) if its is not None]
        lacking = [moment for moment, its in zip(first, frames, strict=True) if its is None]
        note = ""
        if lacking:
            names = " and ".join(self._saved.features)
            note = (
                f"{len(lacking)} of the first {len(first)} moments are not re-ranked and stay behind the "
                f"others: of their films there are no features {names}{damage}"
            )
        try:
            with self._computing:
                scored = rerank(self._saved, text, [its for _, its in seen])
        except UsageError as error:  # features that it was not trained on: searching goes on without it
            return Reordered(tuple(moments), f"not re-ranked: {error}")
        if not all(one.score is not None and np.isfinite(one.score) for one in scored):
            why = "the model's scores are not finite numbers; train it again"
            return Reordered(tuple(moments), f"not re-ranked: {why}")
        told = [replace(seen[one.found][0], reranked=one.score) for one in scored]
        return Reordered((*in_order(told), *lacking, *rest), note)

    def forget(self) -> None:
        """Read features anew from now on."""
        with self._keeping:
            self._kept.clear()
            self._bytes = 0

    def _frames(self, moment: Moment, film: IndexedFilm | None) -> NDArray[np.float16] | None:
        """The frames of a moment, as in training; None where its film has no such features."""
        key = (moment.film_id, moment.start, moment.end)
        with self._keeping:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = self._read(moment, film.duration if film else 0.0)
        if found is None:  # not kept: they may be extracted meanwhile
            return None
        with self._keeping:
            if key not in self._kept:
                self._kept[key] = found
                self._bytes += found.nbytes
            while self._bytes > _KEPT_BYTES:
                _, old = self._kept.popitem(last=False)
                self._bytes -= old.nbytes
        return found

    def _read(self, moment: Moment, duration: float) -> NDArray[np.float16] | None:
        end = min(moment.end, duration) if duration else moment.end
        start = min(moment.start, max(0.0, end - 1e-3))
        parts, times = [], np.zeros(0)
        for name in self._saved.features:
            try:
                found = read_stretch(self._root, name, moment.film_id, start, end, duration or end)
            except MediaError:  # a part of the moment was not extracted
                return None
            if found is None:
                return None
            if not len(times):
                rate = min(self._saved.hz, found.hz)
                times = frame_times(start, end, rate, self._saved.model.config.frames)
            numbers = np.round(found.times * found.hz).astype(np.int64)
            rows = np.searchsorted(numbers, (times * found.hz + 1e-6).astype(np.int64))
            parts.append(found.array[np.minimum(rows, len(numbers) - 1)])
        return np.nan_to_num(np.concatenate(parts, 1))


def load_scoring(folder: Path) -> SavedJSFusion:
    """A JSFusion that scores pairs.

    Raises:
        WeightsError: there is no JSFusion in the folder.
        UsageError: it fills in blanks.
    """
    saved = jsfusion_files.load(folder)
    if saved.model.config.outputs != 1:
        raise UsageError(
            f"{folder}: a JSFusion that fills in blanks; give one of `cinescribe train jsfusion-retrieval` "
            "or jsfusion-choice"
        )
    return saved


def in_order(moments: Sequence[Moment]) -> list[Moment]:
    """Re-ranked moments by `MODEL_SHARE` parts of the model's score and the rest of the fusion's."""
    ours = _standing_out([moment.reranked or 0.0 for moment in moments])
    theirs = _standing_out([moment.score for moment in moments])
    order = np.argsort(-(MODEL_SHARE * ours + (1 - MODEL_SHARE) * theirs), kind="stable")
    return [moments[k] for k in order]


def _standing_out(scores: Sequence[float]) -> NDArray[np.float64]:
    """Scores in standard deviations from their mean."""
    values = np.asarray(scores, np.float64)
    return (values - values.mean()) / max(float(values.std()), 1e-9) if len(values) else values
