import itertools

import numpy as np
import pytest

from cinescribe.errors import MediaError
from cinescribe.media.shots import find_shots
from tests.media.films import tone, write_film

# Seconds; the third shot is a camera that pans over one picture.
CUTS = (1.2, 2.0, 4.4)


def _scene(seed, wide=False):
    """A picture of blocks of colour, [96, 128 or 512, 3]."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 255, (6, 32 if wide else 8, 3))
    return np.kron(blocks, np.ones((16, 16, 1))).astype(np.uint8)


def _images(times):
    wide = _scene(9, wide=True)
    for time in times:
        shot = sum(time >= cut - 1e-6 for cut in CUTS)
        if shot == 2:
            at = round((time - 2.0) * 150)
            yield wide[:, at : at + 128]
        else:
            yield _scene(shot)


@pytest.mark.parametrize(
    ("name", "film"),
    [
        ("a.mp4", {}),
        ("bframes.mkv", {"options": {"bf": "4", "g": "250"}}),
        ("10bit.mp4", {"pixel_format": "yuv422p10le", "codec": "prores_ks"}),
        ("rgb.mov", {"codec": "qtrle", "pixel_format": "rgb24"}),
        ("large.mp4", {"size": (640, 480)}),
        ("rotated.mp4", {"rotation": 90}),
    ],
)
def test_cuts_are_found_to_the_frame_and_motion_is_none(tmp_path, name, film):
    times = [k / 25 for k in range(140)]
    images = list(_images(times))
    if "size" in film:
        images = [np.kron(image, np.ones((5, 5, 1), np.uint8)) for image in images]
    if name == "10bit.mp4":
        name = "10bit.mov"
    shots = find_shots(write_film(tmp_path / name, images=images, times=times, **film))
    edges = [0.0, *CUTS, 5.6]
    np.testing.assert_allclose(shots, list(itertools.pairwise(edges)), atol=1e-3)


def test_times_are_the_frames_own_at_variable_frame_rate(tmp_path):
    times = list(np.cumsum([0, *[0.02, 0.03, 0.06, 0.05] * 35])[:140])
    starts = [times[next(k for k, t in enumerate(times) if t >= cut - 1e-6)] for cut in CUTS]
    shots = find_shots(write_film(tmp_path / "a.mkv", images=list(_images(times)), times=times))
    np.testing.assert_allclose([start for start, _ in shots], [0, *starts], atol=1e-3)


def test_a_film_without_cuts_is_one_shot(tmp_path):
    assert find_shots(write_film(tmp_path / "a.mp4", frames=1)) == [(0.0, pytest.approx(0.04))]


def test_sound_has_no_shots(tmp_path):
    path = write_film(tmp_path / "a.flac", frames=0, audio=tone(1, 48000), audio_codec="flac")
    with pytest.raises(MediaError) as caught:
        find_shots(path)
    assert caught.value.kind == "no-video"
