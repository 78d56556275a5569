"""The features Collaborative Experts released: nothing in them is run, nothing missing becomes a number."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from cinescribe.annotations import ce_features
from cinescribe.errors import WeightsError

AVERAGES = {"video0": np.arange(4, dtype=np.float64), "video1": float("nan"), "video2": np.ones((1, 4))}


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_an_expert_is_converted_and_read_back(tmp_path: Path, protocol: int) -> None:
    source, target = tmp_path / "face.pickle", tmp_path / "face.safetensors"
    source.write_bytes(pickle.dumps(AVERAGES, protocol))
    ce_features.convert(source, target)
    found = ce_features.read(target)
    assert (found.videos, found.dim) == (("video0", "video1", "video2"), 4)
    np.testing.assert_array_equal(found.of(0)[0], [[0, 1, 2, 3]])
    assert found.of(1) == ()
    assert np.isfinite(found.rows).all()
    assert found.index()["video2"] == 2


def test_an_array_file_and_text_features(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "scene-raw.npy", np.array(AVERAGES, dtype=object), allow_pickle=True)
    texts = {"video0": [np.zeros((3, 2)), np.ones((1, 2))], "video1": [np.full((2, 2), 5.0)]}
    (tmp_path / "w2v.pickle").write_bytes(pickle.dumps(texts))
    files = [str(tmp_path / name) for name in ("scene-raw.npy", "w2v.pickle")]
    assert ce_features.main([*files, "--out", str(tmp_path / "out")]) == 0
    assert "3 videos, 1 without features, 4 numbers each" in capsys.readouterr().out
    found = ce_features.read(tmp_path / "out" / "w2v.safetensors")
    assert [len(caption) for caption in found.of(0)] == [3, 1]
    np.testing.assert_array_equal(found.of(1)[0], [[5, 5], [5, 5]])


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("owned",)


def test_a_file_that_would_run_something_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in (("a.pickle", pickle.dumps({"video0": _Runs()})), ("b.pickle", b"no pickle")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match=f"{name}: refused"):
            ce_features.convert(tmp_path / name, tmp_path / "out.safetensors")
    np.save("c.npy", np.array({"video0": _Runs()}, dtype=object), allow_pickle=True)
    with pytest.raises(WeightsError, match=r"c.npy: refused"):
        ce_features.read_pickle(tmp_path / "c.npy")
    assert not (tmp_path / "owned").exists()
    assert not (tmp_path / "out.safetensors").exists()


def test_features_of_two_widths_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pickle").write_bytes(pickle.dumps({"v": np.ones(3), "w": np.ones(4)}))
    with pytest.raises(WeightsError, match=r"a.pickle, w: 4 numbers"):
        ce_features.convert(tmp_path / "a.pickle", tmp_path / "out.safetensors")
