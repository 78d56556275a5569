"""The first moments of a query, put in order by a JSFusion."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cinescribe import cli
from cinescribe.annotations.types import CaptionedClip
from cinescribe.errors import WeightsError
from cinescribe.models import jsfusion_files
from cinescribe.models.clip_frames import ClipFrames
from cinescribe.models.jsfusion_pairs import encode_texts, encode_videos, score_table
from cinescribe.search import reranking
from cinescribe.search.query import Filters, Moment, Query
from cinescribe.search.searcher import Searcher
from pipelines import index
from tests.search.films import utterances, write_speech
from tests.search.trained import save_jsfusion, write_features

QUERY = "the woman opens a door"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_jsfusion(tmp_path_factory.mktemp("jsfusion") / "best")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A film of ten moments with features of two encoders, and one with those of one encoder alone."""
    root = str(tmp_path_factory.mktemp("tables"))
    lines = tuple(
        (10.0 * k, 10.0 * k + 2 + k / 2, "dialogue", "A", f"Door number {k} opens.") for k in range(10)
    )
    for film_id in ("whole", "half"):
        write_speech(root, film_id, utterances(*lines))
        write_features(root, "place", film_id, 120, 1)
    write_features(root, "deed", "whole", 120, 2)
    assert index.main([root, "--workers", "1", "--quiet"]) == 0
    return root


@pytest.fixture(scope="module")
def searcher(root: str, model: Path) -> Searcher:
    return Searcher(root, threads=1, reranker=str(model))


def test_the_order_is_that_of_the_model_s_table(root: str, model: Path, searcher: Searcher) -> None:
    answer = searcher.search(Query(QUERY, limit=30))
    scored = [moment for moment in answer.moments if moment.reranked is not None]
    assert {moment.film_id for moment in scored} == {"whole"}
    assert len(scored) == 10

    saved = jsfusion_files.load(model)
    frames = ClipFrames(root, "place,deed", saved.hz, saved.model.config.frames)
    clips = [CaptionedClip(m.film_id, m.start, m.end, ()) for m in scored]
    videos = encode_videos(saved.model, [torch.from_numpy(frames.read(clip)) for clip in clips])
    ids, lengths = saved.vocabulary.batch([QUERY], saved.model.config.words)
    table = score_table(saved.model, videos, encode_texts(saved.model, ids, lengths))[0].numpy()
    scores = np.array([m.score for m in scored])
    np.testing.assert_allclose(np.array([moment.reranked for moment in scored], float), table, atol=1e-4)
    share = reranking.MODEL_SHARE
    together = [
        share * (ours - table.mean()) / table.std() + (1 - share) * (m.score - scores.mean()) / scores.std()
        for m, ours in zip(scored, table, strict=True)
    ]
    assert together == sorted(together, reverse=True)

    plain = {
        (m.film_id, m.start): m for m in Searcher(root, threads=1).search(Query(QUERY, limit=30)).moments
    }
    assert all(plain[m.film_id, m.start].score == m.score for m in answer.moments)
    assert all(m.reranked is None for m in plain.values())
    assert searcher.search(Query(QUERY, limit=30)) == answer  # from what is kept of the features, too
    assert searcher.search(Query(QUERY, limit=2)).moments == answer.moments[:2]


def test_moments_without_features_stay_behind(searcher: Searcher) -> None:
    answer = searcher.search(Query(QUERY, limit=30))
    behind = answer.moments[10:]
    assert {(m.film_id, m.reranked) for m in behind} == {("half", None)}
    assert [m.score for m in behind] == sorted((m.score for m in behind), reverse=True)
    told = (
        "10 of the first 20 moments are not re-ranked and stay behind the others: of their films there are no"
    )
    assert any(note.startswith(told) for note in answer.notes)


