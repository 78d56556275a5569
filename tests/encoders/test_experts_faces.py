"""Faces, on real people of the sample films."""

from pathlib import Path

import numpy as np
import pytest

from cinescribe.encoders import catalogue
from cinescribe.encoders.face import SAME_PERSON
from cinescribe.errors import UsageError
from cinescribe.media.frames import read_frames

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "video"

pytest.importorskip("dlib")


@pytest.mark.skipif(not DATA.exists(), reason="the sample films are not here")
def test_one_man_is_himself_and_not_another():
    frontal, convolutional = catalogue.load("face"), catalogue.load("face:cnn")
    # A man walks up to a policeman with his back to us; he turns to the camera at 3.5 and at 6.5 seconds.
    tramp = [frontal.embed(f) for f in read_frames(DATA / "chaplin.mp4", rate=2.0, start=3.5, end=8.5).frames]
    assert [len(faces) for faces in tramp[:2]] == [1, 1]
    tramp = np.concatenate(tramp)
    # A boy wrestles arms, in profile: the frontal detector does not see him.
    (frame,) = read_frames(DATA / "mmaction2" / "demo_demo.mp4", rate=1.0, start=3.0, end=4.0).frames
    assert len(frontal.embed(frame)) == 0
    boy = convolutional.embed(frame)
    assert len(boy) == 1
    assert np.linalg.norm(tramp[:, None] - tramp[None], axis=2).max() < SAME_PERSON
    assert np.linalg.norm(tramp - boy, axis=1).mean() > SAME_PERSON


@pytest.mark.skipif(not DATA.exists(), reason="the sample films are not here")
def test_a_second_without_a_face_is_absent_and_one_with_a_face_is_their_mean():
    encoder = catalogue.load("face")
    frames = read_frames(DATA / "chaplin.mp4", rate=2.0, start=0.0, end=4.0).frames
    features = encoder(frames[[0, 7]][:, None])
    assert features.shape == (2, 128)
    assert np.isnan(features[0]).all()
    np.testing.assert_allclose(features[1], encoder.embed(frames[7]).mean(0), atol=1e-3)


def test_unknown_detectors_are_refused():
    with pytest.raises(UsageError, match="face:cnn"):
        catalogue.spec("face:retina")
