import json
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import webvtt
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cinescribe.errors import SubtitleError, UsageError
from cinescribe.subtitles import (
    cue_text,
    from_jsonl,
    from_srt,
    from_vtt,
    read_jsonl,
    read_rttm,
    read_subtitles,
    split_for_reading,
    to_jsonl,
    to_rttm,
    to_srt,
    to_vtt,
    write_jsonl,
    write_rttm,
    write_srt,
    write_vtt,
)
from cinescribe.utterance import Utterance, Word

DATA = Path(__file__).parents[1] / ".." / "shared" / "data"

# Everything that parts, escapes or confuses cues, and scripts written from right to left.
CHARACTERS = st.sampled_from("ab1<>&;-/{}\\[]'\". \n\r\t\0\x0b\x85\u2028\ufeff\u200f")
SNAGS = st.sampled_from(
    ["-->", "00:01 --> 00:02", "\n\n", "&lt;", "<v A>", "</v>", "<i>", "{\\an8}", "NOTE x", "WEBVTT"]
)
SCRIPTS = st.sampled_from(["שלום", "مرحبا", "👩\u200d🚀", "日本。"])
TEXT = st.lists(CHARACTERS | SNAGS | SCRIPTS, max_size=12).map("".join) | st.text(max_size=20)
MILLISECONDS = st.integers(0, 400_000_000)

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def utterances(draw: st.DrawFn) -> Utterance:
    start = draw(MILLISECONDS)
    end = start + draw(st.integers(1, 100_000))
    return Utterance(start / 1000, end / 1000, draw(TEXT), speaker=draw(TEXT))


def times(items: list[Utterance]) -> list[tuple[float, float]]:
    return [(item.start, item.end) for item in items]


@unhurried
@given(st.lists(utterances(), max_size=4))
@example([Utterance(0, 1, "a --> b"), Utterance(1, 2, "\n\n1\n\n00:00:01.000 --> 00:00:02.000\nx")])
@example([Utterance(0, 1, "", speaker="A & <B>")])
@example([Utterance(0, 1, "", speaker="--")])
def test_webvtt_round_trip_keeps_times_text_and_speaker(items: list[Utterance]) -> None:
    written = to_vtt(items)
    read = from_vtt(written)
    assert times(read) == times(items)
    assert [item.text for item in read] == [cue_text(item.text) for item in items]
    assert [item.speaker for item in read] == [
        " ".join(i.speaker.replace("\0", "\ufffd").split()) for i in items
    ]
    assert to_vtt(read) == written


@unhurried
@given(st.lists(utterances(), max_size=4))
def test_another_webvtt_parser_reads_the_same_cues(items: list[Utterance]) -> None:
    captions = webvtt.from_string(to_vtt(items), strict=True).captions
    assert [(c.start_in_seconds, c.end_in_seconds) for c in captions] == [
        (int(i.start), int(i.end)) for i in items
    ]


@unhurried
@given(st.lists(utterances(), max_size=4))
@example([Utterance(0, 1, "42"), Utterance(1, 2, "1\n2"), Utterance(2, 3, "")])
@example([Utterance(0, 1, "00:00:01,000 --> 00:00:02,000")])
def test_srt_round_trip_keeps_times_and_plain_text(items: list[Utterance]) -> None:
    read = from_srt(to_srt(items))
    assert times(read) == times(items)
    for before, after in zip(items, read, strict=True):
        if not set("<>{") & set(before.text):
            assert after.text == cue_text(before.text)
        letters = [c for c in cue_text(before.text) if c.isalnum()]
        assert [c for c in after.text if c.isalnum()] == letters


@unhurried
@given(
    st.lists(utterances(), max_size=4),
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1), TEXT), max_size=3),
)
def test_json_lines_round_trip_is_lossless(
    items: list[Utterance], words: list[tuple[float, float, str]]
) -> None:
    timed = tuple(Word(start, start + length, text, probability=length) for start, length, text in words)
    items = [replace(item, words=timed, role="narrator", confidence=1 / 3) for item in items]
    assert from_jsonl(to_jsonl(items)) == items


@unhurried
@given(st.lists(utterances(), max_size=4))
def test_rttm_lines_have_ten_fields_and_round_trip(items: list[Utterance]) -> None:
    items = [replace(item, speaker=f"{'Anna  Holm' if i % 2 else ''}") for i, item in enumerate(items)]
    text = to_rttm(items, "films/My film")
    assert all(len(line.split(" ")) == 10 for line in text.splitlines())


