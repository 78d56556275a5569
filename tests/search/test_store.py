"""The promises of the index: whole films, one writer at a time, readers that never see a half."""

import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cinescribe import storage
from cinescribe.errors import UsageError
from cinescribe.search import lock
from cinescribe.search.documents import as_column
from cinescribe.search.filters import literal
from cinescribe.search.store import FilmRows, IndexedFilm, IndexModel, Store, schema
from cinescribe.search.texts import PROBES
from tests.search.films import FILMS, generation, whole


def test_a_films_rows_take_the_place_of_its_old_ones_only(root: str) -> None:
    store = Store(root)
    assert store.films() == {}
    assert store.replace([generation(film_id, 1) for film_id in FILMS]) == len(FILMS)
    assert (
        store.replace([generation(FILMS[1], 6), generation(FILMS[2], 7)]) == 2
    )  # with more rows, with fewer
    assert whole(root) == {FILMS[0]: 1, FILMS[1]: 6, FILMS[2]: 7}
    assert {film_id: film.stamps["speech"] for film_id, film in store.films().items()} == {
        FILMS[0]: "1",
        FILMS[1]: "6",
        FILMS[2]: "7",
    }
    store.replace([FilmRows(IndexedFilm(FILMS[1], "", 0.0, {"speech": "none"}))])
    store.remove([FILMS[2]])
    assert whole(root) == {FILMS[0]: 1}
    assert store.films().keys() == {FILMS[0], FILMS[1]}


def test_what_is_indexed_from_the_same_is_not_written_again(root: str) -> None:
    store = Store(root)
    store.replace([generation("film", 1)])
    version = store.open("texts").version
    assert store.replace([generation("film", 1)]) == 0
    assert store.open("texts").version == version


def test_a_reader_keeps_what_it_opened_and_goes_on_when_it_wants(root: str) -> None:
    store = Store(root)
    store.replace([generation("film", 1)])
    table = store.open("texts")
    before = table.to_arrow().num_rows
    for number in (2, 3, 4):
        Store(root).replace([generation("film", number, rows=50)])
        Store(root).optimise()
    assert table.to_arrow().num_rows == before
    assert table.search("generation", query_type="fts").limit(100).to_arrow().num_rows == before
    table.checkout_latest()
    assert table.to_arrow().num_rows == 50


def test_two_writers_at_once_double_nothing(root: str) -> None:
    def write(writer: int) -> None:
        for number in range(3):
            Store(root).replace([generation(film_id, number + 1) for film_id in FILMS])
            Store(root).optimise()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(2)))
    assert whole(root).keys() == set(FILMS)


@pytest.mark.slow
def test_two_processes_write_at_once(tmp_path: Path) -> None:
    root = str(tmp_path)
    writers = [_writer(root, first) for first in (1, 1)]
    try:
        for writer in writers:
            _wait_for(writer, lines=3)
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    assert whole(root).keys() == set(FILMS)


@pytest.mark.slow
def test_killed_at_any_moment_it_holds_whole_films_and_goes_on(tmp_path: Path) -> None:
    root, chance = str(tmp_path), random.Random(0)
    for first in (1, 101, 201):
        writer = _writer(root, first)
        _wait_for(writer, lines=1)
        time.sleep(chance.uniform(0, 0.4))
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        assert whole(root).keys() == set(FILMS)
    Store(root).replace([generation(film_id, 9) for film_id in FILMS])
    Store(root).optimise()
    assert whole(root) == dict.fromkeys(FILMS, 9)
    found = Store(root).open("texts").search("generation", query_type="fts").limit(1000).to_arrow()
    assert found.num_rows == 3 * 22


