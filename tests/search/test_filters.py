"""Filters are what they say, whatever the user's strings hold."""

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cinescribe.errors import UsageError
from cinescribe.search import filters
from cinescribe.search.query import Filters
from cinescribe.search.store import FilmRows, IndexedFilm, Store
from tests.search.films import generation

STRINGS = [
    "it's",
    "'' OR 1=1 --",
    "100%",
    "a_b",
    '"quoted"',
    "ü ß 漢字 🎬",
    "back\\slash",
    "",
    "%",
    "null",
    "a\nb",
]
TIMES = (-1.0, 0.0, 0.9, 1e-7, 3.0, 5.95, 1e9)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[dict[str, Any]]]:
    """A real table whose films and speakers have awkward names, and its rows."""
    root, films = str(tmp_path_factory.mktemp("index")), []
    for film_id in STRINGS:
        made = generation(film_id, 0).rows["texts"]
        speakers = [STRINGS[k % len(STRINGS)] for k in range(len(made))]
        at = made.schema.get_field_index("speaker")
        made = made.set_column(at, made.schema.field("speaker"), [speakers])
        films.append(FilmRows(IndexedFilm(film_id, "", 0.0, {}), {"texts": made}))
    Store(root).replace(films)
    table = Store(root).open("texts")
    return table, table.to_arrow().to_pylist()


@given(
    films=st.lists(st.sampled_from(STRINGS) | st.text(max_size=8), max_size=3),
    speakers=st.lists(st.sampled_from(STRINGS) | st.text(max_size=8), max_size=3),
    roles=st.lists(st.sampled_from(filters.ROLES), max_size=2),
    start=st.none() | st.sampled_from(TIMES),
    end=st.none() | st.sampled_from(TIMES),
)
@example(films=["it's"], speakers=["'' OR 1=1 --"], roles=["dialogue"], start=0.0, end=1e9)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_store_finds_the_rows_that_python_finds(
    rows: tuple[Any, list[dict[str, Any]]],
    films: list[str],
    speakers: list[str],
    roles: list[str],
    start: float | None,
    end: float | None,
) -> None:
    table, every = rows
    asked = Filters(tuple(films), start, end, tuple(speakers), tuple(roles))
    right = [
        row["id"]
        for row in every
        if (not films or row["film_id"] in films)
        and (not speakers or row["speaker"] in speakers)
        and (not roles or row["role"] in roles)
        and (start is None or row["end"] > start)
        and (end is None or row["start"] < end)
    ]
    search = table.search()
    if where := filters.condition(asked, spoken=True):
        search = search.where(where)
    found = search.select(["id"]).limit(10_000).to_arrow()["id"].to_pylist()
    assert sorted(found) == sorted(right)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Filters(start=float("nan")), "give seconds"),
        (Filters(end=float("inf")), "give seconds"),
        (Filters(start=5.0, end=5.0), "is empty"),
        (Filters(roles=("director",)), "no role 'director'; there are: narrator"),
        (Filters(sources=("smell",)), "no source 'smell'; there are: speech"),  # type: ignore[arg-type]
    ],
)
def test_filters_that_cannot_be_meant_are_told(asked: Filters, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        filters.check(asked)
