"""What of a film is described: its shots, joined or cut to sensible lengths, or intervals from a file."""

import csv
import io
import math
from collections.abc import Sequence
from itertools import pairwise

from cinescribe import storage
from cinescribe.describe.placement import Span
from cinescribe.errors import UsageError


def merge_shots(shots: Sequence[Span], shortest: float = 3.0, longest: float = 12.0) -> list[Span]:
    """Intervals to describe: shots joined until they last `shortest` seconds; longer ones than `longest` are
    cut into equal parts.

    Args:
        shots: tile the film, in order.
        shortest, longest: seconds.
    """
    if not 0 < shortest <= longest:
        raise UsageError(f"intervals of {shortest:g} to {longest:g} s: give 0 < shortest <= longest")
    joined: list[Span] = []
    for start, end in shots:
        if joined and joined[-1][1] - joined[-1][0] < shortest:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    if len(joined) > 1 and joined[-1][1] - joined[-1][0] < shortest:
        (start, _), (_, end) = joined[-2:]
        joined[-2:] = [(start, end)]
    found = []
    for start, end in joined:
        parts = max(1, math.ceil((end - start) / longest - 1e-9))
        edges = [start + (end - start) * n / parts for n in range(parts)] + [end]
        found += list(pairwise(edges))
    return found


def read_intervals(address: str) -> dict[str, list[Span]]:
    """Intervals by film, in order, from a CSV file with the columns film_id, start and end (seconds).

    Args:
        address: a local path or `s3://`.

    Raises:
        UsageError: it isn't there, lacks a column, or a row has no times 0 <= start < end.
    """
    found: dict[str, list[Span]] = {}
    try:
        table = csv.DictReader(io.StringIO(storage.read_bytes(address).decode("utf-8-sig")))
        for number, row in enumerate(table, 2):
            try:
                start, end = float(row["start"]), float(row["end"])
                if not 0 <= start < end < math.inf:
                    raise ValueError("not 0 <= start < end")
                if row["film_id"] is None:
                    raise ValueError("no film_id")
                found.setdefault(row["film_id"], []).append((start, end))
            except (KeyError, ValueError, TypeError) as error:
                raise UsageError(
                    f"{address}, line {number}: needs the columns film_id, start and end, times in seconds "
                    f"with 0 <= start < end ({error})"
                ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{address}: can't be read ({error}); give a CSV file in UTF-8") from error
    if not found:
        raise UsageError(f"{address}: holds no interval; give rows of film_id, start, end")
    return {film: sorted(set(spans)) for film, spans in found.items()}
