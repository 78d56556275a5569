"""A user's filters as conditions that the store evaluates before it ranks."""

import math
from collections.abc import Sequence
from typing import get_args

from cinescribe.errors import UsageError
from cinescribe.search.query import SOURCES, Filters, Role

ROLES: tuple[str, ...] = get_args(Role)


def literal(text: str) -> str:
    """A string as a literal of the store's SQL: quotes are doubled, nothing else has a meaning in it."""
    return "'" + text.replace("'", "''") + "'"


def check(filters: Filters) -> None:
    """Raise UsageError on filters that can't be meant."""
    for name, seconds in (("from", filters.start), ("to", filters.end)):
        if seconds is not None and not math.isfinite(seconds):
            raise UsageError(f"the time {name!r} is {seconds}; give seconds")
    if filters.start is not None and filters.end is not None and filters.end <= filters.start:
        raise UsageError(f"the time from {filters.start:g} s to {filters.end:g} s is empty")
    for what, given, known in (("role", filters.roles, ROLES), ("source", filters.sources, SOURCES)):
        for name in given:
            if name not in known:
                raise UsageError(f"no {what} {name!r}; there are: {', '.join(known)}")


def condition(filters: Filters, *, spoken: bool, source: str = "") -> str:
    """The rows of a table that may be found, as SQL; "" for all.

    Args:
        filters: checked ones.
        spoken: the table has speakers and roles.
        source: only rows of this source; "" for any.
    """
    parts = [among("film_id", filters.films)]
    if filters.start is not None:
        parts.append(f'("end" > {filters.start!r} OR start >= {filters.start!r})')
    if filters.end is not None:
        parts.append(f"start < {filters.end!r}")
    if spoken:
        parts += [among("speaker", filters.speakers), among("role", filters.roles)]
        parts.append(among("source", (source,) if source else ()))
    return " AND ".join(part for part in parts if part)


def among(column: str, values: Sequence[str]) -> str:
    """That a column has one of the values; "" where there are none."""
    return f"{column} IN ({', '.join(map(literal, values))})" if values else ""