def test_rttm_round_trip(tmp_path: Path) -> None:
    items = [
        Utterance(0.1, 0.3, "", "Anna Holm"),
        Utterance(0.25, 1 / 3, "", ""),
        Utterance(1.44, 13.312, "", "B"),
    ]
    write_rttm(items, tmp_path / "a.rttm", "films/My film")
    read = read_rttm(tmp_path / "a.rttm", "films/My film")
    assert [item.speaker for item in read] == ["Anna_Holm", "", "B"]
    assert times(read) == [(0.1, 0.3), (0.25, 0.333), (1.44, 13.312)]
    with pytest.raises(SubtitleError, match=r"no film 'other'.*films/My_film"):
        read_rttm(tmp_path / "a.rttm", "other")
    with pytest.raises(UsageError, match="same RTTM label"):
        to_rttm([Utterance(0, 1, "", "A B"), Utterance(0, 1, "", "A_B")], "f")


def test_rttm_of_several_films_needs_a_name(tmp_path: Path) -> None:
    path = tmp_path / "two.rttm"
    line = "SPEAKER {} 1 0.5 1.0 <NA> <NA> s1 <NA> <NA>\n"
    path.write_text(
        ";; a comment\nSPKR-INFO a 1 <NA> <NA> <NA> unknown s1 <NA>\n" + line.format("a") + line.format("b")
    )
    assert times(read_rttm(path, "b")) == [(0.5, 1.5)]
    with pytest.raises(SubtitleError, match="2 films"):
        read_rttm(path)
    path.write_text(line.format("a") + "SPEAKER a 1 0.5 x <NA> <NA> s1\n")
    with pytest.raises(SubtitleError, match=r"two\.rttm, line 2"):
        read_rttm(path)


def test_webvtt_reads_what_real_files_hold() -> None:
    text = (
        "\ufeffWEBVTT - a title\r\nKind: descriptions\r\nLanguage: en\r\n\r\nNOTE a\r\nnote\r\n\r\nSTYLE\r\n"
        "::cue { color: red }\r\n\r\nREGION\r\nid:r\r\n\r\nintro\r\n"
        "00:01.000 --> 00:02.500 align:start line:0%\r\n"
        "<v.loud Anna>Hi &amp; <i>bye</i>&nbsp;<00:01.200><c.x>now</c></v> <v Tom>a < b\r\n\r\n"
        "100:00:00.000 --> 100:00:01.000\r\ntwo\r\nlines\r\n00:00:05.000 --> 00:00:06.000\r\nunseparated"
    )
    assert from_vtt(text) == [
        Utterance(1.0, 2.5, "Hi & bye\xa0now", "Anna", "narrator"),
        Utterance(1.0, 2.5, "a < b", "Tom", "narrator"),
        Utterance(360_000.0, 360_001.0, "two\nlines", "", "narrator"),
        Utterance(5.0, 6.0, "unseparated", "", "narrator"),
    ]


def test_srt_reads_what_real_files_hold() -> None:
    text = (
        "\ufeff1\r\n00:00:01,5 --> 00:00:02.250\r\n{\\an8}<I>Hello,</I>\r\n\r\nworld\r\n\r\n"
        '2\r\n0:00:03 --> 0:00:04 X1:40\r\n<font color="red">5</font> < 6\r\n3\r\n\r\n'
        "00:00:05,000 --> 00:00:06,000\r\n7"
    )
    assert [(u.start, u.end, u.text) for u in from_srt(text)] == [
        (1.5, 2.25, "Hello,\nworld"),
        (3.0, 4.0, "5 < 6\n3"),
        (5.0, 6.0, "7"),
    ]


def test_the_kind_is_written_and_gives_the_role() -> None:
    text = to_vtt([Utterance(0, 1, "A door opens.")], kind="descriptions", language="en")
    assert text.startswith("WEBVTT\nKind: descriptions\nLanguage: en\n\n")
    assert from_vtt(text)[0].role == "narrator"
    assert from_vtt(to_vtt([Utterance(0, 1, "Hi.")], kind="captions"))[0].role == "dialogue"
    assert from_vtt("WEBVTT\n\n00:00.000 --> 00:01.000\nHi.")[0].role == "unknown"


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.vtt", "00:00.000 --> 00:01.000\nno header\n", 1),
        ("a.vtt", "WEBVTT\n\n00:00.000 --> 00.01:00\nx\n\n00:03.000 --> 00:04.000\ngood\n", 3),
        ("a.vtt", "WEBVTT\n\n00:02.000 --> 00:01.000\nx\n\n00:03.000 --> 00:04.000\ngood\n", 3),
        ("a.vtt", "WEBVTT\n\n00:03.000 --> 00:04.000\ngood\n\nlost text\n", 6),
        ("a.srt", "1\n00:00:01,000 --> 00:00:99,000\nx\n\n2\n00:00:03,000 --> 00:00:04,000\ngood\n", 2),
        ("a.srt", "stray\n1\n00:00:03,000 --> 00:00:04,000\ngood\n", 1),
        ("a.jsonl", '{"start": 3, "end": 4, "text": "good"}\n{"start": 3}\n', 2),
        ("a.jsonl", '{"start": NaN, "end": 4, "text": "x"}\n{"start": 3, "end": 4, "text": "good"}', 1),
    ],
)
def test_malformed_files_are_named_with_their_line_and_the_rest_can_be_had(
    tmp_path: Path, name: str, text: str, line: int
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(SubtitleError, match=rf"{name}, line {line}: "):
        read_subtitles(path)
    if "good" in text:
        problems: list[SubtitleError] = []
        assert [(u.start, u.text) for u in read_subtitles(path, problems)] == [(3.0, "good")]
        assert len(problems) == 1


def test_unreadable_files_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SubtitleError, match=r"none\.vtt"):
        read_subtitles(tmp_path / "none.vtt")
    with pytest.raises(SubtitleError, match="can't tell the format"):
        read_subtitles(tmp_path / "a.txt")
    (tmp_path / "a.srt").write_bytes("1\n00:00:01,000 --> 00:00:02,000\ncafé\n".encode("latin-1"))
    with pytest.raises(SubtitleError, match=r"a\.srt, line 3: not UTF-8"):
        read_subtitles(tmp_path / "a.srt")
    (tmp_path / "a.srt").write_bytes("1\n00:00:01,000 --> 00:00:02,000\ncafé\n".encode("utf-16"))
    assert read_subtitles(tmp_path / "a.srt")[0].text == "café"


