"""Broken and odd files found in the wild: each gives a right result or a MediaError, and none hangs."""

from pathlib import Path

import numpy as np
import pytest

from cinescribe.errors import MediaError
from cinescribe.media.audio import stream_audio
from cinescribe.media.frames import iter_frames
from cinescribe.media.probe import probe
from cinescribe.media.shots import find_shots

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
HOSTILE = sorted(path for path in (DATA / "hostile").rglob("*") if path.is_file())
needs_data = pytest.mark.skipif(not HOSTILE, reason="the collection of hostile files is not there")


@needs_data
@pytest.mark.timeout(120)
@pytest.mark.parametrize("path", HOSTILE or [Path("none")], ids=lambda path: path.name)
def test_a_result_or_a_reason(path):
    try:
        info = probe(path)
    except MediaError as error:
        assert path.name in str(error)  # noqa: PT017
        return
    if info.video_stream >= 0:
        assert info.duration > 0
        assert info.fps > 0
        blocks = list(iter_frames(path, rate=5, size=(96, 64)))
        times = np.concatenate([block.times for block in blocks])
        assert (np.diff(times) >= 0).all()
        assert 0 <= times[0] <= times[-1] < info.duration + 1e-3
        shots = find_shots(path)
        assert shots[0][0] == 0
        assert shots[-1][1] == pytest.approx(info.duration)
    if info.audio:
        try:
            seconds = sum(len(block) for block in stream_audio(path)) / 16000
        except MediaError as error:
            assert error.kind == "damaged"  # noqa: PT017
        else:
            assert 0 < seconds < 60


KINDS = {
    "mp4parse_capi_tests_short-cenc.mp4": "encrypted",
    "mp4parse_capi_tests_av1-clearkey-cbcs-video.mp4": "encrypted",
    "mp4parse_tests_bipbop-cenc-audioinit.mp4": "encrypted",
    "mp4parse_capi_tests_bipbop_audioinit.mp4": "damaged",
    "mp4parse_tests_invalid_userdata.mp4": "damaged",
    "mp4parse_tests_valid-alpha.avif": "not-media",
    "pocketsphinx_null.wav": "damaged",
}


@needs_data
@pytest.mark.parametrize("name", KINDS)
def test_the_reason_is_the_right_one(name):
    path = next(path for path in HOSTILE if path.name == name)
    with pytest.raises(MediaError) as caught:
        probe(path)
    assert caught.value.kind == KINDS[name]


@needs_data
@pytest.mark.parametrize("since", [0.0, 8.4])
def test_seeking_into_a_film_of_an_old_encoder(since):
    """x264 before version 151 in 4:4:4: grey mud from the middle on unless the first packet was read."""
    path = DATA / "video" / "cockatoo.mp4"
    whole = next(iter_frames(path, rate=5, size=(96, 64), block=1000))
    part = next(iter_frames(path, rate=5, start=since, end=since + 2, size=(96, 64)))
    first = round(since * 5)
    np.testing.assert_array_equal(part.frames, whole.frames[first : first + len(part.frames)])
