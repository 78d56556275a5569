"""Search over HTTP with a trained model in the index and a re-ranker, without Ray."""

import dataclasses
import shutil

import pytest

from cinescribe.errors import WeightsError
from pipelines.index import Config, run
from serve.app import Arguments
from serve.finding import Index, LocalFinder
from tests.search.films import utterances, write_speech
from tests.search.trained import save_experts, save_jsfusion, write_features

ASKED = {"text": "the woman opens a door"}


@pytest.fixture
def root(tmp_path):
    """Two films of a minute, indexed with a trained model."""
    root = str(tmp_path / "tables")
    for number, film_id in enumerate(("one", "two")):
        write_speech(root, film_id, utterances((10.0, 12.0, "narrator", "A", "A woman opens a door.")))
        write_features(root, "place", film_id, 60, number)
        write_features(root, "deed", film_id, 60, 10 + number)
    save_experts(tmp_path / "experts")
    assert run(Config(root=root, threads=1, quiet=True, model=str(tmp_path / "experts"))) == 0
    return root


def test_a_reply_tells_of_the_trained_model_and_the_reranker(connect, settings, root, tmp_path):
    reranker = str(save_jsfusion(tmp_path / "jsfusion"))
    index = Index(root, threads=1, device="cpu", refresh_seconds=60.0, reranker=reranker)
    client = connect(dataclasses.replace(settings, root=root), LocalFinder(index))
    assert client.get("/readyz").json()["rows"]["model"] == 46  # windows of 5 s, every 2.5 s

    found = client.post("/v1/search", json=ASKED).json()["moments"]
    assert all(isinstance(moment["reranked"], float) for moment in found)
    assert {why["source"] for moment in found for why in moment["why"]} >= {"description", "model"}
    alone = client.post("/v1/search", json={**ASKED, "sources": ["model"]}).json()["moments"]
    assert {why["source"] for moment in alone for why in moment["why"]} == {"model"}
    quoted = client.post("/v1/search", json={"text": '"opens a door"'}).json()
    assert [moment["reranked"] for moment in quoted["moments"]] == [None, None]
    assert any(note.startswith("not re-ranked") for note in quoted["notes"])


def test_another_model_is_gone_on_with_and_one_that_left_is_a_note(connect, settings, root, tmp_path):
    index = Index(root, threads=1, device="cpu", refresh_seconds=60.0)
    client = connect(dataclasses.replace(settings, root=root), LocalFinder(index))
    asked = {**ASKED, "sources": ["model"]}
    before = client.post("/v1/search", json=asked).json()["moments"]
    assert before

    save_experts(tmp_path / "other", seed=1, width=24)
    assert run(Config(root=root, threads=1, quiet=True, model=str(tmp_path / "other"))) == 0
    assert client.post("/v1/search", json=asked).json()["moments"] == before
    index.searcher.refresh()
    after = client.post("/v1/search", json=asked).json()["moments"]
    assert after
    assert after != before

    save_experts(tmp_path / "third", seed=2)
    assert run(Config(root=root, threads=1, quiet=True, model=str(tmp_path / "third"))) == 0
    shutil.rmtree(tmp_path / "third")
    index.searcher.refresh()
    reply = client.post("/v1/search", json=ASKED)
    assert reply.status_code == 200
    assert reply.json()["moments"][0]["why"][0]["source"] == "description"
    note = next(note for note in reply.json()["notes"] if "trained model" in note)
    assert str(tmp_path) not in note


def test_a_reranker_that_is_none_is_told_before_anything_starts(root, tmp_path):
    with pytest.raises(WeightsError, match="not a folder of JSFusion"):
        Arguments(root=root, reranker=str(tmp_path)).settings()