@pytest.mark.parametrize(
    ("query", "note"),
    [
        (Query('"number 3" door'), "not re-ranked: that is for queries in words alone"),
        (Query("submarine at dawn"), "the re-ranker knows none of these words: not re-ranked"),
    ],
)
def test_what_is_not_reranked_is_told(root: str, searcher: Searcher, query: Query, note: str) -> None:
    answer = searcher.search(query)
    assert any(told.startswith(note) for told in answer.notes)
    assert answer.moments == Searcher(root, threads=1).search(query).moments


def test_what_the_model_and_the_fusion_say_is_put_together() -> None:
    def moment(start: float, score: float, reranked: float) -> Moment:
        return Moment("film", start, start + 1, score, (), reranked)

    alike = [moment(0.0, 0.5, -1.0), moment(5.0, 0.5, 1.0)]
    assert reranking.in_order(alike) == alike[::-1]
    alike = [moment(0.0, 0.1, 2.0), moment(5.0, 0.9, 2.0)]
    assert reranking.in_order(alike) == alike[::-1]
    assert reranking.in_order([]) == []


def test_the_command_reranks_and_tells_both_scores(
    root: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["search", root, QUERY, "--film", "whole", "--reranker", str(model), "--limit", "3"]
    assert cli.main(arguments) == 0
    assert "re-ranked" in capsys.readouterr().out
    assert cli.main([*arguments, "--json"]) == 0
    moments = json.loads(capsys.readouterr().out)["moments"]
    assert all(isinstance(moment["reranked"], float) for moment in moments)
    assert all(0 < moment["score"] < 1 for moment in moments)


def test_what_is_no_reranker_is_told(root: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not a folder of JSFusion"):
        Searcher(root, threads=1, reranker=str(tmp_path))


def test_settings_that_can_not_be_meant_are_told(model: Path, tmp_path: Path) -> None:
    settings = json.loads((model / "config.json").read_text())
    shutil.copytree(model, tmp_path / "odd")
    for wrong in ({"hz": 0}, {"hz": float("nan")}, {"hz": "1"}, {"features": []}, {"features": ["../x"]}):
        (tmp_path / "odd" / "config.json").write_text(json.dumps({**settings, **wrong}))
        with pytest.raises(WeightsError, match=f"not a folder of JSFusion .{next(iter(wrong))}"):
            jsfusion_files.load(tmp_path / "odd")


def test_what_can_not_be_scored_is_told_and_searched_all_the_same(
    root: str, model: Path, tmp_path: Path
) -> None:
    own = tmp_path / "tables"
    shutil.copytree(root, own)
    searcher = Searcher(str(own), threads=1, reranker=str(model))
    query = Query(QUERY, filters=Filters(films=("whole",)))
    (features,) = (own / "features" / "deed").glob("*.parquet")
    good = features.read_bytes()
    features.write_bytes(good[: len(good) // 2])
    answer = searcher.search(query)
    assert len(answer.moments) == 10
    assert any("those of whole can't be read" in note for note in answer.notes)
    features.write_bytes(good)  # what lacked features is asked for them again
    assert all(moment.reranked is not None for moment in searcher.search(query).moments)

    shutil.copytree(model, tmp_path / "nan")
    weights = load_file(model / "model.safetensors")
    broken = {
        name: value * torch.nan if value.is_floating_point() else value for name, value in weights.items()
    }
    save_file(broken, tmp_path / "nan" / "model.safetensors")
    answer = Searcher(str(own), threads=1, reranker=str(tmp_path / "nan")).search(query)
    assert answer.moments == Searcher(str(own), threads=1).search(query).moments
    assert any("scores are not finite numbers" in note for note in answer.notes)


def test_features_of_another_width_are_told(root: str, tmp_path: Path) -> None:
    model = save_jsfusion(tmp_path / "narrow", ("place",))
    settings = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**settings, "features": ["place", "deed"]}))
    query = Query(QUERY, filters=Filters(films=("whole",)))
    answer = Searcher(root, threads=1, reranker=str(model)).search(query)
    assert any(re.match("not re-ranked: .* features .* are wanted", note) for note in answer.notes)
    assert answer.moments == Searcher(root, threads=1).search(query).moments
