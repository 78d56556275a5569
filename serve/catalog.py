"""The films of the tables: the only ones there are for a client."""

import bisect
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from cinescribe import storage, tables
from cinescribe.errors import CinescribeError
from serve import log

_SPEECH_KEPT = 64  # films whose speech is kept in memory


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of the list of films.

    Attributes:
        rows: rows of the `films` table, by film_id.
        next: what to give as `after` for the following page; None on the last.
    """

    rows: list[tables.Row]
    next: str | None


class Catalog:
    """Films by id, read from the tables under `root` and looked at again every `refresh_seconds`.

    Safe to be used by several threads.
    """

    def __init__(self, root: str, refresh_seconds: float) -> None:
        self._root, self._refresh = root, refresh_seconds
        self._lock = threading.Lock()
        self._rows: Mapping[str, tables.Row] = {}
        self._ids: list[str] = []
        self._read = -float("inf")
        self._seen: frozenset[tuple[str, Any]] = frozenset()
        self._roles: dict[str, tuple[float, tuple[str, frozenset[str]]]] = {}
        self._speech: dict[str, tuple[float, tables.Row | None]] = {}

    def film(self, film_id: str) -> tables.Row | None:
        """The row of a film, or None."""
        self._renew()
        return self._rows.get(film_id)

    def page(self, limit: int, after: str | None, query: str) -> Page:
        """Films whose id holds `query`, whatever its case, by id, from behind `after` on."""
        self._renew()
        ids, rows = self._ids, self._rows
        start = 0 if after is None else bisect.bisect_right(ids, after)
        wanted = query.casefold()
        found: list[str] = []
        for film_id in ids[start:]:
            if wanted in film_id.casefold():
                found.append(film_id)
                if len(found) > limit:
                    break
        more = len(found) > limit
        chosen = found[:limit]
        return Page([rows[film_id] for film_id in chosen], chosen[-1] if more else None)

    def speech(self, film_id: str) -> tables.Row | None:
        """The row of a film in `speech`, or None while it has none."""
        now = time.monotonic()
        with self._lock:
            kept = self._speech.get(film_id)
            if kept and now - kept[0] < self._refresh:
                return kept[1]
        try:
            row = tables.read_row(self._root, "speech", film_id)
        except (pa.ArrowException, OSError) as error:  # a damaged row is not to hide the whole library
            log.line("speech-unreadable", film_id=film_id, message=str(error))
            row = kept[1] if kept else None
        with self._lock:
            self._speech.pop(film_id, None)
            self._speech[film_id] = (now, row)
            while len(self._speech) > _SPEECH_KEPT:
                self._speech.pop(next(iter(self._speech)))
        return row

    def roles(self, film_id: str) -> tuple[str, frozenset[str]]:
        """The language of a film's speech and the roles in which is spoken; empty while nothing is known."""
        now = time.monotonic()
        kept = self._roles.get(film_id)
        if kept is None or now - kept[0] > 6 * self._refresh:
            row = self.speech(film_id)
            roles = frozenset(one["role"] for one in row["utterances"]) if row else frozenset()
            kept = now, (row["language"] if row else "", roles)
            self._roles[film_id] = kept
        return kept[1]

    def __len__(self) -> int:
        self._renew()
        return len(self._rows)

    def _renew(self) -> None:
        if time.monotonic() - self._read < self._refresh:
            return
        with self._lock:
            if time.monotonic() - self._read < self._refresh:
                return
            try:
                self._read_anew()
            except (CinescribeError, OSError) as error:
                if not self._rows:
                    raise
                log.line("refresh-failed", message=str(error))  # what was read before goes on being served
            self._read = time.monotonic()

    def _read_anew(self) -> None:
        seen = _versions(self._root)
        if seen != self._seen or not seen:
            rows = {row["film_id"]: row for row in tables.read_table(self._root, "films").to_pylist()}
            self._rows, self._ids, self._seen = rows, sorted(rows), seen


def _versions(root: str) -> frozenset[tuple[str, Any]]:
    """What tells one state of the `films` table from another; one listing, no file is opened."""
    folder = storage.join(root, "films")
    if storage.is_s3(folder):
        return frozenset((name, None) for name in tables.written_names(root, "films"))
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return frozenset()
    return frozenset(
        (entry.name, (entry.stat().st_mtime_ns, entry.stat().st_ino))
        for entry in entries
        if entry.name.endswith(".parquet") and not entry.name.startswith(".")
    )
