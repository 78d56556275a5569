"""The benchmark of search with trained models: what counts as found, and that it goes on where it was."""

from pathlib import Path

from benchmarks import trained_search
from benchmarks.claims_table import kept_lines, recall_and_median
from benchmarks.trained_search import ROWS, keep, rank, table
from benchmarks.trained_search_world import Asked, Case

ASKED = Asked("A woman opens a door.", "film", 10.0, 12.0)
RIGHT, LATE, ELSEWHERE = ("film", 8.0, 24.0), ("film", 16.1, 16.3), ("other", 10.0, 12.0)


def test_a_moment_is_right_in_its_film_and_near_its_middle() -> None:
    assert rank([RIGHT], ASKED) == 1
    assert rank([ELSEWHERE, LATE, RIGHT], ASKED) == 3
    assert rank([ELSEWHERE, LATE], ASKED) == 101
    assert rank([ELSEWHERE] * 100 + [RIGHT], ASKED) == 101
    assert recall_and_median([1, 2, 7, 101]) == {"r1": 25.0, "r5": 50.0, "r10": 75.0, "median": 4.5}


def test_a_row_is_measured_once_and_shown_with_its_spread(tmp_path: Path) -> None:
    asked: list[str] = []

    def ask(text: str, _: object) -> list[trained_search.Place]:
        asked.append(text)
        return [LATE, RIGHT]

    numbers = trained_search.measured(Case(tmp_path, [ASKED]), ROWS["model"], ask)
    assert (numbers["r1"], numbers["r5"]) == (0.0, 100.0)
    assert set(asked) == {ASKED.text}
    results = tmp_path / "results.jsonl"
    for seed in (0, 1):
        keep(results, seed, "heard", "model", {**numbers, "r1": 10.0 + 2 * seed, "p50": 5.0, "p95": 9.0})
    keep(results, 2, "heard", "random", {"r1": 1.0, "r5": 2.0, "r10": 3.0, "median": 101.0})
    told = table(kept_lines(results), [0, 1, 2])
    assert "| the trained model alone | 11.0 ± 1.4 | 100.0 ± 0.0 |" in told
    assert "| random | 1.0 | 2.0 | 3.0 | 101.0 | - | - |" in told
