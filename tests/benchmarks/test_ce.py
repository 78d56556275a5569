"""The benchmark of Collaborative Experts, at a small size."""

import re

import pytest

from benchmarks import ce


def test_it_measures_steps_and_similarities(capsys: pytest.CaptureFixture[str]) -> None:
    assert ce.main(["--small", "--batch", "8", "--steps", "2", "--sizes", "40", "1100"]) == 0
    said = capsys.readouterr().out
    assert "steps/s" in said
    assert re.search(r"matrix products alone .*times as long", said)
    furthest = [float(number) for number in re.findall(r"furthest from the sum over experts (\S+)", said)]
    assert len(furthest) == 2
    assert max(furthest) < 1e-5
