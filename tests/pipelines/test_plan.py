from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cinescribe import storage, tables
from cinescribe.errors import UsageError
from cinescribe.media.library import FilmRef
from pipelines.plan import make_plan, settings_of, standing

STAGES = ("films", "speech")
A, B = FilmRef("a", "/in/a.mp4", 10, "1"), FilmRef("b", "/in/b.mp4", 20, "1")


def plan(
    out: Path, films: Sequence[FilmRef], settings: object = 1, retry_failed: bool = False
) -> dict[str, tuple[str, ...]]:
    units = make_plan(
        str(out),
        "test",
        films,
        STAGES,
        settings={"setting": settings},
        files_of=lambda film_id: [f"{out}/files/{film_id}.vtt"],
        retry_failed=retry_failed,
    )
    return {unit.film.film_id: unit.todo for unit in units}


def do(out: Path, film: FilmRef, *stages: str) -> None:
    for stage in stages:
        storage.write_bytes(f"{out}/{stage}/{tables.file_name(film.film_id)}", b"")


def fail(out: Path, film: FilmRef, stage: str) -> None:
    row = tables.error_row(film.film_id, stage, "empty", "why")
    tables.write_row(str(out), "errors", tables.error_key(stage, film.film_id), row)


def test_a_plan_is_what_is_missing_the_largest_first(tmp_path: Path) -> None:
    assert list(plan(tmp_path, [A, B]).items()) == [("b", STAGES), ("a", STAGES)]
    do(tmp_path, A, "films")
    do(tmp_path, B, "films", "speech")
    assert plan(tmp_path, [A, B]) == {"a": ("speech",)}


def test_a_failed_film_stays_failed_until_it_is_asked_for(tmp_path: Path) -> None:
    do(tmp_path, B, "films")
    fail(tmp_path, A, "films")
    fail(tmp_path, B, "speech")
    assert plan(tmp_path, [A, B]) == {}
    stands = standing(str(tmp_path), [A, B], STAGES)
    assert (stands["films"].done, stands["films"].failed) == ({"b"}, {"a"})
    assert (stands["speech"].planned, stands["speech"].failed) == ({"b"}, {"b"})
    assert plan(tmp_path, [A, B], retry_failed=True) == {"a": STAGES, "b": ("speech",)}
    assert tables.read_table(str(tmp_path), "errors").num_rows == 0


def test_an_error_of_a_film_that_was_done_after_all_is_taken_back(tmp_path: Path) -> None:
    do(tmp_path, A, "films", "speech")
    fail(tmp_path, A, "speech")
    assert plan(tmp_path, [A]) == {}
    assert tables.read_table(str(tmp_path), "errors").num_rows == 0


def test_a_changed_film_is_done_again_and_only_that(tmp_path: Path) -> None:
    plan(tmp_path, [A, B])
    for film in (A, B):
        do(tmp_path, film, *STAGES)
        storage.write_bytes(f"{tmp_path}/files/{film.film_id}.vtt", b"")
    assert plan(tmp_path, [A, replace(B, etag="2")]) == {"b": STAGES}
    assert storage.list_names(f"{tmp_path}/files") == {"a.vtt"}


def test_a_change_is_seen_again_when_the_run_that_saw_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(tmp_path, [A])
    do(tmp_path, A, *STAGES)
    changed = replace(A, etag="2")
    delete = tables.delete_row

    def stop_after_films(root: str, table: str, key: str) -> None:
        if table == "speech":
            raise KeyboardInterrupt
        delete(root, table, key)

    with monkeypatch.context() as patch:
        patch.setattr(tables, "delete_row", stop_after_films)
        with pytest.raises(KeyboardInterrupt):
            plan(tmp_path, [changed])
    assert plan(tmp_path, [changed]) == {"a": STAGES}


def test_films_that_are_not_asked_for_are_remembered(tmp_path: Path) -> None:
    plan(tmp_path, [A, B])
    do(tmp_path, A, *STAGES)
    do(tmp_path, B, *STAGES)
    assert plan(tmp_path, [A]) == {}
    assert plan(tmp_path, [replace(B, etag="2")]) == {"b": STAGES}


def test_a_film_that_moved_is_not_done_again_but_another_of_its_name_is_refused(tmp_path: Path) -> None:
    plan(tmp_path, [A])
    do(tmp_path, A, *STAGES)
    assert plan(tmp_path, [replace(A, uri="/new/a.mp4")]) == {}
    with pytest.raises(UsageError, match=r"/other/a\.mp4.*named 'a' \(/new/a\.mp4\).*--out"):
        plan(tmp_path, [replace(A, uri="/other/a.mp4", etag="2")])
    assert tables.written_names(str(tmp_path), "speech")


def test_rows_of_different_settings_are_not_mixed(tmp_path: Path) -> None:
    plan(tmp_path, [A], settings="tiny.en")
    with pytest.raises(UsageError, match=r"setting 'tiny.en', now 'small'.*--out"):
        plan(tmp_path, [A], settings="small")


def test_two_runs_that_plan_at_once_forget_nothing_of_each_other(tmp_path: Path) -> None:
    films = [FilmRef(f"film {k}", f"/films/{k}.mp4", 1, "1") for k in range(8)]

    def grow(film: FilmRef) -> None:
        make_plan(
            str(tmp_path), "extract", [film], ("films",), settings={film.film_id: 1}, settings_grow=True
        )

    with ThreadPoolExecutor(len(films)) as pool:
        list(pool.map(grow, films))
    assert settings_of(str(tmp_path), "extract") == {film.film_id: 1 for film in films}
    planned = pq.read_table(tmp_path / "plan" / "extract.parquet")["film_id"].to_pylist()
    assert planned == [film.film_id for film in films]
