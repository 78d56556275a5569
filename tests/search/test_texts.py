"""Which rows of the texts are candidates, and with what relevance; vectors are made up, the index is real."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cinescribe.search.query import Query
from cinescribe.search.store import TEXT_DIM, FilmRows, IndexedFilm, Store, schema
from cinescribe.search.texts import MEANING, TextSearch

ASKED, OTHER = np.eye(2, TEXT_DIM, dtype=np.float16)  # the query's vector, and one with nothing in common
SHORT, LONG = "a lamp", "a lamp that stands on the table of the kitchen since years"
Row = tuple[str, np.ndarray]


def search_of(folder: Path, rows: Iterable[Row]) -> TextSearch:
    columns = [
        {
            "id": f"film#{k:04}",
            "film_id": "film",
            "start": 9.0 * k,
            "end": 9.0 * k + 5,
            "source": "description",
            "role": "narrator",
            "speaker": "",
            "text": text,
            "vector": vector,
        }
        for k, (text, vector) in enumerate(rows)
    ]
    store = Store(str(folder))
    table = pa.Table.from_pylist(columns, schema("texts"))
    store.replace([FilmRows(IndexedFilm("film", "", 1e4, {}), {"texts": table})])
    store.optimise()
    return TextSearch(store.open("texts"))


def found(search: TextSearch) -> list[tuple[str, float]]:
    """Text and relevance of the hits for "lamp"; at most 100 of each kind are looked at."""
    hits = search.hits("lamp", ASKED, (), Query("lamp", limit=20), "description")
    return [(hit.text, hit.relevance) for hit in hits]


def test_a_row_near_in_meaning_has_its_words_counted_behind_a_hundred_better_ones(tmp_path: Path) -> None:
    rows = [(SHORT, OTHER)] * 150 + [("nothing like it", OTHER)] * 1000  # a word in all rows would say little
    rows += [(LONG, ASKED), ("nothing of it", ASKED)]
    told = dict(found(search_of(tmp_path, rows)))
    assert told["nothing of it"] == pytest.approx(MEANING)
    assert told[LONG] > MEANING + 0.005
    assert told[LONG] - MEANING < told[SHORT]  # by its words alone it is worse: it is longer


def test_of_equally_good_rows_that_are_too_many_none_is_preferred(tmp_path: Path) -> None:
    rows = [(LONG, OTHER)] * 200 + [(SHORT, OTHER)] * 10 + [("nothing of it", ASKED)] * 120
    for name, order in (("one", rows), ("other", rows[::-1])):
        texts = [text for text, _ in found(search_of(tmp_path / name, order))]
        assert (texts.count(SHORT), texts.count(LONG)) == (10, 0)


def test_a_word_in_too_many_equally_good_rows_is_still_found(tmp_path: Path) -> None:
    rows = [(SHORT, OTHER)] * 200 + [("nothing of it", ASKED)] * 120
    assert [text for text, _ in found(search_of(tmp_path, rows))].count(SHORT) == 100
