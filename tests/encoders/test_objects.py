"""Objects are recognised on real frames, and their probabilities are probabilities."""

from pathlib import Path

import numpy as np
import pytest

from cinescribe.encoders import catalogue, objects
from cinescribe.encoders.objects import ObjectEncoder
from cinescribe.errors import UsageError
from cinescribe.media.frames import read_frames

VIDEO = Path(__file__).parents[2] / "../shared/data/video"
needs_video = pytest.mark.skipif(not VIDEO.is_dir(), reason="the shared films are not there")


@pytest.fixture(scope="module")
def encoder() -> ObjectEncoder:
    loaded = catalogue.load("objects")
    assert isinstance(loaded, ObjectEncoder)
    return loaded


def test_what_is_known_before_loading() -> None:
    spec = catalogue.spec("objects@2")
    assert (spec.name, spec.hz, spec.dim, spec.offsets) == ("objects", 2.0, 1000, (0.25,))
    with pytest.raises(UsageError, match="objects have one model"):
        catalogue.spec("objects:resnet50")


def test_names_are_imagenets_in_its_order_and_all_different() -> None:
    from timm.data import ImageNetInfo

    labels = objects.labels()
    assert len(set(labels)) == 1000
    published = ImageNetInfo().label_descriptions()
    same = [name == text.split(",")[0] for name, text in zip(labels, published, strict=True)]
    assert [labels[i] for i in np.flatnonzero(~np.array(same))] == [
        "crane bird",
        "construction crane",
        "tank suit",
    ]


def test_features_are_probabilities(encoder: ObjectEncoder) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 1, 90, 160, 3), dtype=np.uint8)
    rows = encoder(frames)
    assert rows.shape == (3, 1000)
    assert rows.dtype == np.float16
    assert np.allclose(rows.astype(np.float32).sum(1), 1.0, atol=0.01)
    assert np.abs(encoder(frames[1:2])[0].astype(np.float32) - rows[1]).max() < 2e-3  # whatever the batch


@needs_video
@pytest.mark.parametrize(
    ("film", "start", "expected"),
    [
        ("v_GGSY1Qvo990.mp4", 0.5, "barbell"),
        ("cockatoo.mp4", 0.5, "sulphur-crested cockatoo"),
    ],
)
def test_real_frames_are_called_what_they_show(
    encoder: ObjectEncoder, film: str, start: float, expected: str
) -> None:
    frames = read_frames(VIDEO / film, rate=1.0, start=start, end=start + 3.0).frames
    mean = encoder(frames[:, None]).astype(np.float32).mean(0)
    assert objects.labels()[int(mean.argmax())] == expected
    assert mean.max() > 0.4
