import cv2
import numpy as np
import pytest
from PIL import Image

from cinescribe.errors import MediaError, UsageError
from cinescribe.media import flow as module
from cinescribe.media.flow import (
    from_pictures,
    read_picture,
    to_pictures,
    tvl1_flow,
    write_flow,
    write_picture,
)
from cinescribe.media.frames import read_frames
from tests.media.films import write_film

needs_contrib = pytest.mark.skipif(not hasattr(cv2, "optflow"), reason="OpenCV without its contrib modules")


def texture(height: int = 96, width: int = 128) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(height + 64, width + 64)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def moved(right: int, down: int) -> np.ndarray:
    """The texture behind a window, moved by whole pixels."""
    return texture()[32 - down : 128 - down, 32 - right : 160 - right]


def inner(flow: np.ndarray) -> np.ndarray:
    return flow[..., 12:-12, 12:-12, :]


@needs_contrib
@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, -2), (-4, 5)])
def test_a_moved_picture_gives_its_motion(right, down):
    (flow,) = tvl1_flow(np.stack([moved(0, 0), moved(right, down)]))
    assert np.abs(inner(flow) - (right, down)).mean() < 0.1


@needs_contrib
def test_n_frames_give_n_minus_1_flows_and_a_still_none():
    frames = np.stack([moved(k, 0) for k in (0, 1, 1)])
    flows = tvl1_flow(frames)
    assert flows.shape == (2, 96, 128, 2)
    assert flows.dtype == np.float32
    assert np.abs(flows[1]).max() < 1e-3
    assert tvl1_flow(frames[:1]).shape == (0, 96, 128, 2)
    colour = tvl1_flow(np.repeat(frames[..., None], 3, axis=3))
    np.testing.assert_allclose(colour, flows, atol=1e-5)


def test_levels_of_known_motions():
    flow = np.array([[[0, 0], [20, -20], [35, -90], [10, -0.08]]], np.float32)
    picture = to_pictures(flow)
    assert picture.dtype == np.uint8
    assert picture.tolist() == [[[128, 128, 128], [255, 0, 128], [255, 0, 128], [191, 127, 128]]]
    back = from_pictures(picture)
    np.testing.assert_allclose(back, np.clip(flow, -20, 20), atol=0.5 * 40 / 255 + 1e-5)


def test_files_hold_motion_where_the_published_networks_look(tmp_path):
    picture = np.empty((32, 48, 3), np.uint8)
    picture[:] = (200, 90, 128)
    write_picture(tmp_path / "flow.jpg", picture)
    with Image.open(tmp_path / "flow.jpg") as image:
        as_rgb = np.asarray(image.convert("RGB")).astype(int)
        assert image.quantization[0] == [1] * 64  # quality 100
    assert np.abs(as_rgb - (128, 90, 200)).max() <= 2
    assert np.abs(read_picture(tmp_path / "flow.jpg").astype(int) - picture).max() <= 2


@needs_contrib
def test_flow_of_a_film(tmp_path):
    film = write_film(tmp_path / "film.mp4", frames=30)
    assert write_flow(film, tmp_path / "flow", rate=10) == 11
    assert [path.name for path in sorted((tmp_path / "flow").iterdir())][::10] == [
        "flow_00001.jpg",
        "flow_00011.jpg",
    ]
    frames = read_frames(film, rate=10).frames
    expected = to_pictures(tvl1_flow(frames[7:9]))[0]  # across the border of two blocks
    written = read_picture(tmp_path / "flow" / "flow_00008.jpg")
    assert np.abs(written[..., :2].astype(int) - expected[..., :2]).mean() < 3


def test_errors_say_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(MediaError, match=r"absent\.jpg"):
        read_picture(tmp_path / "absent.jpg")
    with pytest.raises(UsageError, match="can't be written"):
        write_picture(tmp_path / "nowhere" / "flow.jpg", np.zeros((8, 8, 3), np.uint8))
    monkeypatch.delattr(cv2, "optflow", raising=False)
    with pytest.raises(UsageError, match="opencv-contrib-python-headless"):
        module.tvl1_flow(np.zeros((2, 32, 32), np.uint8))