@pytest.mark.parametrize("bad", [(-1.0, 1.0), (2.0, 1.0), (0.0, float("nan")), (0.0, float("inf"))])
def test_impossible_times_are_refused_and_leave_the_old_file(
    tmp_path: Path, bad: tuple[float, float]
) -> None:
    path = tmp_path / "a.vtt"
    write_vtt([Utterance(0, 1, "old")], path)
    for write in (write_vtt, write_srt):
        with pytest.raises(UsageError):
            write([Utterance(*bad, "x")], path)
    assert read_subtitles(path)[0].text == "old"
    assert os.listdir(tmp_path) == ["a.vtt"]


def test_files_round_trip_by_name(tmp_path: Path) -> None:
    items = [Utterance(0.0, 1.5, "Grüße", "Anna", "dialogue", (Word(0.0, 1.5, "Grüße", 0.5),), 0.5)]
    write_jsonl(items, tmp_path / "deep" / "a.jsonl")
    assert read_jsonl(tmp_path / "deep" / "a.jsonl") == read_subtitles(tmp_path / "deep" / "a.jsonl") == items
    assert json.loads((tmp_path / "deep" / "a.jsonl").read_text(encoding="utf-8"))["text"] == "Grüße"


@unhurried
@given(st.lists(st.text(alphabet="abc.,日 ", min_size=1, max_size=60), max_size=25), st.floats(0.5, 90))
def test_cues_fit_and_lose_nothing(parts: list[str], seconds: float) -> None:
    text = " ".join(parts)
    cues = split_for_reading([Utterance(10.0, 10.0 + seconds, text)])
    assert "".join("".join(cue.text.split()) for cue in cues) == "".join(text.split())
    for cue in cues:
        assert len(cue.text.split("\n")) <= 2
        assert max(map(len, cue.text.split("\n"))) <= 42
    if text.split():
        assert (cues[0].start, cues[-1].end) == (10.0, 10.0 + seconds)
    for before, after in pairwise(cues):
        assert before.start <= before.end <= after.start + 1e-9 <= after.end + 2e-9


def test_cues_are_cut_at_the_pause_and_at_word_times() -> None:
    words = [Word(float(i), i + 0.5, f"word{i}") for i in range(5)] + [
        Word(10.0 + i, 10.5 + i, f"w{i}") for i in range(5)
    ]
    [first, second] = split_for_reading(
        [Utterance(0.0, 14.5, " ".join(w.text for w in words), words=tuple(words))]
    )
    assert (first.start, first.end, first.words) == (0.0, 4.5, tuple(words[:5]))
    assert (second.start, second.end, second.words) == (10.0, 14.5, tuple(words[5:]))


@pytest.mark.skipif(not (DATA / "ad_text").exists(), reason="shared sample captions are not here")
def test_real_captions_in_many_languages_survive_both_formats() -> None:
    paths = sorted((DATA / "ad_text").glob("*/*.vtt"))
    assert len(paths) > 40
    problems: list[SubtitleError] = []
    for path in paths:
        items = read_subtitles(path, problems)
        assert items
        assert from_vtt(to_vtt(items, "captions")) == [replace(item, role="dialogue") for item in items]
        assert [(u.start, u.end, u.text) for u in from_srt(to_srt(items))] == [
            (u.start, u.end, u.text) for u in items
        ]
    # The two real faults among them: a stray blank line within a cue, and a point for a colon.
    assert ["paulallen_de.vtt, line 113" in str(problems[0]), "00.02:32.000" in str(problems[1])] == [
        True,
        True,
    ]
    assert len(problems) == 2
