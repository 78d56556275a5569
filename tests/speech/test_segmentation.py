"""The segmentation network equals pyannote's, with the published weights."""

import warnings

import numpy as np
import pytest
import torch

from cinescribe import zoo
from cinescribe.speech.segmentation import FRAME_CENTRE, FRAME_STEP, FRAMES, SAMPLE_RATE, WINDOW, PyanNet


@pytest.fixture(scope="module")
def network() -> PyanNet:
    return PyanNet.from_state(zoo.load_state("pyannote-segmentation-3.0"))


def test_it_has_the_published_size(network):
    assert sum(p.numel() for p in network.parameters()) == 1_473_265


@pytest.mark.slow  # importing pyannote.audio takes ten seconds
def test_it_equals_pyannotes_own(network):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyannote.audio.core.task import Problem, Resolution, Specifications
        from pyannote.audio.models.segmentation import PyanNet as Published

    theirs = Published(lstm={"num_layers": 4, "dropout": 0.5}, sincnet={"stride": 10})
    theirs.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=10.0,
        classes=["1", "2", "3"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    theirs.build()
    theirs.load_state_dict(zoo.load_state("pyannote-segmentation-3.0"))
    theirs.eval()
    sound = 0.1 * torch.randn(2, 1, WINDOW, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, found = theirs(sound), network(sound)
    assert found.shape == (2, FRAMES, 7)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    frames = theirs.receptive_field
    assert frames.step == pytest.approx(FRAME_STEP / SAMPLE_RATE)
    assert frames.start + frames.duration / 2 == pytest.approx(FRAME_CENTRE / SAMPLE_RATE, abs=1e-3)


def test_silence_is_nobody(network):
    assert not network.active(torch.zeros(1, 1, WINDOW)).any()


def test_probabilities_sum_to_one(network):
    sound = 0.1 * torch.randn(1, 1, 32_000, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        np.testing.assert_allclose(network(sound).exp().sum(-1).numpy(), 1, atol=1e-5)
