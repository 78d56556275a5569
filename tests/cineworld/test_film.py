import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cinescribe import zoo
from cinescribe.cineworld.film import Production, main, produce, render_film
from cinescribe.cineworld.truth import Truth, read_truth
from cinescribe.cineworld.voices import RATE, VOICES, Samples, Voice, speak
from cinescribe.errors import UsageError, WeightsError

SEED = 5


def loudness(samples: Samples, start: float, end: float) -> float:
    """Root mean square between two times in seconds."""
    return float(np.sqrt(np.mean(samples[round(start * RATE) : round(end * RATE)] ** 2)))


@pytest.fixture(scope="module", autouse=True)
def _voices() -> None:
    pytest.importorskip("piper")
    try:
        for voice in VOICES:
            zoo.path(voice.base)
    except WeightsError as error:
        pytest.skip(f"no voices here: {error}")


@pytest.fixture(scope="module")
def production() -> Production:
    return produce(SEED, scenes=2)


def test_same_seed_same_truth_and_same_sound(production: Production, tmp_path: Path) -> None:
    truth = render_film(SEED, tmp_path / "film.wav", scenes=2, picture=False)
    assert truth == production.truth == read_truth(tmp_path / "film.wav")
    again = (tmp_path / "film.wav").read_bytes()
    samples = np.frombuffer(again[-2 * len(production.sound.mix()) :], dtype=np.int16)
    assert np.array_equal(samples, np.round(production.sound.mix() * 32767).astype(np.int16))
    assert len(samples) / RATE == pytest.approx(truth.duration, abs=1 / RATE)


def test_utterance_times_are_those_of_the_audible_speech(production: Production) -> None:
    speech, truth = production.sound.speech, production.truth
    level = float(np.sqrt(np.mean(speech[speech != 0] ** 2)))
    for line in truth.utterances:
        assert loudness(speech, line.start, line.end) > 0.5 * level, line
        assert loudness(speech, line.start, line.start + 0.08) > 0.02 * level, line
        assert loudness(speech, line.end - 0.08, line.end) > 0.02 * level, line
    silent = np.ones(len(speech), dtype=bool)
    for line in truth.utterances:
        silent[int(line.start * RATE) - 5 : int(line.end * RATE) + 5] = False
    assert not speech[silent].any()
    assert all(a.end + 0.25 < b.start for a, b in zip(truth.utterances, truth.utterances[1:], strict=False))


def test_speech_stands_out_from_music_and_music_is_where_the_truth_says(production: Production) -> None:
    sound = production.sound
    for start, end in sound.music_intervals:
        assert loudness(sound.music, start, end) > 0.004
    elsewhere = np.ones(len(sound.music), dtype=bool)
    for start, end in sound.music_intervals:
        elsewhere[int(start * RATE) : int(end * RATE) + 1] = False
    assert not sound.music[elsewhere].any()
    for line in production.truth.utterances:
        spoken = loudness(sound.speech, line.start, line.end)
        under = loudness(sound.music + sound.ambience, line.start, line.end)
        assert spoken > 4 * under, line.text  # 12 dB
    title = loudness(sound.mix(), 1.0, 3.0)
    assert title > 0.008  # music is heard where nobody speaks


def test_voices_differ_in_pitch_and_keep_the_pace() -> None:
    base = VOICES[1]
    deep = Voice("deep", base.base, base.gender, 0.86, base.speed)
    text = "I found the letter on the table this morning."
    plain, low = speak([(base, text), (deep, text)])
    assert len(low) / len(plain) == pytest.approx(1, abs=0.06)
    assert _pitch(low) / _pitch(plain) == pytest.approx(0.86, abs=0.05)
    assert np.array_equal(plain, speak([(base, text)])[0])


def _pitch(samples: Samples) -> float:
    """Median fundamental frequency in Hz of the loud 60-ms frames, by autocorrelation (70-300 Hz)."""
    found = []
    size = round(0.06 * RATE)
    for at in range(0, len(samples) - size, size // 2):
        frame = samples[at : at + size]
        if np.sqrt(np.mean(frame**2)) < 0.05:
            continue
        frame = frame * np.hanning(size)
        spectrum = np.abs(np.fft.rfft(frame, 2 * size)) ** 2
        correlation = np.fft.irfft(spectrum)[:size]
        low, high = RATE // 300, RATE // 70
        peak = low + int(np.argmax(correlation[low:high]))
        if correlation[peak] > 0.5 * correlation[0]:
            found.append(RATE / peak)
    return float(np.median(found))


def test_a_wrong_suffix_or_number_is_refused_before_anything_is_rendered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=r"must end in \.mp4"):
        render_film(1, tmp_path / "film.avi")
    with pytest.raises(UsageError, match=r"\.wav or \.flac"):
        render_film(1, tmp_path / "film.mp4", picture=False)
    assert main([str(tmp_path / "film.wav"), "--scenes", "9"]) == 2
    assert "2 to 5 scenes" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_rendered_film_is_what_its_truth_says(tmp_path: Path) -> None:
    import av

    path = tmp_path / "film.mp4"
    command = [
        sys.executable,
        "-m",
        "cinescribe.cineworld.film",
        str(path),
        "--seed",
        str(SEED),
        "--scenes",
        "2",
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)
    truth: Truth = read_truth(path)
    assert sorted(tmp_path.iterdir()) == [path, path.with_suffix(".truth.json")]
    assert path.read_bytes().find(b"moov") < path.read_bytes().find(b"mdat")  # plays before it is all there
    with av.open(str(path)) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    with av.open(str(path)) as film:
        sound = np.concatenate([block.to_ndarray()[0] for block in film.decode(audio=0)])
    assert frames[0].shape == (truth.height, truth.width, 3) == (360, 640, 3)
    assert len(frames) == round(truth.duration * truth.fps)
    assert len(sound) / RATE == pytest.approx(truth.duration, abs=0.1)

    change = np.array([np.abs(b.astype(int) - a).mean() for a, b in itertools.pairwise(frames)])
    cuts = [round(shot.start * truth.fps) for shot in truth.shots[1:]]
    fading = {cut - k for cut in [*cuts, len(frames)] for k in range(1, 12)} | set(range(14))
    steady = [change[k - 1] for k in range(1, len(frames)) if k not in cuts and k not in fading]
    assert min(change[cut - 1] for cut in cuts) > 2 * max(steady)

    produced = produce(SEED, scenes=2)
    written = np.clip(sound[: len(produced.sound.mix())], -1, 1)
    assert np.corrcoef(written, produced.sound.mix()[: len(written)])[0, 1] > 0.98  # in step with the truth


@pytest.mark.slow
def test_a_film_of_a_world_is_spoken_as_it_is_on_paper(tmp_path: Path) -> None:
    from cinescribe.cineworld.film import render_story
    from cinescribe.cineworld.world import World, WorldSettings

    paper = World(WorldSettings(seed=1)).film(0)
    truth = render_story(paper.story, tmp_path / "film.wav", picture=False)
    assert [(u.text, u.speaker, u.role) for u in truth.utterances] == [
        (u.text, u.speaker, u.role) for u in paper.utterances()
    ]
    assert [(a.who, a.verb, a.object, a.feeling) for a in truth.actions] == [
        (a["who"], a["verb"], a["object"], a["feeling"]) for a in paper.truth()["actions"]
    ]
