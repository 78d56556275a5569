import gc
import os

import av
import numpy as np
import pytest

from cinescribe.errors import MediaError, UsageError
from cinescribe.media.audio import AudioReport, read_audio, spool_audio, stream_audio
from tests.media.films import click_times, clicks, tone, write_film

RATE = 16000


def _level(samples, hertz, rate=RATE):
    """Amplitude of one frequency."""
    t = np.arange(len(samples)) / rate
    return 2 * abs(np.mean(samples * np.exp(-2j * np.pi * hertz * t)))


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000])
def test_clicks_stay_on_time_at_any_rate(tmp_path, rate):
    path = write_film(
        tmp_path / "a.mkv",
        frames=250,
        size=(32, 32),
        audio=clicks(9.5, rate),
        audio_rate=rate,
        audio_codec="flac",
    )
    samples = read_audio(path, rate=RATE)
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(9.5 * RATE, abs=RATE // 100)
    np.testing.assert_allclose(click_times(samples, RATE), range(1, 10), atol=0.001)


def test_resampling_keeps_the_band_and_lets_nothing_fold_back(tmp_path):
    sound = tone(2, 48000, 1000, 0.4) + tone(2, 48000, 11000, 0.4)
    path = write_film(tmp_path / "a.flac", frames=0, audio=sound, audio_codec="flac")
    samples = read_audio(path)[1000:-1000]
    assert _level(samples, 1000) == pytest.approx(0.4, abs=0.01)
    assert _level(samples, 5000) < 0.001  # where 11 kHz would fold to


@pytest.mark.parametrize("codec", ["aac", "libopus", "ac3", "flac"])
@pytest.mark.parametrize("offset", [0.0, 1.5])
def test_a_late_stream_is_padded(tmp_path, codec, offset):
    path = write_film(
        tmp_path / "a.mkv",
        frames=150,
        size=(32, 32),
        audio=clicks(4.5, 48000),
        audio_codec=codec,
        audio_start=offset,
    )
    found = click_times(read_audio(path), RATE)
    np.testing.assert_allclose(found, np.arange(1, 5) + offset, atol=0.010)


def test_sound_before_the_first_video_frame_is_cut(tmp_path):
    times = [1.5 + k / 25 for k in range(75)]
    path = write_film(tmp_path / "a.mp4", frames=75, times=times, size=(32, 32), audio=clicks(4.5, 48000))
    found = click_times(read_audio(path), RATE)
    np.testing.assert_allclose(found, [0.5, 1.5, 2.5], atol=0.010)


def test_a_part_is_the_same_as_in_the_whole(tmp_path):
    path = write_film(
        tmp_path / "a.mp4", frames=250, size=(32, 32), audio=clicks(9.5, 44100), audio_rate=44100
    )
    whole = read_audio(path)
    part = read_audio(path, start=3.3, end=7.7)
    assert len(part) == round(4.4 * RATE)
    np.testing.assert_allclose(click_times(part, RATE), np.arange(4, 8) - 3.3, atol=0.002)
    assert np.abs(part[800:-800] - whole[52800:][: len(part)][800:-800]).max() < 0.05


def test_the_centre_of_5_1_is_kept_whole(tmp_path):
    channels = np.zeros((6, 48000), np.float32)  # FL FR FC LFE BL BR
    channels[0], channels[2] = tone(1, 48000, 500, 0.5), tone(1, 48000, 1500, 0.5)
    channels[3] = tone(1, 48000, 60, 0.5)
    path = write_film(tmp_path / "a.flac", frames=0, audio=channels, layout="5.1", audio_codec="flac")
    samples = read_audio(path)[1000:-1000]
    assert _level(samples, 1500) > 0.1
    assert _level(samples, 500) / _level(samples, 1500) == pytest.approx(0.707, abs=0.01)
    assert _level(samples, 60) < 0.001


def test_full_channels_don_t_clip(tmp_path):
    path = write_film(
        tmp_path / "a.flac",
        frames=0,
        audio=np.stack([tone(1, 48000, level=0.99)] * 2),
        layout="stereo",
        audio_codec="flac",
    )
    assert _level(read_audio(path)[1000:-1000], 440) == pytest.approx(0.99, abs=0.01)


def test_a_gap_becomes_silence_and_is_reported(tmp_path):
    path = write_film(tmp_path / "a.mka", frames=0, audio=clicks(7.5, 48000), audio_codec="libopus")
    gapped = tmp_path / "gapped.mka"
    with av.open(str(path)) as source, av.open(str(gapped), "w") as out:
        track = out.add_stream_from_template(source.streams[0])
        for packet in source.demux():
            if packet.dts is not None and not 2.5 <= float(packet.pts * packet.time_base) < 4.5:
                packet.stream = track
                out.mux(packet)
    report = AudioReport()
    samples = read_audio(gapped, report=report)
    np.testing.assert_allclose(click_times(samples, RATE), [1, 2, 5, 6, 7], atol=0.010)
    assert report.gaps == pytest.approx(2.0, abs=0.05)
    assert report.damaged == 0


def test_an_overlap_is_cut(tmp_path):
    """Two recordings joined byte by byte, the second starting 0.5 s before the first ends."""
    parts = [
        write_film(tmp_path / f"{start}.ts", frames=0, audio=clicks(4.0, 48000), audio_start=start)
        for start in (0.0, 3.5)
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    samples = read_audio(path)
    assert len(samples) == pytest.approx(7.5 * RATE, abs=RATE // 20)
    np.testing.assert_allclose(click_times(samples, RATE), [1, 2, 3, 4.5, 5.5, 6.5], atol=0.025)


def test_a_clock_that_drifts_stays_within_10_ms(tmp_path):
    """Time stamps that run 0.1% fast, as a capture card writes them: 60 ms over a minute."""
    path = tmp_path / "a.mka"
    sound = clicks(60, 48000, every=10.0)
    with av.open(str(path), "w") as out:
        track = out.add_stream("pcm_s16le", rate=48000, layout="mono")
        for offset in range(0, len(sound), 1024):
            frame = av.AudioFrame.from_ndarray(
                (sound[None, offset : offset + 1024] * 32767).astype(np.int16), format="s16", layout="mono"
            )
            frame.sample_rate, frame.pts = 48000, round(offset * 1.001)
            for packet in track.encode(frame):
                out.mux(packet)
        out.mux(track.encode(None))
    found = click_times(read_audio(path), RATE)
    np.testing.assert_allclose(found, np.arange(10, 60, 10) * 1.001, atol=0.010)


def test_damaged_packets_become_silence_and_are_reported(tmp_path):
    path = write_film(tmp_path / "a.mp4", frames=0, audio=clicks(9.5, 48000), audio_codec="aac")
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size, float(p.pts * p.time_base)) for p in container.demux() if p.size]
    data = bytearray(path.read_bytes())
    for position, size, at in packets:
        if 3.2 <= at < 5.2:
            data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    report = AudioReport()
    samples = read_audio(path, report=report)
    assert report.damaged == pytest.approx(2.0, abs=0.1)
    np.testing.assert_allclose(
        [t for t in click_times(samples, RATE) if not 3.1 < t < 5.3], [1, 2, 3, 6, 7, 8, 9], atol=0.010
    )
    assert np.abs(samples[round(3.4 * RATE) : round(5.0 * RATE)]).max() == 0


def test_a_stream_of_nothing_but_damage_is_an_error(tmp_path):
    path = write_film(tmp_path / "a.mkv", frames=5, audio=tone(1, 48000), audio_codec="flac")
    with av.open(str(path)) as container:
        packets = [p.size for p in container.demux(audio=0) if p.size]
        payloads = [bytes(p) for p in av.open(str(path)).demux(audio=0) if p.size]
    data = path.read_bytes()
    for payload, size in zip(payloads, packets, strict=True):
        data = data.replace(payload, bytes(size))
    path.write_bytes(data)
    with pytest.raises(MediaError) as caught:
        read_audio(path)
    assert caught.value.kind == "damaged"


def test_blocks_and_spool_hold_the_same_samples(tmp_path):
    path = write_film(
        tmp_path / "a.flac", frames=0, audio=tone(5.3, 44100), audio_rate=44100, audio_codec="flac"
    )
    whole = read_audio(path)
    blocks = list(stream_audio(path, block=2.0))
    assert [len(block) for block in blocks] == [32000, 32000, len(whole) - 64000]
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    folder = tmp_path / "spool"
    spooled = spool_audio(path, folder)
    assert isinstance(spooled, np.memmap)
    assert spooled.dtype == np.int16
    np.testing.assert_allclose(spooled / 32768, whole, atol=1 / 32768)
    assert os.listdir(folder) == []  # nothing is left for others to clean up
    del spooled
    gc.collect()


def test_which_stream(tmp_path):
    path = tmp_path / "two.mkv"
    one = write_film(tmp_path / "1.flac", frames=0, audio=tone(1, 48000, 500), audio_codec="flac")
    two = write_film(tmp_path / "2.flac", frames=0, audio=tone(1, 48000, 1500), audio_codec="flac")
    with av.open(str(path), "w") as out:
        sources = [av.open(str(part)) for part in (one, two)]
        tracks = [out.add_stream_from_template(source.streams[0]) for source in sources]
        tracks[0].disposition, tracks[1].disposition = 0, av.stream.Disposition.default
        for source, track in zip(sources, tracks, strict=True):
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = track
                    out.mux(packet)
            source.close()
    report = AudioReport()
    assert _level(read_audio(path, report=report)[1000:-1000], 1500) > 0.4
    assert report.stream == 1
    assert _level(read_audio(path, stream=0)[1000:-1000], 500) > 0.4
    with pytest.raises(UsageError, match=r"\[0, 1\]"):
        read_audio(path, stream=7)


def test_no_sound_to_give(tmp_path):
    silent = write_film(tmp_path / "a.mp4", frames=5)
    short = write_film(tmp_path / "b.flac", frames=0, audio=tone(1, 48000), audio_codec="flac")
    for path, start, kind in ((silent, 0.0, "no-audio"), (short, 3.0, "too-short")):
        with pytest.raises(MediaError) as caught:
            read_audio(path, start=start)
        assert caught.value.kind == kind
