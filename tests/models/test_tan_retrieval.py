"""TAN's dual encoder finds segments by sentences, without training on them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from cinescribe import cli, tables
from cinescribe.annotations.catalogue import load
from cinescribe.cineworld.world import WorldSettings, write_world
from cinescribe.models import tan_files
from cinescribe.models.tan import TANConfig, TANPair
from cinescribe.models.tan_files import SavedTAN
from cinescribe.models.tan_inference import segment_vector


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    write_world(str(root), WorldSettings(video_dim=16), 0, 10)
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    words = ["a", "cut", "plant", "pour", "stir", "the", "water"]
    torch.manual_seed(0)
    pair = TANPair(TANConfig(16, 512, 32, 2, 1, 1, longest=64), words=len(words) + 1)
    tan_files.save(SavedTAN(pair, "fresh", words, "world-s3d", 32), folder)
    return folder


def test_a_run_holds_the_products_of_segments_and_sentences(
    world: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "--model", str(model), "--data", str(world), "--annotations", "cineworld-howtos"]
    assert cli.main([*command, "--out", str(tmp_path / "run")]) == 0
    assert "R@1" in capsys.readouterr().out
    (table,) = (tmp_path / "run").rglob("*.safetensors")
    (alike,) = load_file(table).values()
    clips = load("cineworld-howtos", str(world)).splits["test"]
    saved = tan_files.load(model)
    network = saved.pair.online
    features = tables.read_features(str(world), "world-s3d", clips[0].video_id)
    assert features is not None
    assert clips[0].start is not None
    assert clips[0].end is not None
    video = torch.from_numpy(features.array.astype(np.float32))
    segment = segment_vector(network, video, clips[0].start, clips[0].end, trained=32)
    from cinescribe.models.tan_text import TextReader

    with torch.no_grad():
        read = TextReader(saved.text, saved.words)(saved.pair, [clips[0].captions[0]])
        said = torch.nn.functional.normalize(network.text_features(read), dim=-1)[0]
    assert alike[0, 0] == pytest.approx(float(said @ segment), abs=1e-5)
    assert alike.shape[1] == len(clips)


def test_what_can_not_be_meant_is_told(
    world: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    saved = tan_files.load(model)
    pair = TANPair(TANConfig(8, 512, 32, 2, 1, 1, longest=64), words=len(saved.words) + 1)
    tan_files.save(SavedTAN(pair, "fresh", saved.words, "world-s3d", 32), other)
    command = ["evaluate", "--data", str(world), "--annotations", "cineworld-howtos", "--model", str(other)]
    assert cli.main([*command, "--out", str(tmp_path / "run")]) == 2
    assert "reads 8, one a second" in capsys.readouterr().err
