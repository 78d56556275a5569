"""The features of a stretch of one film, from the chunks it lies in and no others."""

import math

import numpy as np
import pyarrow as pa

from cinescribe import storage, tables
from cinescribe.errors import MediaError
from cinescribe.tables import FEATURES, Features

_EDGE = 1e-6  # seconds by which a time may lie beside the chunk it is of, for it was rounded
_REACH = 3.0  # seconds: a film's end may be too short for a feature, as they reach at most so far


def read_stretch(
    root: str, encoder: str, film_id: str, start: float, end: float, duration: float
) -> Features | None:
    """The features that stand for [start, end) seconds of a film; the last one before it where it holds none.

    The chunks are read by their names: no table is listed, and no other film's file is opened.

    Args:
        root: folder or `s3://` prefix of the tables.
        encoder: its name, as in `features/<encoder>`.
        film_id: of the film.
        start, end: seconds, 0 <= start < end <= duration.
        duration: of the film, seconds.

    Returns:
        Without holes; None when the film has no features of that encoder, or not those of its beginning.

    Raises:
        MediaError: "missing", when a part of the stretch was not extracted.
        UsageError: a file is none of the table's.
    """
    opening = _chunk(root, encoder, film_id, 0)
    if opening is None:
        return None
    length = float(opening["end"][0].as_py() - opening["start"][0].as_py())
    hz = float(opening["hz"][0].as_py())
    first = int(start * hz)
    stop = max(first + 1, math.ceil(end * hz))
    number = math.floor((first / hz + _EDGE) / length)
    last = max(number, math.floor(((stop - 1) / hz + _EDGE) / length))
    parts = []
    for chunk in range(number, last + 1):
        part = opening if chunk == 0 else _chunk(root, encoder, film_id, chunk)
        if part is not None:
            parts.append(part)
        elif duration - chunk * length > _REACH + 1 / hz:
            raise _missing(encoder, film_id, start, end)
    while not parts:  # only the film's end was asked for, where there is no feature any more
        number -= 1
        part = opening if number == 0 else _chunk(root, encoder, film_id, number)
        if part is None:
            raise _missing(encoder, film_id, start, end)
        parts.append(part)
    found = tables.features_of(parts)
    rows = np.round(found.times * hz).astype(np.int64)
    chosen = np.flatnonzero((rows >= first) & (rows < stop))
    if not len(chosen):
        chosen = np.array([max(0, int(np.searchsorted(rows, first)) - 1)])
    return Features(hz, found.times[chosen], found.array[chosen], found.etag, found.weights)


def _missing(encoder: str, film_id: str, start: float, end: float) -> MediaError:
    return MediaError(
        "missing",
        f"features/{encoder} of {film_id}: a part of {start:g} to {end:g} s was not extracted; "
        "run `cinescribe extract` again",
    )


def _chunk(root: str, encoder: str, film_id: str, number: int) -> pa.Table | None:
    """The row of a chunk as a table of one row, or None."""
    table = FEATURES + encoder
    tables.schema_of(table)  # a name that leads out of the folder is no table
    address = storage.join(root, table, tables.file_name(film_id, number))
    try:
        return tables.read_part(address)
    except FileNotFoundError:
        return None
