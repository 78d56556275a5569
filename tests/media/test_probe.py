from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cinescribe.errors import MediaError
from cinescribe.media.probe import described_stream, probe
from tests.media.films import tone, write_film


def test_clock_and_picture_of_a_plain_film(tmp_path):
    info = probe(write_film(tmp_path / "a.mp4", audio=tone(2, 48000)))
    assert (info.duration, info.fps, info.start) == (pytest.approx(2.0), pytest.approx(25.0), 0.0)
    assert (info.width, info.height, info.rotation, info.video_codec) == (128, 96, 0, "h264")
    assert not info.variable_frame_rate
    (track,) = info.audio
    assert (track.codec, track.rate, track.channels, track.layout) == ("aac", 48000, 1, "mono")


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_variable_frame_rate_has_its_true_average(tmp_path, suffix):
    times = np.cumsum([0, *[0.02, 0.04, 0.1, 0.3] * 12])
    info = probe(write_film(tmp_path / f"a.{suffix}", frames=len(times), times=list(times)))
    assert info.variable_frame_rate
    assert info.duration == pytest.approx(times[-1] + 0.03, abs=0.02)
    assert info.fps == pytest.approx(len(times) / info.duration)


# The writer's angle is FFmpeg's, counter-clockwise.
@pytest.mark.parametrize(("written", "rotation", "size"), [(90, 270, (96, 128)), (-90, 90, (96, 128))])
def test_rotation_is_clockwise_and_the_size_as_displayed(tmp_path, written, rotation, size):
    info = probe(write_film(tmp_path / "a.mp4", frames=3, rotation=written))
    assert (info.rotation, (info.width, info.height)) == (rotation, size)


def test_pixels_that_are_not_square_are_made_square(tmp_path):
    info = probe(write_film(tmp_path / "a.mp4", frames=3, aspect=Fraction(4, 3)))
    assert (info.width, info.height) == (171, 96)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_times_count_from_the_first_video_frame(tmp_path, suffix):
    path = write_film(
        tmp_path / f"a.{suffix}",
        times=[2 + k / 25 for k in range(50)],
        audio=tone(1, 48000),
        options={"bf": "0"},
    )
    info = probe(path)
    assert info.duration == pytest.approx(2.0, abs=0.01)
    assert info.fps == pytest.approx(25, rel=0.01)
    if suffix != "ts":
        assert info.start == pytest.approx(2.0)


def test_a_header_without_duration_is_measured(tmp_path):
    path = write_film(tmp_path / "a.webm", codec="libvpx-vp9", container_options={"live": "1"})
    info = probe(path)
    assert not info.length_declared
    assert info.duration == pytest.approx(2.0, abs=0.002)


def test_audio_only_has_no_picture(tmp_path):
    info = probe(write_film(tmp_path / "a.flac", frames=0, audio=tone(1, 48000), audio_codec="flac"))
    assert (info.width, info.height, info.fps, info.video_stream) == (0, 0, 0.0, -1)
    assert info.duration == pytest.approx(1.0)


def test_an_attached_picture_is_not_a_film(tmp_path):
    source = write_film(tmp_path / "a.m4a", frames=0, audio=tone(1, 48000))
    cover = write_film(tmp_path / "b.mp4", frames=1, codec="mjpeg", pixel_format="yuvj420p")
    path = tmp_path / "covered.mp4"
    with av.open(str(source)) as sound, av.open(str(cover)) as picture, av.open(str(path), "w") as out:
        tracks = [out.add_stream_from_template(part.streams[0]) for part in (sound, picture)]
        tracks[1].disposition = av.stream.Disposition.attached_pic
        for part, track in zip((picture, sound), tracks[::-1], strict=True):
            for packet in part.demux():
                if packet.dts is not None:
                    packet.stream = track
                    out.mux(packet)
    info = probe(path)
    assert (info.video_stream, info.width, len(info.audio)) == (-1, 0, 1)


def test_one_frame(tmp_path):
    info = probe(write_film(tmp_path / "a.mp4", frames=1))
    assert (info.duration, info.fps) == (pytest.approx(0.04), pytest.approx(25))


def test_the_description_track_is_found_by_its_mark_or_title(tmp_path):
    info = probe(write_film(tmp_path / "a.mp4", audio=tone(1, 48000)))
    (plain,) = info.audio
    marked = replace(plain, index=2, visual_impaired=True)
    titled = replace(plain, index=3, title="English Audio Description")
    assert described_stream(info) is None
    assert described_stream(replace(info, audio=(plain, titled))) == 3
    assert described_stream(replace(info, audio=(plain, titled, marked))) == 2


_WAV_HEADER = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80>\0\0\0}\0\0\2\0\x10\0data"


def _cut(path: Path, keep: float, **film: object) -> Path:
    whole = write_film(path, **film).read_bytes()  # type: ignore[arg-type]
    path.write_bytes(whole[: int(len(whole) * keep)])
    return path


def test_a_truncated_film_is_as_long_as_its_data(tmp_path):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (96, 128, 3), np.uint8) for _ in range(50)]
    options = {"movflags": "faststart"}
    info = probe(_cut(tmp_path / "a.mp4", 0.5, images=noise, container_options=options))
    assert 0.3 < info.duration < 1.7


@pytest.mark.parametrize(
    ("name", "content", "kind", "says"),
    [
        ("gone.mp4", None, "missing", "No such file"),
        ("zero.mp4", b"", "empty", "zero bytes"),
        ("text.mp4", b"Once upon a time\n" * 50, "not-media", "not a film"),
        ("list.mp4", b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:1,\n/etc/passwd\n", "not-media", "not a film"),
        ("list.txt", b"ffconcat version 1.0\nfile /etc/passwd\n", "not-media", "not a film"),
        ("page.mp4", b"<html><body>404 Not Found</body></html>", "not-media", "not a film"),
        ("head.wav", _WAV_HEADER + bytes(4), "damaged", "no audio frame"),
    ],
)
def test_what_is_not_a_film_says_so(tmp_path, name, content, kind, says):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaError, match=says) as caught:
        probe(tmp_path / name)
    assert caught.value.kind == kind
    assert name in str(caught.value)


def test_a_missing_index_is_named(tmp_path):
    path = _cut(tmp_path / "a.mp4", 0.6)
    with pytest.raises(MediaError, match="moov"):
        probe(path)


def test_a_folder_is_not_a_film(tmp_path):
    with pytest.raises(MediaError) as caught:
        probe(tmp_path)
    assert caught.value.kind == "not-media"


def test_names_that_look_like_options_or_protocols(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("-dash.mp4", "concat:a.mp4", "100% #1\nü.mp4", "%03d.mp4"):
        write_film(tmp_path / "plain.mp4", frames=2).rename(tmp_path / name)
        assert probe(Path(name)).fps == pytest.approx(25)


def test_a_clock_that_runs_over_years_is_damage(tmp_path):
    day = write_film(tmp_path / "day.mkv", frames=2, times=[0, 86400.0])
    assert probe(day).duration == pytest.approx(86400, abs=0.1)
    years = write_film(tmp_path / "years.mkv", frames=2, times=[0, 1e8])
    with pytest.raises(MediaError, match=r"years.mkv: its clock runs over 1157 days") as error:
        probe(years)
    assert error.value.kind == "damaged"
