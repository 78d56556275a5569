"""An index with the vectors of a trained model, and what is found by them."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from cinescribe import tables
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.encoders.text_tokens import WordTokens
from cinescribe.errors import UsageError, WeightsError
from cinescribe.media.library import FilmRef
from cinescribe.models import collaborative_experts_files
from cinescribe.models.collaborative_experts_search import encode_windows
from cinescribe.models.prompting_clip_search import PromptingCLIPSearch
from cinescribe.search import embedding
from cinescribe.search.documents import as_column
from cinescribe.search.embedding import EncodedText
from cinescribe.search.query import Filters, Query
from cinescribe.search.searcher import Searcher
from cinescribe.search.store import FilmRows, IndexedFilm, IndexModel, Store, schema
from cinescribe.search.trained import STANDS_OUT, ModelSearch, TrainedEncoder
from pipelines import index
from tests.search.films import utterances, write_speech
from tests.search.trained import save_experts, save_prompting, write_features

ONLY = Filters(sources=("model",))
LASTS = {"one": 60, "two": 33}  # films with features, seconds


def write_films(root: str) -> None:
    """Three films: one with all features, one whose beginning lacks an expert, one that is only heard."""
    for number, (film_id, seconds) in enumerate(LASTS.items()):
        write_features(root, "place", film_id, seconds, number)
        write_features(root, "deed", film_id, seconds, 10 + number, lacking=12 * number)
    said = utterances((1.0, 4.0, "dialogue", "A", "A woman opens a door."))
    write_speech(root, "one", said)
    write_speech(root, "heard", said)


@pytest.fixture(scope="module")
def experts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_experts(tmp_path_factory.mktemp("experts") / "best")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, experts: Path) -> str:
    root = str(tmp_path_factory.mktemp("tables"))
    write_films(root)
    assert index.main([root, "--workers", "1", "--quiet", "--model", str(experts)]) == 0
    return root


def indexed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, int]:
    """The films that a run of `cinescribe index` did, and how many rows it made of each."""
    assert index.main([*arguments, "--workers", "1"]) == 0
    told = re.findall(r"^\[\d+/\d+\] (\S+)  (\d+) rows$", capsys.readouterr().out, re.M)
    return {film_id: int(rows) for film_id, rows in told}


def test_windows_reach_from_a_film_s_beginning_to_its_end() -> None:
    assert embedding.windows_of(11.0, 4.0) == [(0.0, 4.0), (2.0, 6.0), (4.0, 8.0), (6.0, 10.0), (7.0, 11.0)]
    assert embedding.windows_of(8.0, 4.0) == [(0.0, 4.0), (2.0, 6.0), (4.0, 8.0)]
    assert embedding.windows_of(3.0, 4.0) == [(0.0, 3.0)]


def test_what_is_found_is_what_the_whole_model_finds(root: str, experts: Path) -> None:
    text = "a woman opens a door"
    saved = collaborative_experts_files.load(experts)
    windows = [(film, *span) for film, last in LASTS.items() for span in embedding.windows_of(last, 5.0)]
    with torch.inference_mode():
        tokens = WordTokens(saved.text).encode([text], saved.model.config.text.tokens)
        asked = saved.model.encode_text(torch.from_numpy(tokens))
        alike = np.concatenate(
            [
                saved.model.similarity(
                    asked, encode_windows(saved, root, film, embedding.windows_of(last, 5.0))
                )[0].numpy()
                for film, last in LASTS.items()
            ]
        )
    outstanding = (alike - alike.mean()) / alike.std()
    order = [k for k in np.argsort(-alike) if outstanding[k] > STANDS_OUT[0]]

    searcher = Searcher(root, threads=1)
    encoded = searcher.encode([text])[0]
    state = searcher._state.model
    assert state is not None
    assert encoded.model is not None
    hits = state.hits(encoded.model, Query(text))
    assert len(order) > 1
    assert [(hit.film_id, hit.start, hit.end) for hit in hits] == [windows[k] for k in order]
    np.testing.assert_allclose([hit.similarity for hit in hits], alike[order], atol=2e-3)
    low, high = STANDS_OUT
    expected = np.minimum(1, (outstanding[order] - low) / (high - low))
    np.testing.assert_allclose([hit.relevance for hit in hits], expected, atol=0.02)

    best = searcher.search(Query(text, filters=ONLY)).moments[0]
    assert {e.source for e in best.why} == {"model"}
    assert (best.film_id, best.why[0].start, best.why[0].end) == windows[order[0]]
    together = searcher.search(Query(text))
    assert "model" in {e.source for moment in together.moments for e in moment.why}
    assert not any("model" in note for note in together.notes)
    assert "knows none of these words" in " ".join(searcher.search(Query("xqzv", filters=ONLY)).notes)


def test_a_run_does_what_changed_and_goes_on_with_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, model = str(tmp_path / "tables"), save_experts(tmp_path / "run" / "best")
    write_films(root)
    rows = {film: len(embedding.windows_of(last, 5.0)) for film, last in LASTS.items()}
    assert indexed(capsys, root) == {"one": 1, "heard": 1}
    assert indexed(capsys, root, "--model", str(model)) == rows  # no sentence is encoded again
    assert indexed(capsys, root) == {}
    searcher = Searcher(root, threads=1)
    assert searcher.search(Query("a door", filters=ONLY)).moments

    write_features(root, "deed", "two", LASTS["two"], 77)
    assert indexed(capsys, root) == {"two": rows["two"]}
    write_speech(
        root, "one", utterances((1.0, 2.0, "dialogue", "A", "No."), (3.0, 4.0, "dialogue", "A", "Yes."))
    )
    assert indexed(capsys, root) == {"one": 2 + rows["one"]}

    save_experts(tmp_path / "other", seed=1, width=24)
    assert indexed(capsys, root, "--model", str(tmp_path / "other")) == rows
    assert searcher.search(Query("a door", filters=ONLY)).moments  # of the state it has open
    searcher.refresh()
    assert searcher.search(Query("a door", filters=ONLY)).moments
    windows = {film: len(embedding.windows_of(last, 8.0)) for film, last in LASTS.items()}
    assert indexed(capsys, root, "--window", "8") == windows

    shutil.move(tmp_path / "other", tmp_path / "moved")
    with pytest.raises(UsageError, match="--model, or leave it out with --no-model"):
        index.run(index.Config(root=root, quiet=True))
    gone = Searcher(root, threads=1).search(Query("a door"))
    assert any("trained model can't be had" in note for note in gone.notes)
    assert indexed(capsys, root, "--model", str(tmp_path / "moved")) == {}
    assert Searcher(root, threads=1).search(Query("a door", filters=ONLY)).moments

    save_experts(tmp_path / "moved", seed=2, width=24)
    trained_anew = Searcher(root, threads=1).search(Query("a door", filters=ONLY))
    assert any("another one than the index was made with" in note for note in trained_anew.notes)
    assert indexed(capsys, root) == windows

    assert indexed(capsys, root, "--no-model") == {}
    assert Store(root).model() is None
    without = Searcher(root, threads=1).search(Query("a door", filters=ONLY))
    assert without.moments == ()
    assert "no trained model has rows in this index; `cinescribe index --model` makes them" in without.notes
    assert indexed(capsys, root) == {}


def test_a_prompting_clip_finds_by_the_cosine(tmp_path: Path) -> None:
    root, model = str(tmp_path / "tables"), save_prompting(tmp_path / "best")
    write_films(root)
    assert index.main([root, "--workers", "1", "--quiet", "--model", str(model)]) == 0
    best = Searcher(root, threads=1).search(Query("a door", filters=ONLY)).moments[0].why[0]
    search = PromptingCLIPSearch.load(model)
    asked = search.text_vectors(["a door"])[0]
    told = embedding.load(model)
    alike: dict[tuple[str, float, float], float] = {}
    for film, last in LASTS.items():
        spans = embedding.windows_of(last, 5.0)
        vectors, _ = told.encode_windows(root, film, spans)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
        alike |= {(film, *span): float(vector @ asked) for span, vector in zip(spans, vectors, strict=True)}
    assert best.similarity == pytest.approx(max(alike.values()), abs=2e-3)


def test_windows_that_lack_an_expert_are_found_as_the_model_ranks_them(tmp_path: Path) -> None:
    rng, count = np.random.default_rng(0), 3000
    flags = np.where(rng.random(count) < 0.2, rng.integers(1, 7, count), 7)
    has = (flags[:, None] >> np.arange(3) & 1).astype(bool)
    parts = rng.standard_normal((count, 3, 8))
    parts *= has[:, :, None] / np.linalg.norm(parts, axis=2, keepdims=True)
    vectors = parts.reshape(count, 24).astype(np.float16)
    store, model = Store(str(tmp_path)), IndexModel("/runs/one", "1" * 16, 5.0)
    store.use_model(model, 24)
    starts = 2.5 * np.arange(count)
    columns = {
        "id": list(map(str, range(count))),
        "film_id": ["film"] * count,
        "start": starts,
        "end": starts + 5,
    }
    rows = pa.table({**columns, "flags": flags, "vector": as_column(vectors)}, schema("model", 24))
    store.replace([FilmRows(IndexedFilm("film", "", 0.0, {"model": "x"}), {"model": rows})], model)
    search = ModelSearch(store.open("model"), model)
    for _ in range(3):
        weights = rng.dirichlet(np.full(3, 20.0)).astype(np.float32)
        asked = (rng.standard_normal((3, 8)) * weights[:, None]).astype(np.float32).ravel()
        alike = vectors.astype(np.float32) @ asked / (has @ weights)
        order = np.argsort(-alike)[:20]
        hits = search.hits(EncodedText(model.identity, asked, weights), Query("x", limit=20))[:20]
        assert not has[order].all()
        np.testing.assert_allclose([hit.similarity for hit in hits], alike[order], atol=2e-3)
        late = Filters(start=float(starts[count // 2]))
        found = search.hits(EncodedText(model.identity, asked, weights), Query("x", limit=20, filters=late))
        assert found[0].similarity == pytest.approx(alike[count // 2 - 1 :].max(), abs=2e-3)


def test_a_film_that_a_model_can_not_read_is_told_and_the_others_are_indexed(
    tmp_path: Path,
) -> None:
    root, model = str(tmp_path / "tables"), save_prompting(tmp_path / "best")
    write_films(root)
    bad = np.random.default_rng(0).standard_normal((9, 7)).astype(np.float16)
    film = FilmRef("broken", "/films/broken.mp4", 1, "1")
    row = tables.feature_row(film, (0, 0.0, 9.0), EncoderSpec("place", 1.0, 7), 0, bad, {"place": "test"})
    tables.write_row(root, "features/place", "broken", row, chunk=0)
    write_speech(root, "broken", utterances((1.0, 4.0, "dialogue", "A", "A man shuts a door.")))
    assert index.run(index.Config(root=root, model=str(model), workers=1, quiet=True)) == 0
    (error,) = tables.read_table(root, "errors").to_pylist()
    assert error["film_id"] == "broken"
    assert error["message"] == "features of 7 numbers; the model takes 8, those of place"
    store = Store(root)
    assert {row["film_id"] for row in store.open("texts").to_arrow().to_pylist()} == {
        "one",
        "heard",
        "broken",
    }
    assert set(store.open("model").to_arrow()["film_id"].to_pylist()) == set(LASTS)

    held, counts = store.model(), store.counts()
    misfit = save_prompting(tmp_path / "misfit", hz=2.0)
    with pytest.raises(UsageError, match="are 1 a second, and the model reads 2"):
        index.run(index.Config(root=root, model=str(misfit), workers=1, quiet=True))
    elsewhere = save_prompting(tmp_path / "elsewhere", features="nowhere")
    with pytest.raises(UsageError, match="features/nowhere"):
        index.run(index.Config(root=root, model=str(elsewhere), workers=1, quiet=True))
    assert (Store(root).model(), Store(root).counts()) == (held, counts)


def test_a_film_without_features_is_indexed_beside_the_others(root: str) -> None:
    assert Store(root).films().keys() == {*LASTS, "heard"}
    assert tables.read_table(root, "errors").num_rows == 0


def test_a_model_whose_text_encoder_is_not_there_is_left_out(experts: Path, tmp_path: Path) -> None:
    best = tmp_path / "best"
    shutil.copytree(experts, best)
    settings = json.loads((best / "config.json").read_text())
    (best / "config.json").write_text(json.dumps({**settings, "text": str(tmp_path / "gone")}))
    encoder = TrainedEncoder("cpu")
    assert encoder.of(IndexModel(str(best), embedding.identity_of(best), 5.0)) is None
    assert "gone" in encoder.missing


def test_what_is_no_dual_encoder_is_told(tmp_path: Path) -> None:
    write_films(str(tmp_path))
    (tmp_path / "best").mkdir()
    for name, content in (("config.json", '{"jsfusion": {}}'), ("model.safetensors", "")):
        (tmp_path / "best" / name).write_text(content)
    with pytest.raises(UsageError, match="a JSFusion is for --reranker"):
        index.run(index.Config(root=str(tmp_path), model=str(tmp_path / "best"), quiet=True))
    for settings in ("5", "null", "[" * 100_000):
        (tmp_path / "best" / "config.json").write_text(settings)
        with pytest.raises(WeightsError, match=r"config\.json: not the settings of a model"):
            embedding.load(tmp_path / "best")
    with pytest.raises(UsageError, match="goes with neither"):
        index.run(index.Config(root=str(tmp_path), model="x", no_model=True, quiet=True))
