"""VGGish on weights made so that the answer is known: its own are not to be had here."""

import numpy as np
import pytest
import torch

from cinescribe.encoders import audio, catalogue
from cinescribe.errors import WeightsError

CONVOLUTIONS = {0: (1, 64), 3: (64, 128), 6: (128, 256), 8: (256, 256), 11: (256, 512), 13: (512, 512)}
DENSE = {0: (512 * 4 * 6, 4096), 2: (4096, 4096), 4: (4096, 128)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """In torchvggish's names: outputs 0..23 (6 rows of 4) are the loudest of each block of the input."""
    state = {}
    for layer, (channels, out) in CONVOLUTIONS.items():
        weight = torch.zeros(out, channels, 3, 3)
        weight[0, 0, 1, 1] = 1.0
        state |= {f"features.{layer}.weight": weight, f"features.{layer}.bias": torch.zeros(out)}
    for layer, (channels, out) in DENSE.items():
        weight = torch.zeros(out, channels)
        for block in range(24):  # TensorFlow's order: rows, columns, channels
            weight[block, block * 512 if layer == 0 else block] = 1.0
        state |= {f"embeddings.{layer}.weight": weight, f"embeddings.{layer}.bias": torch.zeros(out)}
    folder = tmp_path_factory.mktemp("vggish")
    torch.save(state, folder / "vggish-0.pth")
    torch.save(
        {"pca_eigen_vectors": torch.eye(128).flip(0), "pca_means": torch.full((128, 1), 0.5)},
        folder / "vggish_pca_params-0.pth",
    )
    return folder


@pytest.fixture(scope="module")
def raw(weights):
    return catalogue.load(f"audio:{weights / 'vggish-0.pth'}")


def tone(first: float, last: float, hertz: float) -> np.ndarray:
    times = np.arange(15_600) / 16_000
    return (0.5 * np.sin(2 * np.pi * hertz * times) * ((times >= first) & (times < last))).astype(np.float32)


def test_a_tone_lights_the_block_of_its_time_and_pitch(raw):
    assert (raw.spec.dim, raw.spec.window * 16_000) == (128, 15_600)
    low, high, silence = raw(np.stack([tone(0.34, 0.46, 1000), tone(0.82, 0.94, 6000), np.zeros(15_600)]))
    # Blocks of 160 ms and 16 bands; 1000 Hz is in band 19 of the 64 between 125 and 7500 Hz, 6000 Hz in 57.
    assert low.argmax() == 2 * 4 + 1
    assert high.argmax() == 5 * 4 + 3
    assert not silence.any()  # log(0 + 0.01) is below zero
    # A sine of amplitude .5 gives a line of .5 / 2 times the window's sum, 200; it and its two neighbours on
    # either side weigh at most 1 each.
    assert 50 < np.exp(low.max()) < 200


def test_with_principal_components_features_are_bytes_as_audiosets_are(raw, weights):
    whitened = catalogue.load(f"audio:{weights}")
    sound = tone(0.34, 0.46, 1000)[None]
    expected = np.round((np.clip(raw(sound)[0, ::-1].astype(np.float32) - 0.5, -2, 2) + 2) * 63.75)
    np.testing.assert_array_equal(whitened(sound)[0], expected)
    assert set(np.unique(expected)) >= {96.0, 255.0}  # of 0 and of what is clipped at 2


def test_96_spectra_follow_one_another_every_960_ms():
    spec = catalogue.spec("audio")
    assert spec.count(0.97) == 0
    assert spec.count(0.975) == 1
    assert spec.count(9.62) == 10


def test_other_networks_are_refused(tmp_path):
    torch.save({"features.0.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="not the weights of VGGish"):
        catalogue.load(f"audio:{tmp_path / 'other.pth'}")
    with pytest.raises(WeightsError, match=r"one file vggish-\*.pth is expected"):
        catalogue.load(f"audio:{tmp_path}")


def test_the_spectra_are_those_of_the_published_program():
    """Values that mel_features.py of TensorFlow's VGGish (in torchvggish 0.2) gives for a chirp."""
    times = np.arange(15_600) / 16_000
    chirp = (0.3 * np.sin(2 * np.pi * (200 + 3000 * times) * times)).astype(np.float32)
    found = audio.log_mel(torch.from_numpy(chirp)[None], audio.mel_filters())[0].numpy()
    assert found.shape == (96, 64)
    np.testing.assert_allclose(found[[0, 40, 95], [2, 38, 60]], [2.3748, 3.0465, -2.2917], atol=1e-3)
    np.testing.assert_allclose(found.mean(), -3.92248, atol=1e-4)
