import struct
from fractions import Fraction

import numpy as np
import pytest

from cinescribe.errors import MediaError
from cinescribe.media import frames as module
from cinescribe.media.decord_frames import decord_is_right
from cinescribe.media.frames import FrameReader, iter_frames, read_frames
from cinescribe.media.probe import probe
from tests.media.films import numbered_frame, read_number, tone, write_film

FILMS = {
    "h264.mp4": {},
    "h264.mkv": {},
    "h264.flv": {},
    "fragmented.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "open-gop.mkv": {"options": {"x264-params": "open-gop=1:keyint=12:bframes=3"}},
    "h265.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none"}},
    "h264-10bit.mp4": {"pixel_format": "yuv420p10le"},
    "h264-444.mp4": {"pixel_format": "yuv444p"},
    "full-range.mp4": {"pixel_format": "yuvj420p"},
    "grey.mp4": {"pixel_format": "gray"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "live.webm": {"codec": "libvpx-vp9", "container_options": {"live": "1"}},
    "av1.mp4": {"codec": "libsvtav1"},
    "prores.mov": {"codec": "prores_ks", "pixel_format": "yuv422p10le"},
    "transport.ts": {"options": {"g": "10", "bf": "2"}},
    "motion.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "odd.mp4": {"size": (127, 95), "pixel_format": "yuv444p"},
    "tiny.mp4": {"size": (16, 16), "pixel_format": "yuv444p"},
    "late.mp4": {"times": [3 + k / 25 for k in range(50)]},
    "anamorphic.mp4": {"aspect": Fraction(4, 3)},
}


@pytest.mark.parametrize("name", FILMS)
def test_each_time_gives_the_frame_on_screen(tmp_path, name):
    path = write_film(tmp_path / name, **FILMS[name])
    for start, end in ((0.0, None), (1.2, 1.7)):
        read = read_frames(path, rate=10, start=start, end=end)
        asked = np.arange(start, end or 2.0, 0.1)
        on_screen = np.floor(asked * 25 + 1e-6).astype(int)
        assert [read_number(frame) for frame in read.frames] == on_screen.tolist()
        np.testing.assert_allclose(read.times, on_screen / 25, atol=1e-3)
    info = probe(path)
    assert read.frames.shape[1:] == (info.height, info.width, 3)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_variable_frame_rate(tmp_path, suffix):
    times = np.cumsum([0, *[0.02, 0.04, 0.1, 0.3] * 12])
    path = write_film(tmp_path / f"a.{suffix}", frames=len(times), times=list(times))
    read = read_frames(path, rate=20)
    asked = np.arange(len(read.times)) / 20
    on_screen = np.searchsorted(times, asked + 1e-3, side="right") - 1
    assert [read_number(frame) for frame in read.frames] == on_screen.tolist()
    np.testing.assert_allclose(read.times, times[on_screen], atol=1e-3)


@pytest.mark.parametrize(("angle", "turns"), [(90, 1), (180, 2), (-90, -1)])
def test_frames_are_upright(tmp_path, angle, turns):
    path = write_film(tmp_path / "a.mp4", frames=20, rotation=angle, pixel_format="yuv444p")
    read = read_frames(path, rate=25)
    truth = np.rot90(numbered_frame(19, 128, 96), turns)  # counter-clockwise, as the writer's angle
    assert np.abs(read.frames[19].astype(int) - truth).mean() < 4
    # Turned before it is scaled.
    small = read_frames(path, rate=25, size=(84, 90))
    assert small.frames.shape == (20, 90, 84, 3)


def moving(frames):
    """Pictures of a smooth pattern that moves, [96, 128, 3] each."""
    coarse = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    pattern = np.kron(coarse, np.ones((8, 8, 1), np.uint8))
    return [np.roll(pattern, 3 * k, 1) for k in range(frames)]


