"""Who speaks when, on sound whose answer is known."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cinescribe import zoo
from cinescribe.errors import WeightsError
from cinescribe.metrics.speech import diarization_error
from cinescribe.speech.diarization import (
    CinescribeDiarizer,
    DiarizationOptions,
    Piece,
    PyannoteDiarizer,
    cluster_voices,
    split_frames,
    stitch,
)
from cinescribe.speech.embedding import CamPlusPlusEncoder
from cinescribe.speech.segmentation import FRAMES, PyanNet
from cinescribe.subtitles import read_rttm

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "speech"
OPTIONS = DiarizationOptions()


@pytest.fixture(scope="module")
def diarizer():
    return CinescribeDiarizer(
        PyanNet.from_state(zoo.load_state("pyannote-segmentation-3.0")),
        CamPlusPlusEncoder(zoo.load_state("campplus")),
    )


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def voices(rng, counts, noise=0.05):
    """Embeddings of as many well separated voices as `counts` has, and whose each is."""
    centres = np.eye(16)[: len(counts)]
    owner = np.repeat(np.arange(len(counts)), counts)
    return unit(centres[owner] + rng.normal(0, noise, (len(owner), 16))), owner


def test_separate_voices_are_separate_clusters():
    embeddings, owner = voices(np.random.default_rng(0), [20, 30, 10])
    found = cluster_voices(embeddings, np.full(60, 168), OPTIONS)
    assert len(set(zip(found.tolist(), owner.tolist(), strict=True))) == 3 == len(set(found.tolist()))


def test_the_number_of_speakers_can_be_bounded():
    embeddings, _ = voices(np.random.default_rng(1), [20, 20, 20])
    frames = np.full(60, 168)
    assert len(set(cluster_voices(embeddings, frames, OPTIONS, max_speakers=2).tolist())) == 2
    assert len(set(cluster_voices(embeddings, frames, OPTIONS, min_speakers=5).tolist())) == 5


def test_very_long_films_are_clustered_on_a_sample_and_all_assigned():
    embeddings, owner = voices(np.random.default_rng(2), [3000, 3000])
    options = DiarizationOptions(max_points=500)
    found = cluster_voices(embeddings, np.full(6000, 168), options)
    assert len(set(zip(found.tolist(), owner.tolist(), strict=True))) == 2


def test_one_or_no_voice():
    one = unit(np.ones((1, 4)))
    assert cluster_voices(one, np.array([100]), OPTIONS).tolist() == [0]
    assert cluster_voices(one[:0], np.array([], int), OPTIONS).tolist() == []


def test_pieces_keep_every_frame_and_end_at_pauses():
    frames = np.concatenate([np.arange(0, 100), np.arange(130, 500)])
    pieces = split_frames(frames, OPTIONS)
    assert np.concatenate(pieces).tolist() == frames.tolist()
    assert len(pieces[0]) == 100
    assert max(map(len, pieces)) < OPTIONS.piece_frames + OPTIONS.minimum_frames


def test_overlapping_windows_agree_on_turns():
    """Two windows 2.5 s apart see the same two voices in another order; the turns are whole."""
    hop = OPTIONS.hop_frames
    active = np.zeros((2, FRAMES, 3), bool)
    active[0, 200:300, 0] = active[1, 200 - hop : 300 - hop, 1] = True  # one voice
    active[0, 280:400, 1] = active[1, 280 - hop : 400 - hop, 0] = True  # another, overlapping
    pieces = [Piece(w, v, np.flatnonzero(active[w, :, v])) for w in (0, 1) for v in (0, 1)]
    turns = stitch(active, pieces, np.array([0, 1, 1, 0]), hop, 60.0)
    step = 270 / 16000
    assert [(round(b - a, 3), c) for a, b, c in turns] == [
        (round(100 * step, 3), 0),
        (round(120 * step, 3), 1),
    ]
    assert turns[0][0] == pytest.approx(200 * step, abs=0.04)


def test_silence_has_no_speaker(diarizer):
    found = diarizer(np.zeros(16_000 * 12, np.int16))
    assert found.turns == ()


def test_shorter_than_a_frame(diarizer):
    assert diarizer(np.zeros(10, np.int16)).turns == ()


@pytest.mark.skipif(not DATA.exists(), reason="the shared recordings are not here")
def test_a_real_conversation(diarizer):
    """pyannote's own two-speaker telephone sample; its reference in the folder."""
    import wave

    with wave.open(str(DATA / "pyannote" / "sample.wav")) as file:
        sound = np.frombuffer(file.readframes(-1), np.int16)
    found = diarizer(sound)
    reference = read_rttm(DATA / "pyannote" / "sample.rttm")
    assert len(found.voices) == 2
    assert diarization_error(reference, found.turns, [(0.0, 30.0)]).rate < 0.10
    for vector in found.voices.values():
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow  # importing pyannote.audio takes ten seconds
def test_a_pyannote_pipeline_with_code_in_its_checkpoint_is_refused(tmp_path):
    class Code:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "it-ran",))

    (tmp_path / "model").mkdir()
    torch.save({"x": Code()}, tmp_path / "model" / "pytorch_model.bin")
    (tmp_path / "config.yaml").write_text(
        "pipeline:\n  name: pyannote.audio.pipelines.SpeakerDiarization\n  params:\n"
        "    segmentation: $model/model\n    clustering: OracleClustering\n"
    )
    with pytest.raises(WeightsError, match="could not be loaded"):
        PyannoteDiarizer(str(tmp_path))
    assert not (tmp_path / "it-ran").exists()


def test_a_pyannote_pipeline_that_names_other_code_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text(
        "pipeline:\n  name: types.SimpleNamespace\npreprocessors:\n  x:\n    name: subprocess.Popen\n"
    )
    with pytest.raises(WeightsError, match="it is not run"):
        PyannoteDiarizer(str(tmp_path))


def test_asking_for_more_speakers_does_not_merge_those_found():
    """Two voices and a few outliers: the outliers must not take the places of the voices."""
    rng = np.random.default_rng(3)
    embeddings, owner = voices(rng, [200, 200])
    embeddings = np.concatenate([embeddings, unit(rng.normal(size=(3, 16)))])
    found = cluster_voices(embeddings, np.full(403, 168), OPTIONS, min_speakers=3)[:400]
    assert len(set(found[owner == 0]) & set(found[owner == 1])) == 0
