"""The claims benchmark: what it prints of numbers, that it goes on, and that it runs from data to table."""

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks import claims, claims_prompt
from benchmarks.claims_autoad import right_names
from benchmarks.claims_films import write_films, write_language
from benchmarks.claims_table import Bench, Claim, Numbers, Results, Row, System
from cinescribe import tables
from cinescribe.cineworld.mishearing import Faults, mishear
from cinescribe.cineworld.plain import plain_utterances
from cinescribe.cineworld.world import World, WorldSettings
from cinescribe.errors import UsageError
from cinescribe.utterance import Utterance


@dataclass(frozen=True)
class Sizes:
    steps: int = 1


def system(**numbers: float) -> System:
    """Rows "good" and "plain", whose numbers are given."""

    def measure(row: str, bench: Bench) -> Numbers:
        return {"score": numbers[row] + bench.seed}

    return System(
        name="toy",
        title="Toy",
        note=lambda sizes: f"{sizes.steps} step",
        metrics={"score": "Score", "other": "Other"},
        rows=(Row("good", "good one", {"score": 30.0}), Row("plain", "plain one", {"score": 20.0})),
        claims=(Claim("good over plain", "good", "plain", "score"),),
        parts={"toy-all": ("good", "plain")},
        sizes={"small": Sizes(), "large": Sizes(2)},
        measure=measure,
    )


def test_numbers_and_ratios_stand_beside_the_papers(tmp_path: Path) -> None:
    results = Results(tmp_path, system(), "small")
    for seed, good, plain in ((0, 12.0, 10.0), (1, 9.0, 10.0), (2, 15.0, 10.0)):
        results.add("good", seed, {"score": good}, 1.0)
        results.add("plain", seed, {"score": plain}, 1.0)
    printed = results.tables()
    assert "seeds 0, 1, 2" in printed
    assert "| good one | 12.0 ± 3.0 [30.0] |" in printed
    assert "| plain one | 10.0 ± 0.0 [20.0] |" in printed
    assert "| good over plain | Score | 1.50 | 1.20 (1.20, 0.90, 1.50) | 2 of 3 |" in printed
    assert "Other" not in printed  # nobody measured it


def test_a_ratio_needs_both_rows_of_a_seed(tmp_path: Path) -> None:
    results = Results(tmp_path, system(), "small")
    assert "| good over plain | Score | 1.50 | - | 0 of 0 |" in results.tables()
    results.add("good", 0, {"score": 12.0}, 1.0)
    results.add("plain", 1, {"score": 10.0}, 1.0)
    assert "| good over plain | Score | 1.50 | - | 0 of 0 |" in results.tables()


def test_a_stopped_run_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    given = claims.parsed(["--seeds", "0", "1", "--out", str(tmp_path)])
    results = Results(tmp_path, system(good=3, plain=2), "small")
    claims.measure(results, ["toy-all"], given)
    path = tmp_path / "toy" / "results.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2]) + lines[2][:20])  # stopped within the third line
    again = Results(tmp_path, system(good=100, plain=100), "small")
    claims.measure(again, ["toy-all"], given)
    kept = Results(tmp_path, system(), "small")
    assert kept.of("good", "score") == {0: 3.0, 1: 101.0}
    assert kept.of("plain", "score") == {0: 2.0, 1: 101.0}
    assert [json.loads(line)["row"] for line in path.read_text().splitlines()] == ["good", "plain"] * 2


def test_results_of_other_sizes_are_not_mixed(tmp_path: Path) -> None:
    Results(tmp_path, system(), "small")
    with pytest.raises(UsageError, match="other sizes"):
        Results(tmp_path, system(), "large")


def test_unknown_names_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert claims.main(["--systems", "tan,nobody", "--out", str(tmp_path)]) == 2
    assert "no system 'nobody'; there are: tan, autoad" in capsys.readouterr().err
    assert claims.main(["--systems", "tan", "--part", "autoad-context", "--out", str(tmp_path)]) == 2
    assert "no part 'autoad-context'" in capsys.readouterr().err


