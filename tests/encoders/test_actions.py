"""Actions of Kinetics-400: the published weights against torchvision's network, and on real clips."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models.video import s3d as torchvision_s3d

from cinescribe import zoo
from cinescribe.encoders import actions, catalogue, s3d_network
from cinescribe.errors import UsageError
from cinescribe.media.frames import read_frames

CLIPS = Path(__file__).parents[2] / "../shared/data/video"
LABELLED = {
    "flipping_a_pancake.mkv": ({"flipping pancake"}, 2.0),
    "mmaction2/demo_demo.mp4": ({"arm wrestling"}, 2.0),
    "v_GGSY1Qvo990.mp4": ({"clean and jerk", "snatch weight lifting"}, 8.0),
}


@pytest.fixture(scope="module")
def encoder():
    return catalogue.load("actions", threads=1)


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the recordings are not on this machine")
@pytest.mark.parametrize("name", LABELLED)
def test_real_clips_are_named(encoder, name):
    named, start = LABELLED[name]
    times = encoder.spec.offsets
    clip = read_frames(CLIPS / name, rate=1 / times[1], start=start, end=start + times[-1] + times[1]).frames
    (found,) = encoder(clip[None])
    assert found.shape == (len(actions.labels()),)
    assert actions.labels()[found.argmax()] in named
    assert found.astype(np.float64).sum() == pytest.approx(1, abs=0.01)
    assert found.min() >= 0


def test_what_the_encoder_asks_for():
    spec = catalogue.spec("actions")
    assert (spec.hz, spec.dim, len(set(actions.labels()))) == (1.0, 400, 400)
    assert len(spec.offsets) == 16
    assert spec.offsets == catalogue.spec("s3d").offsets  # frames are decoded once for both
    assert spec.count(10.0) == 10
    with pytest.raises(UsageError, match="actions:other"):
        catalogue.spec("actions:other")


def test_network_equals_torchvisions():
    state = zoo.load_state("s3d-kinetics400")
    ours = s3d_network.S3D(400, epsilon=1e-3).eval()
    s3d_network.load_network(ours, s3d_network.from_kinetics(state), "s3d-kinetics400")
    theirs = torchvision_s3d().eval()
    layers = {"conv_s": "0.0", "bn_s": "0.1", "conv_t": "1.0", "bn_t": "1.1", "conv": "0", "bn": "1"}
    renamed = {}
    for name, values in state.items():
        name = name.replace("base.", "features.").replace("fc.0.", "classifier.1.")
        name = name.replace("branch0.0.", "branch0.")
        renamed[re.sub(r"\b(conv|bn)(_[st])?\b", lambda match: layers[match.group()], name)] = values
    theirs.load_state_dict(renamed)
    theirs.avgpool = torch.nn.AvgPool3d((2, 3, 3), stride=1)  # theirs is fixed to 224 pixels
    torch.manual_seed(0)
    video = torch.rand(1, 3, 32, 96, 96) * 2 - 1
    with torch.inference_mode():
        expected = theirs(video)
        torch.testing.assert_close(ours.logits(video), expected, atol=1e-4, rtol=1e-4)
        s3d_network.fold_batch_norms(ours)
        torch.testing.assert_close(ours.logits(video), expected, atol=1e-3, rtol=1e-3)


def test_a_batch_gives_what_its_clips_give(encoder):
    clips = np.random.default_rng(0).integers(0, 256, (2, 16, 40, 56, 3), np.uint8)
    both = encoder(clips)
    assert both.shape == (2, 400)
    assert both.dtype == np.float16
    np.testing.assert_allclose(both[1:], encoder(clips[1:]), atol=1e-3)
    assert encoder(clips[:0]).shape == (0, 400)