def _writer(root: str, first: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.search.films", root, str(first)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def _wait_for(writer: "subprocess.Popen[str]", lines: int) -> None:
    assert writer.stdout is not None
    for _ in range(lines):
        assert writer.stdout.readline()


def test_a_full_disk_is_told_and_leaves_the_index_readable(tmp_path: Path) -> None:
    root = str(tmp_path)
    Store(root).replace([generation(film_id, 1) for film_id in FILMS])
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, kept[1]))  # no file may grow beyond: as if full
        with pytest.raises(UsageError, match="the disk is full; make room"):
            Store(root).replace([generation(FILMS[0], 2, rows=300)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
        signal.signal(signal.SIGXFSZ, handler)
    assert whole(root) == dict.fromkeys(FILMS, 1)
    Store(root).replace([generation(FILMS[0], 2, rows=300)])
    assert whole(root)[FILMS[0]] == 2


def test_other_encoders_vectors_are_not_mixed_in(tmp_path: Path) -> None:
    import pyarrow as pa

    store = Store(str(tmp_path))
    store.replace([generation("film", 1)])
    rows = generation("other", 1).rows["texts"].drop_columns("vector")
    vectors = pa.FixedSizeListArray.from_arrays(pa.array([0.1] * 8 * len(rows), pa.float16()), 8)
    field = pa.field("vector", vectors.type, nullable=False)
    rows = rows.append_column(field, vectors)
    with pytest.raises(UsageError, match="other encoders"):
        store.replace([FilmRows(IndexedFilm("other", "", 0.0, {}), {"texts": rows})])


def test_the_lock_lets_one_in_at_a_time(root: str) -> None:
    inside: list[int] = []
    most: list[int] = []

    def enter(number: int) -> None:
        with lock.writer_lock(storage.join(root, "index"), lease=5.0):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.05)
            inside.remove(number)

    threads = [threading.Thread(target=enter, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_a_lock_left_behind_on_s3_is_taken_over_and_a_living_one_is_not(bucket: str) -> None:
    uri = storage.join(bucket, "index")
    assert storage.write_if(storage.join(uri, "writer.lock"), b'{"owner": "somebody who died"}', "")
    with lock.writer_lock(uri, lease=1.0):
        other = threading.Event()

        def wait() -> None:
            with lock.writer_lock(uri, lease=1.0):
                other.set()

        thread = threading.Thread(target=wait)
        thread.start()
        assert not other.wait(2.5)  # longer than the lease: it is renewed while we live
    assert other.wait(10)
    thread.join()


def test_a_vector_index_finds_what_exact_search_finds(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.replace([generation(film_id, 1, rows=300) for film_id in FILMS])
    store.optimise(ann_from=500)
    store.replace([generation("later", 2, rows=50)])  # not in the vector index yet
    table = store.open("texts")
    assert "vector" in {column for index in table.list_indices() for column in index.columns}
    for film_id in (FILMS[1], "later"):
        where = f"film_id = {literal(film_id)}"
        row = table.search().where(where).limit(1).to_list()[0]
        search = table.search(row["vector"], vector_column_name="vector").distance_type("cosine")
        search = search.nprobes(PROBES).where(where, prefilter=True).limit(3)
        exact = search.bypass_vector_index().to_arrow()["_distance"].to_pylist()
        assert search.to_arrow()["_distance"].to_pylist() == pytest.approx(exact, abs=1e-3)
        assert search.to_arrow()["film_id"].to_pylist() == [film_id] * 3


def test_the_index_names_its_model_and_lets_go_of_another_s_vectors(root: str) -> None:
    store, one = Store(root), IndexModel("/runs/one", "1" * 16, 5.0)
    store.use_model(one, 4)
    columns = {
        "id": ["plain#0"], "film_id": ["plain"], "start": [0.0], "end": [5.0], "flags": [3],
        "vector": as_column(np.ones((1, 4), np.float16)),
    }  # fmt: skip
    film = IndexedFilm("plain", "", 60.0, {"speech": "1", "model": "x"})
    store.replace([FilmRows(film, {"model": pa.table(columns, schema("model", 4))})], one)
    before = store.open("model")
    assert store.model() == one

    store.use_model(replace(one, folder="/moved"), 4)
    assert store.model() == replace(one, folder="/moved")
    assert store.counts()["model"] == 1
    two = IndexModel("/runs/two", "2" * 16, 5.0)
    store.use_model(two, 8)
    assert (store.model(), store.counts()["model"]) == (two, 0)
    assert store.films()["plain"].stamps == {"speech": "1"}  # its rows went, so they are to be made again
    late = IndexedFilm("plain", "", 60.0, {"speech": "2", "model": "x"})
    store.replace([FilmRows(late, {"model": pa.table(columns, schema("model", 4))})], one)
    assert store.counts()["model"] == 0  # a run with the model that was there before
    assert store.films()["plain"].stamps == {"speech": "2"}
    assert before.count_rows() == 1  # whoever has it open reads on
    store.forget_model()
    assert store.model() is None
    assert store.films()["plain"].stamps == {"speech": "2"}