def test_a_poor_transcript_changes_words_and_nothing_else() -> None:
    said = World(WorldSettings()).film(3).utterances()
    heard = mishear(said, 1)
    assert heard == mishear(said, 1) != mishear(said, 2)
    assert [(line.start, line.end, line.role) for line in heard] == [
        (line.start, line.end, line.role) for line in said
    ]
    pairs = list(zip(said, heard, strict=True))
    assert all(one.text == other.text for one, other in pairs if one.role != "narrator")
    changed = [one.text != other.text for one, other in pairs if one.role == "narrator"]
    assert any(changed)
    assert mishear(said, 1, Faults(0, 0, 0)) == list(said)


def test_dialogue_leaks_and_words_move_to_the_next_description() -> None:
    said = [
        Utterance(0, 1, "I must go home now.", "a", "dialogue"),
        Utterance(1, 2, "Anna walks along the quay.", "n", "narrator"),
        Utterance(2, 3, "She sits down.", "n", "narrator"),
    ]
    leaked = mishear(said, 0, Faults(0, 0, 1))
    assert leaked[1].text == "go home now. Anna walks along the quay."
    cut = mishear(said, 0, Faults(0, 1, 0))
    assert [line.text for line in cut[1:]] == ["Anna walks along", "the quay. She"]


def test_nobody_is_named_in_what_the_visual_network_learns_from() -> None:
    world = World(WorldSettings())
    for number in range(4):
        film = world.film(number)
        names = [person.name for person in film.story.characters]
        for line in plain_utterances(film, names=False):
            if line.role == "narrator":
                assert not set(names) & set(re.findall(r"\w+", line.text))


