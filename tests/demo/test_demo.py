from pathlib import Path

import pytest

from cinescribe.cineworld.truth import Shot, Truth
from cinescribe.demo.alignment import inside
from cinescribe.demo.speech import render_page
from cinescribe.demo.stage import Demo, Stopped
from cinescribe.utterance import Utterance


def test_a_span_counts_when_its_middle_lies_in_the_true_one() -> None:
    truth = [[1, 10.0, 20.0, "a"], [1, 30.0, 40.0, "b"], [1, 50.0, 60.0, "c"], [1, 70.0, 80.0, "d"]]
    spans = [(12.0, 14.0), (0.0, 80.0), (44.0, 55.9), (60.0, 79.0)]  # middles 13, 40, 49.95, 69.5
    assert inside(spans, truth) == 0.5


def test_commands_are_shown_as_they_are_typed_and_stop_the_demo_when_they_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = Demo(tmp_path, 2)
    with pytest.raises(Stopped) as stopped:
        demo.cinescribe("search", tmp_path / "nothing", "a cup, and tea")
    said = capsys.readouterr()
    assert stopped.value.code == 2
    assert f"$ cinescribe search {tmp_path}/nothing 'a cup, and tea'" in said.out
    assert str(tmp_path / "nothing") in said.err


def test_the_page_holds_what_was_found_and_no_markup_of_the_film(tmp_path: Path) -> None:
    said = Utterance(1.0, 2.0, "</script><b>hello</b>", speaker="Anna", role="dialogue")
    truth = Truth(
        seed=1,
        title="A <cup> & more",
        duration=3.0,
        fps=25,
        width=64,
        height=36,
        narrator_voice="joe",
        people=(),
        utterances=(said,),
        shots=(Shot(0.0, 3.0, "kitchen", "wide", "a kitchen"),),
        actions=(),
        music=(),
    )
    page = render_page(tmp_path / "films" / "a film.mp4", tmp_path, [said], truth)
    assert "films/a film.mp4" in page
    assert "A &lt;cup&gt; &amp; more" in page
    assert "</script><b>hello" not in page
    assert "{{" not in page