def test_colours_are_those_of_the_film(tmp_path):
    path = write_film(tmp_path / "a.mp4", images=moving(5), pixel_format="yuv444p")
    assert np.abs(read_frames(path, rate=25).frames.astype(int) - np.stack(moving(5))).mean() < 4


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("size", [None, (96, 64)])
def test_frames_now_and_then_are_those_of_the_whole(tmp_path, codec, size):
    # Groups of pictures that lean on the one before, as x265 writes them: who seeks into one may be wrong.
    parameters = "log-level=none:keyint=12:min-keyint=12:open-gop=1:bframes=3:scenecut=0"
    options = {f"{codec.removeprefix('lib')}-params": parameters}
    path = write_film(tmp_path / "a.mkv", images=moving(60), codec=codec, options=options)
    whole = read_frames(path, rate=25, size=size).frames
    np.testing.assert_array_equal(read_frames(path, rate=5, size=size).frames, whole[::5])
    np.testing.assert_array_equal(read_frames(path, rate=5, start=1.2, size=size).frames, whole[30::5])


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "gray"])
def test_decord_when_asked_for_gives_the_same_pixels(tmp_path, pixel_format):
    tags = {"x264-params": "colormatrix=bt709:colorprim=bt709:transfer=bt709"}
    path = write_film(tmp_path / "a.mp4", images=moving(25), pixel_format=pixel_format, options=tags)
    assert decord_is_right(probe(path), (128, 96))
    ours, theirs = (
        next(FrameReader(path, decoder=decoder).at(np.arange(24) / 25)) for decoder in ("pyav", "decord")
    )
    np.testing.assert_allclose(ours.times, theirs.times, atol=1e-6)
    np.testing.assert_array_equal(ours.frames, theirs.frames)


def test_what_decord_gets_wrong_is_read_by_pyav_though_decord_was_asked_for(tmp_path):
    path = write_film(tmp_path / "a.ts", frames=30, options={"g": "10", "bf": "2"})
    frames = next(FrameReader(path, decoder="decord").at(np.arange(30) / 25)).frames
    assert [read_number(frame) for frame in frames] == list(range(30))


def test_times_far_apart_give_the_frames_on_screen(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_FAR", 0.3)
    path = write_film(tmp_path / "a.mp4", options={"g": "5"})
    asked = np.array([0.0, 0.04, 0.6, 0.64, 1.2, 1.92])
    read = np.concatenate([part.frames for part in FrameReader(path).at(asked)])
    assert [read_number(frame) for frame in read] == [0, 1, 15, 16, 30, 48]


def test_blocks_are_the_whole_in_order(tmp_path):
    path = write_film(tmp_path / "a.mp4")
    whole = read_frames(path, rate=25)
    blocks = list(iter_frames(path, rate=25, block=16))
    assert [len(block.times) for block in blocks] == [16, 16, 16, 2]
    np.testing.assert_array_equal(np.concatenate([block.frames for block in blocks]), whole.frames)


def test_frames_hidden_by_an_edit_list_are_not_shown(tmp_path):
    path = write_film(tmp_path / "a.mp4", frames=100, options={"g": "50", "bf": "2"})
    data = bytearray(path.read_bytes())
    at = data.find(b"elst") + 16  # media_time of the first edit, in the video's 1/90000 s
    data[at : at + 4] = struct.pack(">i", struct.unpack(">i", data[at : at + 4])[0] + 72000)
    path.write_bytes(data)
    assert probe(path).hidden_frames == 20
    read = read_frames(path, rate=5)
    assert [read_number(frame) for frame in read.frames] == list(range(20, 100, 5))
    np.testing.assert_allclose(read.times, np.arange(16) / 5, atol=1e-3)


def test_damage_in_the_middle_costs_only_its_frames(tmp_path):
    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 255, (96, 128, 3), np.uint8) for _ in range(50)]
    path = write_film(tmp_path / "a.mp4", images=noise, options={"g": "10", "bf": "0"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    path.write_bytes(data)
    read = read_frames(path, rate=25)
    for k in (0, 5, 45, 49):
        assert read.times[k] == pytest.approx(k / 25, abs=1e-3)
        assert np.abs(read.frames[k].astype(int) - noise[k]).mean() < 60


def test_a_truncated_film_gives_what_is_there(tmp_path):
    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 255, (96, 128, 3), np.uint8) for _ in range(50)]
    path = write_film(tmp_path / "a.mp4", images=noise, container_options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    read = read_frames(path, rate=25)
    assert 5 < len(read.times) < 45
    assert (np.diff(read.times) > 0.03).all()


def test_no_frames_to_give(tmp_path):
    film = write_film(tmp_path / "a.mp4", frames=5)
    for path, start, kind in (
        (film, 9.0, "too-short"),
        (write_film(tmp_path / "b.flac", frames=0, audio=tone(1, 16000), audio_codec="flac"), 0, "no-video"),
    ):
        with pytest.raises(MediaError) as caught:
            read_frames(path, rate=1, start=start)
        assert caught.value.kind == kind
