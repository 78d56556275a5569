"""Appearance, motion and scene: real weights where they can be had, else files of the published shape."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cinescribe.encoders import catalogue, names
from cinescribe.errors import UsageError, WeightsError
from cinescribe.media.frames import read_frames

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "video"


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_appearance_is_what_objects_decides_from():
    """The classifier on top of the features gives the probabilities of `objects`."""
    from cinescribe.encoders import objects

    frames = noise(2, 1, 120, 160, 3)
    features = catalogue.load("appearance")(frames)
    assert features.shape == (2, 1280)
    with torch.inference_mode():
        again = objects.network().classifier(torch.from_numpy(features).float()).softmax(-1)
    np.testing.assert_allclose(again, catalogue.load("objects")(frames), atol=1e-3)


def test_appearance_by_any_network_of_timm_from_a_file(tmp_path):
    import timm

    network = timm.create_model("resnet18", pretrained=False).eval()
    torch.save(network.state_dict(), tmp_path / "resnet18.pth")
    encoder = catalogue.load(f"appearance:resnet18={tmp_path / 'resnet18.pth'}@5")
    assert (encoder.spec.name, encoder.spec.hz, encoder.spec.dim) == ("appearance-resnet18", 5.0, 512)
    features = encoder(noise(1, 1, 224, 224, 3))
    assert features.shape == (1, 512)
    assert np.isfinite(features).all()
    with pytest.raises(WeightsError, match="not the weights of timm's resnet34"):
        catalogue.load(f"appearance:resnet34={tmp_path / 'resnet18.pth'}")
    with pytest.raises(UsageError, match="timm knows no such model"):
        catalogue.spec("appearance:senet999")


def test_the_papers_object_networks_have_2048_numbers_a_frame():
    for name in ("legacy_senet154.in1k", "resnext101_32x8d.fb_wsl_ig1b_ft_in1k"):
        assert catalogue.spec(f"appearance:{name}").dim == 2048


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """DenseNet-161 of untrained weights in the published file's form: "module.", "norm.1", not a zip."""
    from torchvision.models import densenet161

    network = densenet161(num_classes=365).eval()
    state = {}
    for name, value in network.state_dict().items():
        for part in ("norm", "conv"):
            if "denselayer" in name:
                name = name.replace(f".{part}1.", f".{part}.1.").replace(f".{part}2.", f".{part}.2.")
        if not name.endswith("num_batches_tracked"):  # which networks of that time had not
            state[f"module.{name}"] = value
    path = tmp_path_factory.mktemp("places") / "densenet161_places365.pth.tar"
    content = {"epoch": 90, "arch": "densenet161", "state_dict": state, "best_prec1": 56.1}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return network, path


def test_scene_is_what_the_scene_classifier_decides_from(places):
    network, path = places
    encoder = catalogue.load(f"scene:{path}")
    frames = noise(1, 1, 256, 256, 3)
    features = encoder(frames)
    assert features.shape == (1, 2208)
    crop = torch.from_numpy(frames[:, 0, 16:240, 16:240]).permute(0, 3, 1, 2) / 255
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        expected = network((crop - mean) / deviation)
        found = network.classifier(torch.from_numpy(features).float())
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_scene_says_what_to_do_without_its_file(tmp_path):
    with pytest.raises(UsageError, match=r"densenet161_places365.pth.tar .* scene:PATH"):
        catalogue.load("scene")
    torch.save({"state_dict": {"fc.weight": torch.zeros(2)}}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="not DenseNet-161"):
        catalogue.load(f"scene:{tmp_path / 'other.pth'}")


def test_motion_by_r2plus1d_is_what_its_classifier_decides_from(tmp_path):
    from torchvision.models.video import r2plus1d_18

    network = r2plus1d_18(num_classes=400).eval()
    torch.save(network.state_dict(), tmp_path / "r.pth")
    encoder = catalogue.load(f"motion:r2plus1d_18={tmp_path / 'r.pth'}")
    assert encoder.spec.offsets == pytest.approx([frame / 30 for frame in range(8)])
    clip = noise(1, 8, 128, 128, 3)
    features = encoder(clip)
    assert features.shape == (1, 512)
    pictures = torch.from_numpy(clip[:, :, 8:120, 8:120]).permute(0, 4, 1, 2, 3) / 255
    mean, deviation = ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989))
    pictures = (pictures - torch.tensor(mean).view(3, 1, 1, 1)) / torch.tensor(deviation).view(3, 1, 1, 1)
    with torch.inference_mode():
        found = network.fc(torch.from_numpy(features).float())
        np.testing.assert_allclose(found, network(pictures), atol=5e-3)
    with pytest.raises(WeightsError, match="not the weights of I3D"):
        catalogue.load(f"motion:{tmp_path / 'r.pth'}")


def test_motion_names_what_it_needs():
    with pytest.raises(UsageError, match="r2plus1d_34=PATH"):
        catalogue.spec("motion:r2plus1d_34")
    with pytest.raises(UsageError, match="no motion network"):
        catalogue.spec("motion:slowfast=x.pth")


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="the sample films are not here")
def test_motion_sees_what_is_done_and_agrees_with_the_published_i3d():
    """Two clips are told right; and of the long jump, the windows that another I3D finds alike are alike.

    The reference features are published ones of the same windows; their numbers themselves differ, for a
    reason not known here (weights, or how frames were read), so likenesses are compared.
    """
    encoder = catalogue.load("motion")
    starts = {
        "flipping_a_pancake.mkv": [0.0],
        "bmt/women_long_jump.mp4": [2.56 * window for window in (0, 2, 4, 8)],
    }
    seen = {}
    for film, times in starts.items():
        clips = [read_frames(DATA / film, rate=25.0, start=t, end=t + 2.56).frames for t in times]
        seen[film] = encoder(np.stack(clips))
    with torch.inference_mode():
        for film, row, action in (
            ("flipping_a_pancake.mkv", 0, "flipping pancake"),
            ("bmt/women_long_jump.mp4", 3, "long jump"),
        ):
            features = torch.from_numpy(seen[film][row]).float().view(1, -1, 1, 1, 1)
            assert names.kinetics400()[encoder.network.logits(features).argmax()] == action
    reference = np.load(DATA / "bmt" / "women_long_jump_rgb.npy")[[0, 2, 4, 8]]
    assert np.corrcoef(likeness(seen["bmt/women_long_jump.mp4"]), likeness(reference))[0, 1] > 0.7


def likeness(features: np.ndarray) -> np.ndarray:
    """Cosines of each pair of rows, about their mean."""
    centred = features.astype(np.float64) - features.astype(np.float64).mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    return (centred @ centred.T)[np.triu_indices(len(centred), 1)]
