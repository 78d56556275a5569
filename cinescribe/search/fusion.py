"""From hits of single sources to moments: how strong a hit is, and which hits belong together.

The shares of a moment add up to its score: of each source its best hit there counts, the further ones are
told with a share of 0, so that a scene in which much is said does not win by its length.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from cinescribe.search.query import Evidence, Moment, Source

GAP = 2.0  # seconds between hits of one moment
LONGEST = 30.0  # seconds of a moment, unless one hit alone is longer
SUPPORT = 0.5  # of the moment's best share, from which on a hit makes the moment longer
_SHORTEST = 0.001  # seconds; a hit without length is still somewhere

# What a hit of each source is worth when it could not be better. Chosen, not measured: visual words are a
# vocabulary of fixed classes and often wrong, and so are generated descriptions. The trained model's was
# chosen on a made world, see docs/search.md.
WEIGHTS: Mapping[Source, float] = {
    "speech": 1.0,
    "description": 1.0,
    "generated": 0.5,
    "visual": 1.0,
    "words": 0.5,
    "model": 0.5,
}


@dataclass(frozen=True, slots=True)
class Hit:
    """One row of the index that answers a query.

    Attributes:
        relevance: in [0, 1], comparable between sources.
        similarity: as the source measures it.
        matched: the query's words in it.
    """

    source: Source
    film_id: str
    start: float
    end: float
    text: str
    speaker: str
    role: str
    similarity: float
    relevance: float
    matched: tuple[str, ...] = ()


class _Growing:
    """A moment while hits come in, the strongest first."""

    def __init__(self, start: float, end: float, best: float) -> None:
        self.start, self.end, self.best = start, end, best
        self.evidence: list[Evidence] = []

    def add(self, evidence: Evidence) -> None:
        counted = any(other.source == evidence.source for other in self.evidence)
        self.evidence.append(replace(evidence, share=0.0) if counted else evidence)


def moments(hits: Iterable[Hit], searched: Sequence[Source], limit: int) -> tuple[Moment, ...]:
    """The best moments of these hits, best first.

    Hits of a film are taken from the strongest on. One that overlaps a moment, or is within GAP seconds of
    it and at least SUPPORT of its strength, joins it; the moment grows to hold it when it is that strong,
    stays within LONGEST seconds and does not run into another moment. So the moments of a film are disjoint.

    Args:
        hits: of all sources.
        searched: the sources that were asked; their weights are scaled to add up to 1.
        limit: most moments.
    """
    films: dict[str, list[_Growing]] = {}
    for film_id, evidence in _ranked(hits, searched):
        _place(films.setdefault(film_id, []), evidence)
    found = [
        Moment(film_id, m.start, m.end, sum(e.share for e in m.evidence), tuple(m.evidence))
        for film_id, growing in films.items()
        for m in growing
    ]
    return tuple(sorted(found, key=lambda m: (-m.score, m.film_id, m.start))[:limit])


def _ranked(hits: Iterable[Hit], searched: Sequence[Source]) -> list[tuple[str, Evidence]]:
    """The hits with their ranks and shares, the strongest first."""
    total = sum(WEIGHTS[source] for source in searched)
    counts: dict[Source, int] = {}
    ranked = []
    for hit in sorted(hits, key=lambda h: (-h.relevance, -h.similarity, h.film_id, h.start)):
        counts[hit.source] = counts.get(hit.source, 0) + 1
        evidence = Evidence(
            source=hit.source,
            start=hit.start,
            end=hit.end,
            text=hit.text,
            speaker=hit.speaker,
            role=hit.role,
            rank=counts[hit.source],
            similarity=hit.similarity,
            share=WEIGHTS[hit.source] / total * hit.relevance,
            matched=hit.matched,
        )
        ranked.append((hit.film_id, evidence))
    return sorted(ranked, key=lambda pair: -pair[1].share)


def _place(growing: list[_Growing], evidence: Evidence) -> None:
    """Put evidence into the moment of its film where it belongs, or into one of its own."""
    start, end = evidence.start, max(evidence.end, evidence.start + _SHORTEST)
    near = [m for m in growing if _distance(m, start, end) <= GAP]
    for moment in sorted(near, key=lambda m: _distance(m, start, end)):
        left, right = min(moment.start, start), max(moment.end, end)
        grows = (
            evidence.share >= SUPPORT * moment.best
            and right - left <= max(LONGEST, moment.end - moment.start)
            and not any(other is not moment and _distance(other, left, right) < 0 for other in growing)
        )
        if grows:
            moment.start, moment.end = left, right
        if grows or _distance(moment, start, end) < 0:
            moment.add(evidence)
            return
    moment = _Growing(start, end, evidence.share)
    moment.add(evidence)
    growing.append(moment)


def _distance(moment: _Growing, start: float, end: float) -> float:
    """Seconds between a moment and [start, end); how much they overlap, as a negative number."""
    return max(moment.start, start) - min(moment.end, end)
