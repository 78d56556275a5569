"""What the simulation of scheduling reckons with: the lengths of films, their order, what a schedule lost."""

import pytest

from benchmarks.scheduling_chunks import extraction
from benchmarks.scheduling_films import HOURS, MOVIES, film_seconds, make_films, measured_costs
from benchmarks.scheduling_law import (
    busy_share,
    ideal_seconds,
    listed_seconds,
    middle_gap,
    two_stages_seconds,
)
from pipelines.plan import Unit
from pipelines.units import board


def test_films_are_as_many_and_as_long_as_the_set() -> None:
    seconds = film_seconds(MOVIES, seed=0)
    assert sum(seconds) / 3600 == pytest.approx(HOURS, rel=0.01)
    assert 3600 <= min(seconds) <= max(seconds) <= 3 * 3600
    assert seconds == film_seconds(MOVIES, seed=0) != film_seconds(MOVIES, seed=1)


def test_the_chunks_of_a_film_are_worth_the_film() -> None:
    (film,) = make_films(1, seed=0)
    costs = measured_costs(600.0)
    whole, _ = costs.of(board(Unit(film, ("speech",))), "speech")
    chunks = [costs.of(board(Unit(film, ("features/objects",), n)), "chunks") for n in range(20)]
    assert sum(seconds for seconds, _ in chunks) == pytest.approx(whole)
    assert sum(cost for _, cost in chunks) == pytest.approx(whole * costs.features, rel=0.2)


def test_the_longest_unit_last_waits_for_it_alone() -> None:
    assert listed_seconds([1, 1, 1, 1, 4], workers=2) == 6
    assert listed_seconds([4, 1, 1, 1, 1], workers=2) == 4 == ideal_seconds([1, 1, 1, 1, 4], workers=2)
    assert ideal_seconds([1, 1, 9], workers=3) == 9  # no two workers share a unit


def test_workers_wait_for_films_that_nobody_looked_at() -> None:
    films = [1.0] * 8
    assert two_stages_seconds(films, films, lookers=8, workers=8) == 2
    assert two_stages_seconds(films, films, lookers=1, workers=8) == 9  # one after the other, then the last
    assert two_stages_seconds([0.0] * 8, films, lookers=1, workers=2) == listed_seconds(films, 2)


def test_a_film_is_fetched_by_each_machine_that_has_a_chunk_of_it() -> None:
    films = [600.0] * 4
    apart, whole = (extraction(films, length, machines=4, cores=1) for length in (60.0, 600.0))
    assert (apart.units, whole.units) == (40, 4)
    assert whole.fetches == 4
    assert apart.fetches == 16  # every machine needs every film
    assert apart.hours == pytest.approx(apart.ideal) == pytest.approx(whole.hours)


def test_what_a_schedule_lost() -> None:
    naps = [(0.0, 2.0, "a"), (2.5, 4.0, "a"), (0.0, 1.0, "b"), (1.5, 3.0, "b")]
    assert busy_share(naps, workers=2, seconds=4.0) == pytest.approx(6 / 8)
    assert middle_gap(naps) == pytest.approx(0.5)
    assert middle_gap([]) == 0.0
