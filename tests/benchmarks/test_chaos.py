"""The chaos benchmark sees what differs, and its seed tells its kills."""

import json
import random
from pathlib import Path

from benchmarks.chaos_attack import draw
from benchmarks.chaos_data import training_differences


def write_curve(folder: Path, losses: list[tuple[int, float]]) -> str:
    folder.mkdir()
    lines = [json.dumps({"step": step, "loss": loss}) + "\n" for step, loss in losses]
    (folder / "metrics.jsonl").write_text("".join(lines))
    return str(folder)


def test_a_training_that_differs_is_told(tmp_path: Path) -> None:
    quiet = write_curve(tmp_path / "quiet", [(1, 2.0), (2, 1.5), (3, 1.25)])
    assert training_differences(quiet, quiet) == ([], 0.0)
    short = write_curve(tmp_path / "short", [(1, 2.0), (2, 1.5)])
    assert "2 to 2, not 3 to 3" in training_differences(short, quiet)[0][0]
    twice = write_curve(tmp_path / "twice", [(1, 2.0), (2, 1.5), (2, 1.5), (3, 1.25)])
    assert training_differences(twice, quiet)[0] == ["1 steps are there twice"]
    other = write_curve(tmp_path / "other", [(1, 2.0), (2, 1.5), (3, 1.0)])
    assert training_differences(other, quiet) == (["losses differ by up to 0.25"], 0.25)


def test_the_same_seed_gives_the_same_kills() -> None:
    kinds = ["worker", "node", "driver", "s3"]
    first, again, other = (draw(random.Random(seed), kinds) for seed in ("6", "6", "7"))
    assert first == again != other
    assert sorted(blow.kind for blow in first) == sorted(kinds)
