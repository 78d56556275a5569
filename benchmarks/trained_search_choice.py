"""The sweep by which the settings of the trained source and of re-ranking were chosen, on seed 100."""

from collections.abc import Mapping

from benchmarks.claims_table import recall_and_median
from benchmarks.trained_search import FOUND, OLD, rank
from benchmarks.trained_search_world import Case
from cinescribe.search import fusion, reranking, trained
from cinescribe.search.query import SOURCES, Filters, Moment, Query
from cinescribe.search.searcher import Searcher

BOUNDS = ((0.0, 3.0), (1.0, 4.0), (1.0, 6.0), (2.0, 6.0))  # of `trained.STANDS_OUT`
WEIGHTS = (0.25, 0.5, 1.0, 2.0)  # of the source
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of `reranking.MODEL_SHARE`


def sweep(cases: Mapping[str, Case], reranker: str) -> str:
    """The table of all settings: recall in percent and median rank, by case."""
    lines = ["| case | | R@1 | R@5 | R@10 | median rank |", "|---|---|---|---|---|---|"]
    for name, case in cases.items():
        searcher = Searcher(str(case.root), threads=1)
        queries = [Query(asked.text, limit=FOUND) for asked in case.asked]
        encoded = searcher.encode([query.text for query in queries])
        chosen = trained.STANDS_OUT, fusion.WEIGHTS
        for bounds in BOUNDS:
            for weight in WEIGHTS:
                trained.STANDS_OUT = bounds
                fusion.WEIGHTS = {**fusion.WEIGHTS, "model": weight}
                found = [searcher.find(*pair).moments for pair in zip(encoded, queries, strict=True)]
                lines.append(
                    _line(name, f"from {bounds[0]:g} to {bounds[1]:g}, weight {weight:g}", case, found)
                )
        trained.STANDS_OUT, fusion.WEIGHTS = chosen
        lines += _shares(name, case, reranker)
    return "\n".join(lines)


def _shares(name: str, case: Case, reranker: str) -> list[str]:
    """How much the re-ranker's score counts, with the trained model's source and without."""
    searcher, lines = Searcher(str(case.root), threads=1, reranker=reranker), []
    for label, sources in (("fusion", OLD), ("with the model", SOURCES)):
        queries = [Query(asked.text, filters=Filters(sources=sources), limit=FOUND) for asked in case.asked]
        answers = searcher.search_many(queries)
        for share in SHARES:
            reranking.MODEL_SHARE = share
            found = [
                tuple(reranking.in_order([m for m in answer.moments if m.reranked is not None]))
                for answer in answers
            ]
            lines.append(_line(name, f"{label}, re-ranker {share:g}", case, found))
    return lines


def _line(name: str, what: str, case: Case, found: list[tuple[Moment, ...]]) -> str:
    ranks = [
        rank([(m.film_id, m.start, m.end) for m in moments], asked)
        for moments, asked in zip(found, case.asked, strict=True)
    ]
    numbers = " | ".join(f"{value:.1f}" for value in recall_and_median(ranks).values())
    return f"| {name} | {what} | {numbers} |"
