"""Tracks made from a known film by known delays, speeds and cuts are put back where they came from."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinescribe.errors import MediaError, UsageError
from cinescribe.media.audio import read_audio
from cinescribe.speech.sync import Sync, SyncPiece, main, shift, sync_files, synchronize
from cinescribe.subtitles import read_subtitles, write_srt
from cinescribe.utterance import Utterance, Word

RATE = 8000
DREAM = Path(__file__).parents[2] / ".." / "shared" / "data" / "video" / "elephants_dream"


def _bursts(seconds, seed, rate=RATE):
    """Noise in four bands, each coming and going at its own speech-like times, float32 in [-1, 1]."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate)
    spectrum = np.fft.rfft(rng.normal(size=count).astype(np.float32))
    hertz = np.fft.rfftfreq(count, 1 / rate)
    sound = np.zeros(count, np.float32)
    for low, high in ((100, 300), (300, 800), (800, 1800), (1800, 3800)):
        band = np.fft.irfft(np.where((hertz >= low) & (hertz < high), spectrum, 0), count)
        changes = np.cumsum(rng.uniform(0.08, 0.5, size=round(seconds * 4)))
        levels = rng.choice([0.03, 0.3, 1.0], size=len(changes) + 1)
        level = levels[np.searchsorted(changes, np.arange(count) / rate)]
        level = np.convolve(level, np.ones(rate // 50) / (rate // 50), "same")
        sound += (band / band.std() * level).astype(np.float32)
    return sound / np.abs(sound).max()


def _faster(sound, speed):
    return np.interp(np.arange(0, len(sound) - 1, speed), np.arange(len(sound)), sound).astype(np.float32)


def _described(film, rate=RATE, seed=99):
    """A narrator over the film, ten seconds in twenty, at whose words the film's sound is ducked by 10 dB."""
    voice = _bursts(len(film) / rate, seed, rate)[: len(film)]
    speaks = (np.arange(len(film)) / rate % 20) > 10
    return np.where(speaks, 0.3 * film + 0.6 * voice, film).astype(np.float32)


def _write(path, sound, rate=RATE, codec="flac", bit_rate=None):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        if bit_rate:
            stream.bit_rate = bit_rate
        samples = np.clip(np.rint(sound * 32000), -32768, 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate, frame_size=1152)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def _error(piece, offset, speed):
    """Largest error of film times in the piece, seconds."""
    times = np.array([piece.start, piece.end])
    return np.abs(piece.film_time(times) - (times * speed + offset)).max()


@pytest.fixture(scope="module")
def film():
    return _bursts(240, seed=1)


@settings(max_examples=8, deadline=None, derandomize=True, database=None)
@given(
    begin=st.integers(-90, 120),
    speed=st.sampled_from([1.0, 25 / 24, 24 / 25, 25 / 23.976, 1.001, 1 / 1.001]),
    ppm=st.integers(-400, 400),
    level=st.sampled_from([0.05, 1.0]),
)
def test_offset_and_speed_are_found(film, begin, speed, ppm, level):
    speed *= 1 + ppm * 1e-6
    shown = film[max(0, begin * RATE) :]
    delay = max(0.0, -begin) / speed
    silence = np.zeros(round(delay * RATE), np.float32)
    track = np.concatenate([silence, _faster(_described(shown), speed)]) * level
    sync = synchronize(film, track.astype(np.float32), RATE)
    (piece,) = sync.pieces
    offset = max(0, begin) - len(silence) / RATE * speed
    assert _error(piece, offset, speed) < 0.02
    assert piece.start == pytest.approx(len(silence) / RATE, abs=0.5)
    assert piece.end == pytest.approx(len(track) / RATE, abs=0.5)
    assert sync.confidence > 0.3


def test_integers_and_floats_give_the_same(film):
    track = _described(film[20 * RATE : 100 * RATE])
    as_float = synchronize(film, track, RATE)
    as_integer = synchronize((film * 32767).astype(np.int16), (track * 32767).astype(np.int16), RATE)
    assert as_integer.pieces[0].offset == pytest.approx(as_float.pieces[0].offset, abs=0.002)
    assert as_float.pieces[0].offset == pytest.approx(20, abs=0.02)


def test_a_missing_scene_gives_two_pieces(film):
    track = np.concatenate([_described(film[: 90 * RATE]), _described(film[130 * RATE :])])
    before, after = synchronize(film, track, RATE).pieces
    assert _error(before, 0, 1) < 0.02
    assert _error(after, 40, 1) < 0.02
    assert before.end == pytest.approx(90, abs=5)  # the narrator covers the cut
    assert after.start == pytest.approx(90, abs=5)


def test_a_few_frames_lost_at_a_reel_change_are_found(film):
    track = np.concatenate([film[: 120 * RATE], film[round(120.25 * RATE) :]])
    before, after = synchronize(film, track, RATE).pieces
    assert _error(before, 0, 1) < 0.02
    assert _error(after, 0.25, 1) < 0.02
    assert after.start == pytest.approx(120, abs=3)


def test_adverts_lie_in_no_piece(film):
    adverts = _bursts(60, seed=7)
    track = _faster(np.concatenate([film[: 110 * RATE], adverts, film[110 * RATE :]]), 25 / 24)
    before, after = synchronize(film, track, RATE).pieces
    assert _error(before, 0, 25 / 24) < 0.02
    assert _error(after, -60, 25 / 24) < 0.02
    assert before.end == pytest.approx(110 * 24 / 25, abs=3)
    assert after.start == pytest.approx(170 * 24 / 25, abs=3)


def test_a_stretch_without_film_sound_does_not_part_a_piece(film):
    track = film.copy()
    track[100 * RATE : 140 * RATE] = _bursts(40, seed=8)
    (piece,) = synchronize(film, track, RATE).pieces
    assert (piece.start, piece.offset) == pytest.approx((0, 0), abs=0.02)


@pytest.mark.parametrize("seed", range(2, 8))
@pytest.mark.parametrize("seconds", [12, 60, 200])
def test_another_films_sound_is_refused(film, seed, seconds):
    with pytest.raises(UsageError, match="same film"):
        synchronize(film, _bursts(seconds, seed=seed), RATE)


def test_unusable_sound_is_refused(film):
    with pytest.raises(UsageError, match="10 s"):
        synchronize(film, film[: 5 * RATE], RATE)
    with pytest.raises(UsageError, match="silent"):
        synchronize(film, np.zeros(60 * RATE, np.float32), RATE)
    with pytest.raises(UsageError, match="mono"):
        synchronize(film, np.stack([film, film]), RATE)


def test_utterances_move_with_their_words():
    sync = Sync((SyncPiece(10.0, 100.0, -2.0, 1.25), SyncPiece(100.0, 200.0, 50.0, 1.25)), 0.9)
    word = Word(21.0, 22.0, "Rain.", 0.5)
    said = Utterance(20.0, 24.0, "Rain.", "A", "narrator", (word,), 0.5)
    straddling = Utterance(99.0, 105.0, "Mostly after the cut.")
    advert = Utterance(201.0, 204.0, "Buy now.")
    moved, outside = shift([straddling, said, advert], sync)
    assert moved == [
        Utterance(23.0, 28.0, "Rain.", "A", "narrator", (Word(24.25, 25.5, "Rain.", 0.5),), 0.5),
        Utterance(173.75, 181.25, "Mostly after the cut."),
    ]
    assert outside == [advert]


def test_speech_before_the_film_is_cut_at_its_first_frame():
    sync = Sync((SyncPiece(5.0, 100.0, -5.0, 1.0),), 0.9)
    early = Utterance(4.0, 7.0, "A logo.", words=(Word(4.0, 4.5, "A"), Word(5.5, 7.0, "logo.")))
    announced = Utterance(1.0, 3.0, "Described film follows.")
    moved, outside = shift([announced, early], sync)
    assert moved == [Utterance(0.0, 2.0, "A logo.", words=(Word(0.0, 0.0, "A"), Word(0.5, 2.0, "logo.")))]
    assert outside == [announced]


def test_the_command_moves_subtitles_from_an_mp3_onto_the_film(film, tmp_path, capsys):
    source = _write(tmp_path / "film.flac", film)
    described = _described(film[30 * RATE :])
    adverts = _bursts(40, seed=5)
    at_16k = np.repeat(np.concatenate([described, adverts]), 2)
    track = _write(tmp_path / "track.mp3", at_16k, 2 * RATE, "libmp3lame", 24000)
    cues = [Utterance(50.0, 52.0, "He looks up."), Utterance(245.0, 248.0, "Buy now.")]
    write_srt(cues, tmp_path / "track.srt")
    out = tmp_path / "film.vtt"
    assert main([str(source), str(track), "--subtitles", str(tmp_path / "track.srt"), "--out", str(out)]) == 0
    (moved,) = read_subtitles(out)
    assert moved.text == "He looks up."
    assert moved.start == pytest.approx(80.0, abs=0.02)
    assert moved.end == pytest.approx(82.0, abs=0.02)
    printed = capsys.readouterr()
    assert "+30.0" in printed.out or "+29.9" in printed.out
    assert "1 of 2 cues" in printed.out
    assert "Buy now." in printed.err


def test_errors_name_the_files(film, tmp_path):
    source = _write(tmp_path / "film.flac", film)
    other = _write(tmp_path / "other.flac", _bursts(60, seed=3))
    with pytest.raises(UsageError, match=r"other\.flac on .*film\.flac: .*same film"):
        sync_files(source, other)
    with pytest.raises(MediaError, match=r"none\.mp3"):
        sync_files(source, tmp_path / "none.mp3")
    with pytest.raises(UsageError, match=r"a\.txt"):
        main([str(source), str(other), "--subtitles", "s.srt", "--out", "a.txt"])
    with pytest.raises(UsageError, match="together"):
        main([str(source), str(other), "--out", "a.srt"])


@pytest.fixture(scope="module")
def dream():
    if not DREAM.is_dir():
        pytest.skip("the sample film is not in ../shared/data")
    path = DREAM / "elephants_dream_from46s_720p_hevc.mp4"
    return path, read_audio(path), read_audio(DREAM / "described_audio_16k.flac")


def test_a_real_described_track_is_placed(dream):
    _, own, described = dream
    sync = synchronize(own, described)
    (piece,) = sync.pieces
    assert _error(piece, 0, 1) < 0.02
    assert piece.end - piece.start > 600
    assert sync.confidence > 0.5


def test_a_real_track_at_pal_speed_as_a_noisy_low_rate_mp3_with_a_cut(dream, tmp_path):
    path, _, described = dream
    rate, speed = 16000, 25 / 24
    rng = np.random.default_rng(0)
    kept = np.concatenate([described[60 * rate : 300 * rate], described[345 * rate :]])
    track = np.concatenate([rng.normal(0, 0.01, 33 * rate), _faster(kept, speed)])
    track += rng.normal(0, 0.01, len(track))
    sync = sync_files(path, _write(tmp_path / "track.mp3", track, rate, "libmp3lame", 24000))
    before, after = sync.pieces
    assert _error(before, 60 - 33 * speed, speed) < 0.02
    assert _error(after, 105 - 33 * speed, speed) < 0.02
    assert before.end == pytest.approx(33 + 240 / speed, abs=10)


def test_a_real_films_other_half_is_refused(dream):
    _, own, described = dream
    with pytest.raises(UsageError, match="same film"):
        synchronize(own[: 300 * 16000], described[300 * 16000 :])
