"""People's corrections: nobody's work is lost, and they hold for their sentence whatever the machine says."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from cinescribe import storage, tables
from cinescribe.describe import corrections
from cinescribe.describe.corrected import cues_of, generated_of, row_of, settle, settle_row
from cinescribe.describe.corrections import Correction, Corrections, correction, interval_of
from cinescribe.describe.placement import PlacementSettings, Places, Sentence, place
from cinescribe.errors import ConflictError, UsageError

FILM = "series one/Kitchen"
FIRST, SECOND = (0, 4000), (4000, 12345)


@pytest.fixture(params=["folder", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path)
    request.getfixturevalue("bucket")
    return "s3://films/corrected films"


def text(words: str, interval: corrections.Interval = FIRST, film: str = FILM) -> Correction:
    return correction(film, interval, "text", words, "Ada")


def test_a_correction_is_kept_with_who_and_when_and_can_be_taken_back(root: str) -> None:
    assert corrections.read(root, FILM) == Corrections({}, "")
    corrections.write(root, text("  She lifts\nthe lid. "), "")
    (kept,) = corrections.read(root, FILM).by_interval.values()
    assert (kept.film_id, kept.interval, kept.kind) == (FILM, FIRST, "text")
    assert (kept.text, kept.author) == ("She lifts the lid.", "Ada")
    assert kept.time.endswith("+00:00")
    corrections.write(root, correction(FILM, FIRST, "machine"), kept.version)
    corrections.write(root, correction(FILM, SECOND, "removed"))
    found = corrections.read(root, FILM).by_interval
    assert {interval: one.kind for interval, one in found.items()} == {FIRST: "machine", SECOND: "removed"}
    rows = tables.read_table(root, "corrections").to_pylist()
    assert [(row["film_id"], row["start"], row["end"]) for row in rows] == [
        (FILM, 0.0, 4.0),
        (FILM, 4.0, 12.345),
    ]


def test_who_saw_an_older_state_is_told_and_overwrites_nothing(root: str) -> None:
    mine, theirs = text("My words are here."), text("Theirs were faster.")
    corrections.write(root, theirs, "")
    for seen in ("", mine.version):
        with pytest.raises(ConflictError):
            corrections.write(root, mine, seen)
    assert corrections.read(root, FILM).by_interval[FIRST] == theirs
    corrections.write(root, mine, theirs.version)
    with pytest.raises(ConflictError):  # also when the text is as it was: it was changed in between
        corrections.write(root, text("Theirs were faster."), theirs.version)
    assert corrections.read(root, FILM).by_interval[FIRST] == mine
    corrections.write(root, theirs)  # without a version the newest counts
    assert corrections.read(root, FILM).by_interval[FIRST] == theirs


def test_of_many_people_at_once_each_keeps_what_was_written(root: str) -> None:
    intervals = [(1000 * second, 1000 * second + 1000) for second in range(8)]

    def write(number: int) -> bool:
        interval = intervals[number // 2]  # two people at each sentence
        try:
            corrections.write(root, text(f"Person {number} writes this.", interval), "")
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(write, range(16)))
    found = corrections.read(root, FILM).by_interval
    assert sorted(found) == intervals
    for number in range(0, 16, 2):
        assert sorted(written[number : number + 2]) == [False, True]
        winner = number if written[number] else number + 1
        assert found[intervals[number // 2]].text == f"Person {winner} writes this."


def test_only_a_films_own_files_are_read_and_only_what_changed(root: str) -> None:
    names = ("one", "one@2", "one two", "x" * 250)
    for name in names:
        corrections.write(root, text(f"This is of {name[:7]}.", film=name))
    memory: corrections.Memory = {}
    before = {name: corrections.read(root, name, memory) for name in names}
    assert {name: found.by_interval[FIRST].film_id for name, found in before.items()} == {
        name: name for name in names
    }
    assert len({found.stamp for found in before.values()} - {""}) == len(names)
    stems = {name: tables.file_name(name).removesuffix(".parquet") for name in names}
    assert corrections.stamps(root) == {stems[name]: before[name].stamp for name in names}
    corrections.write(root, text("A longer sentence for one.", film="one"))
    after = {name: corrections.read(root, name, memory) for name in names}
    assert [name for name in names if after[name] != before[name]] == ["one"]
    assert after["one"] == corrections.read(root, "one")


@pytest.mark.parametrize(
    ("kind", "words", "author", "why"),
    [
        ("text", "", "", "no word"),
        ("text", " … ", "", "no word"),
        ("text", "x" * 501, "", "at most 500"),
        ("text", "A bell \x07 rings.", "", "control"),
        ("text", "She sits.", "A\x1bda", "control"),
        ("text", "She \u202esits.", "", "control"),
        ("text", "She sits.", "\u2067Ada", "control"),
        ("text", "She sits.", "x" * 101, "at most 100"),
        ("removed", "She sits.", "", "belongs to"),
    ],
)
def test_what_cannot_be_spoken_is_refused(kind: corrections.Kind, words: str, author: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        correction(FILM, FIRST, kind, words, author)


def test_a_file_that_is_no_correction_is_named(tmp_path: Path) -> None:
    corrections.write(str(tmp_path), text("She sits."))
    (path,) = (tmp_path / "corrections").glob("*.parquet")
    whole = path.read_bytes()
    broken = bytearray(whole)
    broken[6] ^= 0xFF  # within a page, where Arrow says otherwise what is wrong
    for data in (b"nothing", whole[:-9], bytes(broken)):
        path.write_bytes(data)
        with pytest.raises(UsageError, match="Kitchen@0-4000"):
            corrections.read(str(tmp_path), FILM)


def test_corrections_of_one_tick_of_the_clock_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bytes = storage.write_bytes

    def coarsely(uri: str, data: bytes) -> None:
        write_bytes(uri, data)
        os.utime(uri, (1e9, 1e9))

    monkeypatch.setattr(storage, "write_bytes", coarsely)
    memory: corrections.Memory = {}
    stamps = set()
    for words in ("She sits.", "She runs.", "She eats."):
        corrections.write(str(tmp_path), replace(text(words), time="2026-01-01T00:00:00+00:00"))
        found = corrections.read(str(tmp_path), FILM, memory)
        assert found.by_interval[FIRST].text == words
        stamps.add(found.stamp)
    assert len(stamps) == 3


# ---- in the film ---------------------------------------------------------------------------------

SETTINGS = PlacementSettings()
LINES = [(0.0, 2.0), (9.0, 11.0), (20.0, 35.0)]
SENTENCES = [
    Sentence(2.0, 6.0, "She walks to the door.", 0.5),
    Sentence(6.0, 9.0, "He opens a red box.", 0.4),
    Sentence(12.0, 16.0, "A dog runs along the beach.", 0.3),
    Sentence(22.0, 28.0, "The sun goes down.", 0.2),
]
DURATION = 40.0
PLACES = Places(LINES, DURATION, SETTINGS)
GENERATED = place(SENTENCES, LINES, DURATION, SETTINGS)


def corrected(**texts: str) -> Corrections:
    """Corrections of sentences by their number (`_0`), "" removes."""
    made = {}
    for name, words in texts.items():
        one = SENTENCES[int(name[1:])]
        interval = interval_of(one.start, one.end)
        made[interval] = correction("film", interval, "text" if words else "removed", words)
    return Corrections(made, "stamp")


def test_without_corrections_the_cues_are_the_machines() -> None:
    settled = settle(GENERATED, Corrections({}, ""), PLACES, SETTINGS.seconds)
    assert cues_of(settled) == [one.cue for one in GENERATED if one.cue]
    assert [one.reason for one in settled] == [one.reason for one in GENERATED] == ["", "", "", "no-gap"]


def test_a_corrected_text_is_spoken_whole_and_moves_no_other_cue() -> None:
    words = "She walks to the window, and then she waits."
    settled = settle(GENERATED, corrected(_0=words), PLACES, SETTINGS.seconds)
    assert [one.cue for one in settled[1:]] == [one.cue for one in GENERATED[1:]]
    cue = settled[0].cue
    assert cue is not None
    assert (cue.start, cue.text, settled[0].text) == (2.2, words, words)
    assert cue.end == pytest.approx(2.2 + 9 / 160 * 60, abs=0.001)


@pytest.mark.parametrize(
    ("number", "words", "reason"),
    [
        (0, "word " * 30, "too-long"),
        (0, "A tall woman in a long green coat walks past.", "taken"),  # 3.4 s; the next cue begins at 6 s
        (3, "The sun sets.", "no-gap"),
        (1, "", "removed"),
    ],
)
def test_a_correction_that_is_not_spoken_says_why(number: int, words: str, reason: str) -> None:
    settled = settle(
        GENERATED, corrected(**{f"_{number}": words.strip()}), PLACES, lambda t: len(t.split()) * 0.4
    )
    assert (settled[number].cue, settled[number].reason) == (None, reason)
    assert settled[number].text == words.strip()


def test_a_sentence_the_machine_could_not_place_may_find_one() -> None:
    crowded = [*SENTENCES[:2], Sentence(12.0, 16.0, "word " * 40, 0.3)]
    generated = place(crowded, LINES, DURATION, SETTINGS)
    assert generated[2].reason == "too-long"
    settled = settle(generated, corrected(_2="A dog runs."), PLACES, SETTINGS.seconds)
    assert settled[2].cue is not None
    for cue in cues_of(settled):
        assert all(cue.end <= start or cue.start >= end for start, end in LINES)


def test_the_row_keeps_the_machines_apart_and_gives_the_same_again() -> None:
    made = corrected(_0="Emma waits.", _1="", _3="The sun sets.")
    settled = settle(GENERATED, made, PLACES, SETTINGS.seconds)
    film = {"film_id": "film", "etag": "1"}
    row = row_of(film, settled, made, SETTINGS, {"autoad": "x"}, over_narrator=False)
    assert generated_of(row) == GENERATED
    assert [one["text"] for one in row["sentences"]] == [
        "Emma waits.",
        "",
        "A dog runs along the beach.",
        "The sun sets.",
    ]
    assert [one["cue"] for one in row["sentences"]] == [0, -1, 1, -1]
    assert [cue["text"] for cue in row["cues"]] == ["Emma waits.", "A dog runs along the beach."]
    assert settle_row(row, made, PLACES) == settled
    taken_back = replace(made, by_interval={}, stamp="other")
    assert cues_of(settle_row(row, taken_back, PLACES)) == [one.cue for one in GENERATED if one.cue]
    tables.encode("descriptions", [row])


def test_a_later_correction_moves_no_earlier_one() -> None:
    sentences = [Sentence(0.0, 6.0, "A man sits."), Sentence(6.0, 12.0, "A dog runs.")]
    places, generated = Places([], 20.0, SETTINGS), place(sentences, [], 20.0, SETTINGS)
    first, second = (
        correction("film", interval, "text", "word " * 25) for interval in ((6000, 12000), (0, 6000))
    )
    alone = Corrections({first.interval: first}, "1")
    both = Corrections({second.interval: second, **alone.by_interval}, "2")
    _, before = settle(generated, alone, places, SETTINGS.seconds)
    _, after = settle(generated, both, places, SETTINGS.seconds)
    assert before.cue is not None
    assert after.cue == before.cue


def test_what_is_taken_back_after_a_run_is_spoken_with_no_other_cue_over_it() -> None:
    sentences = [
        Sentence(0.0, 6.0, "A man walks in and sits down on a chair."),
        Sentence(2.0, 9.0, "A dog runs."),
    ]
    places, generated = Places([], 20.0, SETTINGS), place(sentences, [], 20.0, SETTINGS)
    words = correction("film", (2000, 9000), "text", "A brown dog with a long tail runs out.")
    removed = correction("film", (0, 6000), "removed")
    made = Corrections({removed.interval: removed, words.interval: words}, "1")
    settled = settle(generated, made, places, lambda text: 1.1 * SETTINGS.seconds(text))
    film = {"film_id": "film", "etag": "1"}
    row = row_of(film, settled, made, SETTINGS, {}, over_narrator=False)
    assert settle_row(row, made, places) == settled
    machines, corrected_ = cues_of(settle_row(row, Corrections({words.interval: words}, "2"), places))
    assert machines == generated[0].cue
    assert machines.end <= corrected_.start
    assert corrected_.end - corrected_.start == pytest.approx(1.1 * SETTINGS.seconds(words.text), abs=0.002)


def test_a_correction_of_an_interval_that_is_no_more_is_told() -> None:
    stray = correction("film", (1, 2), "text", "She sits.")
    made = Corrections({stray.interval: stray, **corrected(_0="Emma waits.").by_interval}, "stamp")
    intervals = [interval_of(one.start, one.end) for one in SENTENCES]
    assert corrections.unknown(made, intervals) == [stray]
