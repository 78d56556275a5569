"""Searches of a small index of real sentences by the real sentence encoder."""

import math
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cinescribe import cli, tables
from cinescribe.describe import corrections
from cinescribe.describe.placement import Sentence
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.encoders.text import DEFAULT, SentenceEncoder
from cinescribe.encoders.visual_words import LABELS, OBJECTS
from cinescribe.errors import UsageError
from cinescribe.media.library import FilmRef
from cinescribe.search import command
from cinescribe.search.documents import text_rows
from cinescribe.search.query import Filters, Query
from cinescribe.search.searcher import Searcher
from cinescribe.search.store import FilmRows, IndexedFilm, Store
from pipelines import index
from tests.describe.rows import write_descriptions
from tests.search.films import utterances, write_speech

STORM = "storm/it's 100%"
KITCHEN = "kitchen"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two films; in one of them an umbrella was recognised from 6 to 9 s."""
    root = str(tmp_path_factory.mktemp("tables"))
    write_speech(
        root,
        STORM,
        utterances(
            (1.0, 4.0, "narrator", "SPEAKER_00", "A woman opens a door in the pouring rain."),
            (5.0, 7.0, "dialogue", "SPEAKER_01", "Who is out there at this hour?"),
            (20.0, 22.0, "dialogue", "SPEAKER_02", "I lost my keys, Zebulon."),
            (40.0, 43.0, "narrator", "SPEAKER_00", "He drives a red car along the coast."),
        ),
    )
    write_speech(
        root,
        KITCHEN,
        utterances(
            (0.0, 3.0, "unknown", "SPEAKER_00", "Chop the onions and fry them in butter."),
            (10.0, 13.0, "dialogue", "SPEAKER_01", "Then whisk six eggs with a pinch of salt."),
            (30.0, 33.0, "dialogue", "SPEAKER_01", "The doors of the oven open by themselves."),
        ),
    )
    seen = np.zeros((12, len(OBJECTS)), np.float16)
    seen[6:9, _object("umbrella")] = 0.9
    film, spec = FilmRef(STORM, "/films/storm.mp4", 1, "1"), EncoderSpec("objects", 1.0, len(OBJECTS), (0.5,))
    row = tables.feature_row(film, (0, 0.0, 12.0), spec, 0, seen, {"objects": "test"})
    tables.write_row(root, "features/objects", STORM, row, chunk=0)
    assert index.main([root, "--workers", "1", "--quiet"]) == 0
    return root


def _object(name: str) -> int:
    return next(label.id for label in LABELS if label.kind == "objects" and label.name == name)


@pytest.fixture(scope="module")
def searcher(root: str) -> Searcher:
    return Searcher(root, threads=1)


def test_a_paraphrase_finds_the_moment_and_says_why(searcher: Searcher) -> None:
    answer = searcher.search(Query("a lady lets herself out into a storm"))
    best = answer.moments[0]
    assert (best.film_id, best.start) == (STORM, 1.0)
    assert best.why[0].source == "description"
    assert math.isclose(sum(e.share for e in best.why), best.score)
    assert "no CLIP features in this index: what is seen is searched by visual words" in answer.notes


def test_the_words_of_the_query_are_marked_in_their_own_form(searcher: Searcher) -> None:
    answer = searcher.search(Query("opening the door", filters=Filters(films=(KITCHEN,))))
    assert answer.moments[0].why[0].matched == ("doors", "open")


def test_a_name_is_found_by_its_letters(searcher: Searcher) -> None:
    assert searcher.search(Query("Zebulon")).moments[0].start == 20.0


def test_what_is_found_does_not_depend_on_the_order_in_which_films_were_indexed(tmp_path: Path) -> None:
    chance = random.Random(3)
    words = [
        ("A soldier", "The cook", "Two girls", "The nurse", "A woman in red"),
        ("opens", "breaks", "wraps", "looks at", "runs towards"),
        ("the piano", "a letter", "the red door", "a boat", "the broken lamp"),
        ("in the snow.", "under a tree.", "at the harbour.", "in the kitchen."),
    ]

    def sentence() -> str:
        return " ".join(map(chance.choice, words))

    encoder, films = SentenceEncoder(threads=1), []
    for name in map(str, range(20)):
        said = [
            {"start": 9.0 * k, "end": 9.0 * k + 5, "text": sentence(), "speaker": "", "role": "narrator"}
            for k in range(20)
        ]
        rows = text_rows({"film_id": name, "utterances": said}, encoder)
        films.append(FilmRows(IndexedFilm(name, "", 200.0, {"sentence": DEFAULT}), {"texts": rows}))
    searchers = []
    for name, order in (("one", films), ("other", films[::-1])):
        store = Store(str(tmp_path / name))
        for film in order:
            store.replace([film])
        store.optimise()
        searchers.append(Searcher(store.root, threads=1))
    for question in [sentence() for _ in range(20)]:
        one, other = (
            [(m.film_id, m.start, m.score) for m in searcher.search(Query(question)).moments]
            for searcher in searchers
        )
        assert one == other, question


def test_quoted_words_must_be_there_literally(searcher: Searcher) -> None:
    answer = searcher.search(Query('"A DOOR" weather'))
    assert [(m.film_id, m.start) for m in answer.moments] == [(STORM, 1.0)]
    assert searcher.search(Query('"door in"')).moments[0].start == 1.0
    assert searcher.search(Query('"oor in"')).moments == ()
    assert searcher.search(Query("“whisk six”")).moments[0].start == 10.0
    assert searcher.search(Query("\"it's 100%' OR 1=1\"")).moments == ()


def test_what_was_recognised_is_found(searcher: Searcher) -> None:
    best = searcher.search(Query("umbrella", filters=Filters(sources=("words",)))).moments[0]
    assert (best.film_id, best.start, best.end) == (STORM, 6.0, 9.0)
    assert best.why[0].matched == ("umbrella",)
    assert best.score == pytest.approx(0.9, abs=0.2)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (Filters(films=(STORM,), sources=("speech",)), {(STORM, 5.0), (STORM, 20.0)}),
        (Filters(roles=("narrator",)), {(STORM, 1.0), (STORM, 40.0)}),
        (Filters(roles=("unknown",)), {(KITCHEN, 0.0)}),
        (Filters(speakers=("SPEAKER_02",)), {(STORM, 20.0)}),
        (Filters(films=(STORM,), start=21.0, end=41.0, sources=("speech", "description")), None),
    ],
)
def test_filters(searcher: Searcher, filters: Filters, found: set[tuple[str, float]] | None) -> None:
    answer = searcher.search(Query("a woman, onions, keys or a car", filters=filters))
    found = found or {(STORM, 20.0), (STORM, 40.0)}
    assert {(m.film_id, e.start) for m in answer.moments for e in m.why} <= found
    assert answer.moments


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (Query(""), "the query is empty"),
        (Query(' "" '), "the query is empty"),
        (Query("x" * 3000), "3000 characters"),
        (Query("x", limit=0), "the limit is 0"),
        (Query("x", filters=Filters(films=("nowhere",))), "no film 'nowhere' in the index; it has 2"),
        (Query("x", filters=Filters(start=math.nan)), "give seconds"),
        (Query(frames=np.zeros((1, 8, 8, 3), np.uint8)), "needs CLIP features"),
        (Query(frames=np.zeros((8, 8, 3), np.uint8)), r"must be \[T, H, W, 3\]"),
    ],
)
def test_queries_that_cannot_be_answered_say_so(searcher: Searcher, query: Query, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        searcher.search(query)


@pytest.mark.parametrize("text", ["???", "'; DROP TABLE texts", "🎬", "AND", "w12 w13", "a\x00b", "\\", "("])
def test_any_text_is_only_text(searcher: Searcher, text: str) -> None:
    searcher.search(Query(text))


def test_queries_together_and_in_threads_answer_as_alone(searcher: Searcher) -> None:
    queries = [Query(text) for text in ("rain", "eggs", "a red car", '"the oven"')] * 3
    alone = [searcher.search(query) for query in queries]
    together = searcher.search_many(queries)
    with ThreadPoolExecutor(6) as pool:
        threaded = list(pool.map(searcher.search, queries))
    for answers in (together, threaded):
        for one, other in zip(answers, alone, strict=True):
            assert [(m.film_id, m.start, round(m.score, 2)) for m in one.moments[:2]] == [
                (m.film_id, m.start, round(m.score, 2)) for m in other.moments[:2]
            ]


def test_refresh_goes_on_to_what_was_indexed_meanwhile(root: str) -> None:
    searcher = Searcher(root, threads=1)
    write_speech(root, "new", utterances((0.0, 2.0, "dialogue", "A", "The submarine surfaces at dawn.")))
    try:
        assert index.main([root, "--workers", "1", "--quiet"]) == 0
        query = Query('"submarine"')
        assert searcher.search(query).moments == ()
        assert "new" not in searcher.films()
        searcher.refresh()
        assert [m.film_id for m in searcher.search(query).moments] == ["new"]
        assert "new" in searcher.films()
    finally:
        tables.delete_row(root, "speech", "new")
        assert index.main([root, "--workers", "1", "--quiet"]) == 0


def test_a_folder_without_an_index_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no index there; make one: cinescribe index"):
        Searcher(str(tmp_path / "misspelt"))
    assert not any(tmp_path.iterdir())


def test_the_command_tells_a_wrong_query_before_it_opens_the_index(tmp_path: Path) -> None:
    for wrong, told in ((["rain", "--role", "narator"], "no role"), ([""], "is empty")):
        with pytest.raises(UsageError, match=told):
            command.main([str(tmp_path / "no index"), *wrong])


def test_an_index_made_anew_with_another_clip_is_asked_with_that_one(tmp_path: Path) -> None:
    root, spec = str(tmp_path), EncoderSpec("clip", 1.0, 8, (0.5,))
    for name in ("a", "b"):
        weights = {"clip": f"ViT-B-32-quickgelu//nowhere/{name}.pt"}
        film, seen = FilmRef("film", "/films/film.mp4", 1, "1"), np.eye(8, dtype=np.float16)
        row = tables.feature_row(film, (0, 0.0, 8.0), spec, 0, seen, weights)
        tables.write_row(root, f"features/clip-{name}", "film", row, chunk=0)
    assert index.main([root, "--workers", "1", "--quiet", "--clip", "clip-a"]) == 0
    searcher = Searcher(root, threads=1)
    assert "/nowhere/a.pt" in searcher.search(Query("a door")).notes[0]
    assert index.main([root, "--workers", "1", "--quiet", "--clip", "clip-b"]) == 0
    searcher.refresh()
    assert "/nowhere/b.pt" in searcher.search(Query("a door")).notes[0]


def test_the_command_prints_a_table(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        cli.main(["search", root, "rain at the door", "--limit", "1", "--film", STORM, "--to", "0:30"]) == 0
    )
    out = capsys.readouterr().out
    assert "0:01.0-0:04.0" in out
    assert "narrator: A woman opens a door in the pouring rain." in " ".join(out.split())
    assert cli.main(["search", root, '"never said"']) == 1
    assert "nothing found" in capsys.readouterr().out


def test_the_command_prints_json(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    arguments = ["search", root, "whisk eggs", "--json", "--source", "speech", "--speaker", "SPEAKER_01"]
    assert cli.main(arguments) == 0
    moment = json.loads(capsys.readouterr().out)["moments"][0]
    assert (moment["film_id"], moment["start"], moment["why"][0]["role"]) == (KITCHEN, 10.0, "dialogue")


def test_the_command_tells_what_is_wrong(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["search", root, "x", "--role", "director"]) == 2
    assert "no role 'director'" in capsys.readouterr().err


def test_what_a_machine_described_is_told_apart_from_the_narrator(tmp_path: Path) -> None:
    root = str(tmp_path)
    for name in (STORM, KITCHEN):
        said = (10.0, 13.0, "narrator", "SPEAKER_00", f"A woman opens a door in the rain of {name}.")
        write_speech(root, name, utterances(said))
    write_descriptions(
        root,
        STORM,
        [Sentence(10.0, 14.0, "A woman opens a door in the rain."), Sentence(30.0, 34.0, "A cat sleeps.")],
    )
    corrections.write(root, corrections.correction(STORM, (30000, 34000), "text", "A dog sleeps on a rug."))
    assert index.main([root, "--workers", "1", "--quiet"]) == 0
    searcher = Searcher(root, threads=1)

    best = searcher.search(Query("a woman opens a door in the rain")).moments[0]
    assert best.film_id == STORM  # there two say so
    assert [(e.source, e.role) for e in best.why] == [("description", "narrator"), ("generated", "generated")]
    assert 0 < best.why[1].share < best.why[0].share
    assert math.isclose(sum(e.share for e in best.why), best.score)

    def found(**filters: Any) -> set[tuple[str, str]]:
        moments = searcher.search(Query("dog, door, rain", filters=Filters(**filters))).moments
        return {(e.source, e.role) for m in moments for e in m.why}

    assert found(roles=("narrator",)) == {("description", "narrator")}
    assert found(roles=("generated",)) == {("generated", "generated")}
    assert found(roles=("corrected",)) == {("generated", "corrected")}
    assert found(sources=("generated",)) == {("generated", "generated"), ("generated", "corrected")}
    assert found(speakers=("SPEAKER_00",)) == {("description", "narrator")}
    assert searcher.search(Query('"on a rug"')).moments[0].why[0].matched == ("rug",)


def test_where_no_machine_described_anything_it_takes_no_part(searcher: Searcher) -> None:
    only = searcher.search(Query("rain", filters=Filters(sources=("generated",))))
    assert only.moments == ()
    assert "no generated descriptions in this index; `cinescribe describe` makes them" in only.notes
    sources = ("speech", "description", "visual", "words")
    assert (
        searcher.search(Query("rain")).moments
        == searcher.search(Query("rain", filters=Filters(sources=sources))).moments
    )