def test_the_sets_of_films_share_none_and_the_test_stays_clean(tmp_path: Path) -> None:
    write_films(tmp_path, WorldSettings(4, film_dim=16), films=10, visual=2, seen=3)
    write_language(tmp_path / "texts", films=2, general=2)
    splits = json.loads((tmp_path / "films" / "splits.json").read_text())["films"]
    texts = {}
    for name in ("films", "films-noisy"):
        for film in [film for films in splits.values() for film in films]:
            row = tables.read_row(str(tmp_path / name), "speech", film)
            assert row is not None
            texts[name, film] = [line.text for line in tables.utterances_of(row)]
    for film in splits["test"] + splits["val"]:
        assert texts["films", film] == texts["films-noisy", film]
    assert all(texts["films", film] != texts["films-noisy", film] for film in splits["train"])
    with (tmp_path / "texts" / "ad.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len({row["movie"] for row in rows}) == 2
    assert len(rows) > 20


@pytest.mark.slow
def test_tan_from_data_to_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["--systems", "tan", "--size", "tiny", "--seeds", "7", "--out", str(tmp_path)]
    assert claims.main([*run, "--part", "tan-alpha"]) == 0
    printed = capsys.readouterr().out
    assert "co-training helps" in printed
    lines = [json.loads(line) for line in (tmp_path / "tan" / "results.jsonl").read_text().splitlines()]
    assert [line["row"] for line in lines] == ["s2-64-.25", "s2-64-.75"]
    assert all(0 <= line["numbers"][name] <= 100 for line in lines for name in ("recall", "auc"))
    assert claims.main([*run, "--show"]) == 0  # measures nothing more
    assert capsys.readouterr().out.strip() in printed


def test_names_count_where_there_are_any() -> None:
    true = ["Anna, in a red coat, walks in.", "The park.", "Tom waves.", "Tom leaves."]
    assert right_names(true, ["Anna sits down.", "Tom waves.", "Anna waves.", ""]) == pytest.approx(1 / 3)
    assert right_names(["The park."], ["The park."]) == 0


@pytest.mark.slow
def test_autoad_from_data_to_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["--systems", "autoad", "--size", "tiny", "--seeds", "7", "--out", str(tmp_path)]
    assert claims.main([*run, "--part", "autoad-denoising"]) == 0
    assert "trained on noisy text |" in capsys.readouterr().out
    lines = (tmp_path / "autoad" / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["row"] for line in lines] == ["noisy"]
    scores = {"cider", "rouge", "names"}
    assert set(json.loads(lines[0])["numbers"]) == scores | {f"{score}-oracle" for score in scores}


@pytest.mark.slow
def test_jsfusion_from_data_to_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["--systems", "jsfusion", "--size", "tiny", "--seeds", "7", "--out", str(tmp_path)]
    assert claims.main([*run, "--part", "jsfusion-features"]) == 0
    assert "a second network over one" in capsys.readouterr().out
    lines = (tmp_path / "jsfusion" / "results.jsonl").read_text().splitlines()
    for line in lines:
        numbers = json.loads(line)["numbers"]
        assert numbers["r5"] == 100  # of five clips
        assert numbers["r1"] <= 100
        assert 1 <= numbers["median"] <= 5
        assert 0 <= numbers["choice"] <= 100


@pytest.mark.slow
def test_ctsan_from_data_to_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["--systems", "ctsan", "--size", "tiny", "--seeds", "7", "--out", str(tmp_path)]
    assert claims.main([*run, "--part", "ctsan-words"]) == 0
    assert "semantic attention helps" in capsys.readouterr().out
    lines = (tmp_path / "ctsan" / "results.jsonl").read_text().splitlines()
    found = {told["row"]: told["numbers"] for told in map(json.loads, lines)}
    assert found["CT-SAN"].keys() - found["Base-SAN"].keys() == {"concepts"} == found["frequent"].keys()
    assert found["frequent"]["concepts"] > 10  # of very few words
    assert all(0 <= found[row]["blanks"] <= 100 for row in ("Base-SAN", "CT-SAN", "CT-SAN-anew"))


@pytest.mark.slow
def test_collaborative_experts_from_data_to_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["--systems", "ce", "--size", "tiny", "--seeds", "7", "--out", str(tmp_path)]
    assert claims.main([*run, "--part", "ce-captions"]) == 0
    assert "more captions help one expert" in capsys.readouterr().out
    for line in (tmp_path / "ce" / "results.jsonl").read_text().splitlines():
        numbers = json.loads(line)["numbers"]
        assert 0 <= numbers["t2v_r1"] <= numbers["t2v_r5"] <= numbers["t2v_r10"] <= 100
        assert 1 <= numbers["v2t_median"] <= 20
    told = {
        (number, split): [
            json.loads(line)["captions"]
            for line in (tmp_path / f"ce/seed7/data/captions-{number}/{split}.jsonl").read_text().splitlines()
        ]
        for number in (1, 2)
        for split in ("train", "test")
    }
    assert [captions[:1] for captions in told[2, "train"]] == told[1, "train"]
    assert sum(rich != plain for rich, plain in told[2, "train"]) > len(told[2, "train"]) / 2
    assert told[2, "test"] == told[1, "test"]


@pytest.mark.slow
def test_prompting_clip_is_measured_on_films_that_its_text_half_never_read_of(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 7, claims_prompt.SIZES["tiny"], 1)
    for row in ("open-crafted", "open-16-1"):
        numbers = claims_prompt.measure(row, bench)
        assert numbers.keys() == {"top1", "top5", "base"}
        assert 0 <= numbers["top1"] <= numbers["top5"] <= 100
        assert 0 <= numbers["base"] <= 100
    others, known = (
        {film for films in splits["films"].values() for film in films}
        for splits in (
            json.loads((tmp_path / f"data/{name}/splits.json").read_text()) for name in ("others", "films")
        )
    )
    assert others
    assert not others & known
