"""Each parser over its kept inputs, and over a few changed ones; `python -m tests.fuzz` goes on."""

import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from cinescribe.zoo.checkpoints import read_arrays
from tests.fuzz.mutation import changed
from tests.fuzz.parsers import NATIVE, PARSERS, SLOW
from tests.fuzz.promise import CORPUS, Parser, check

_CHANGED = 40  # inputs of each parser
QUICK = [name for name in PARSERS if name not in SLOW]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Parser], Path]:
    """The folder of a parser, prepared once."""
    folders: dict[str, Path] = {}

    def of(parser: Parser) -> Path:
        if parser.name not in folders:
            folders[parser.name] = tmp_path_factory.mktemp(parser.name)
            parser.prepare(folders[parser.name])
        return folders[parser.name]

    return of


def test_the_corpus_is_of_these_parsers() -> None:
    assert {path.name for path in CORPUS.iterdir()} == PARSERS.keys()


@pytest.mark.parametrize("name", QUICK)
def test_kept_inputs_are_read_or_refused_as_they_are_named(
    name: str, folder: Callable[[Parser], Path]
) -> None:
    parser = PARSERS[name]
    outcomes = {path.name: check(parser, path.read_bytes(), folder(parser)) for path in parser.kept()}
    named = {file: file.partition("-")[0] for file in outcomes if not file.startswith("odd-")}
    assert {file: outcomes[file] for file in named} == named


@pytest.mark.parametrize("name", [name for name in QUICK if name not in NATIVE])
def test_changed_inputs_are_read_or_refused(name: str, folder: Callable[[Parser], Path]) -> None:
    parser, random = PARSERS[name], Random(f"0 {name}")
    kept = [path.read_bytes() for path in parser.kept()]
    for _ in range(_CHANGED):
        data = changed(random.choice(kept), kept, random, values_only=parser.values_only)
        check(parser, data, folder(parser))


_VTT = "WEBVTT\n\n00:01.000 --> 00:02.000\n"
_SRT = "1\n00:00:01,000 --> 00:00:02,000\n"


@pytest.mark.timeout(60)  # where each beginning is followed to the end they would take an hour
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vtt", _VTT + "<v " * 300_000),
        ("vtt", _VTT + "<v" + " " * 900_000),
        ("vtt", _VTT + "&#" * 300_000),
        ("srt", _SRT + "<font " * 200_000),
        ("srt", _SRT + "{\\an" * 200_000),
        ("srt", "9" * 900_000),
    ],
    ids=range(6),
)
def test_a_long_file_takes_time_in_proportion(name: str, text: str, folder: Callable[[Parser], Path]) -> None:
    check(PARSERS[name], text.encode(), folder(PARSERS[name]))


def test_a_small_pickle_takes_no_memory_for_what_it_says(tmp_path: Path) -> None:
    claims = pickle.PROTO + b"\x02" + pickle.EMPTY_DICT + pickle.LONG_BINPUT + (2**26).to_bytes(4, "little")
    (tmp_path / "a.pkl").write_bytes(claims + pickle.STOP)
    read_arrays(tmp_path / "a.pkl")
    tracemalloc.start()
    try:
        read_arrays(tmp_path / "a.pkl")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
