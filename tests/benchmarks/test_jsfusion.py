"""The benchmark of JSFusion's table: both ways give one table, and stop when their time is up."""

import pytest

from benchmarks.jsfusion import Settings, chunked, naive


def test_both_ways_score_the_whole_table_alike() -> None:
    settings = Settings(size=3, seconds=600, scale=32, cells=1000, device="cpu")
    one, other = naive(settings), chunked(settings)
    assert one.pairs == other.pairs == 9
    assert one.operations == one.whole
    assert other.operations == other.whole < one.whole  # the encoders' work is shared
    assert other.scores == pytest.approx(one.scores[:3], rel=1e-3, abs=1e-5)


def test_a_way_that_takes_too_long_is_stopped() -> None:
    settings = Settings(size=3, seconds=0, scale=32, cells=1, device="cpu")
    found = chunked(settings)
    assert found.pairs == 1
    assert found.operations < found.whole
