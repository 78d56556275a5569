"""Hits become moments: disjoint, holding their evidence, with shares that add up to the score."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinescribe.search import fusion
from cinescribe.search.fusion import Hit
from cinescribe.search.query import SOURCES, Moment

ALL = SOURCES


def hit(source: str, start: float, end: float, relevance: float, film: str = "film") -> Hit:
    return Hit(source, film, start, end, "text", "", "", relevance, relevance)  # type: ignore[arg-type]


hits = st.lists(
    st.builds(
        lambda source, start, length, relevance, film: hit(source, start, start + length, relevance, film),
        st.sampled_from(SOURCES),
        st.floats(0, 120),
        st.floats(0, 40),
        st.floats(0, 1),
        st.sampled_from(["a", "b"]),
    ),
    max_size=60,
)


@given(hits)
def test_every_hit_is_evidence_of_one_moment_that_it_touches(found: list[Hit]) -> None:
    moments = fusion.moments(found, ALL, 1000)
    told = sorted((m.film_id, e.source, e.start, e.end, e.similarity) for m in moments for e in m.why)
    assert told == sorted((h.film_id, h.source, h.start, h.end, h.similarity) for h in found)
    for moment in moments:
        for evidence in moment.why:
            assert evidence.start < moment.end
            assert max(evidence.end, evidence.start + 0.001) > moment.start


@given(hits)
def test_the_moments_of_a_film_are_disjoint_and_not_long(found: list[Hit]) -> None:
    films: dict[str, list[Moment]] = {}
    for moment in fusion.moments(found, ALL, 1000):
        films.setdefault(moment.film_id, []).append(moment)
        longest = max(evidence.end - evidence.start for evidence in moment.why)
        assert 0 < moment.end - moment.start <= max(fusion.LONGEST, longest) + 1e-9
    for moments in films.values():
        moments.sort(key=lambda m: m.start)
        for one, following in itertools.pairwise(moments):
            assert one.end <= following.start


@given(hits)
def test_shares_add_up_to_the_score_and_the_best_come_first(found: list[Hit]) -> None:
    moments = fusion.moments(found, ALL, 1000)
    for moment in moments:
        assert math.isclose(sum(e.share for e in moment.why), moment.score, abs_tol=1e-12)
        assert 0 <= moment.score <= 1 + 1e-9
        assert moment.why[0].share == max(e.share for e in moment.why)
    assert [m.score for m in moments] == sorted((m.score for m in moments), reverse=True)
    assert fusion.moments(found, ALL, 3) == moments[:3]


@given(hits)
def test_ranks_count_the_hits_of_each_source(found: list[Hit]) -> None:
    evidence = [e for moment in fusion.moments(found, ALL, 1000) for e in moment.why]
    for source in SOURCES:
        ranks = sorted(e.rank for e in evidence if e.source == source)
        assert ranks == list(range(1, len(ranks) + 1))


def test_neighbours_that_are_as_good_become_one_moment() -> None:
    (moment,) = fusion.moments([hit("speech", 10, 12, 0.8), hit("speech", 13, 15, 0.7)], ("speech",), 5)
    assert (moment.start, moment.end, moment.score) == (10, 15, pytest.approx(0.8))
    assert [e.share for e in moment.why] == [pytest.approx(0.8), 0.0]


def test_weak_neighbours_and_distant_ones_stay_apart() -> None:
    found = [hit("speech", 10, 12, 0.8), hit("speech", 13, 15, 0.3), hit("speech", 40, 42, 0.8)]
    assert [(m.start, m.end) for m in fusion.moments(found, ("speech",), 5)] == [(10, 12), (40, 42), (13, 15)]


def test_what_two_sources_say_counts_twice() -> None:
    found = [hit("description", 10, 14, 0.6), hit("visual", 11, 13, 0.6), hit("description", 50, 54, 0.7)]
    best, second = fusion.moments(found, ("description", "visual"), 5)
    assert (best.start, best.end, best.score) == (10, 14, pytest.approx(0.6))
    assert second.score == pytest.approx(0.35)


def test_a_scene_full_of_hits_is_cut_into_moments() -> None:
    found = [hit("speech", k * 3, k * 3 + 2.9, 0.5) for k in range(40)]
    moments = fusion.moments(found, ("speech",), 100)
    assert all(m.end - m.start <= fusion.LONGEST for m in moments)
    assert len(moments) >= 4
