"""The promise: from a film's sound to clean words with the narrator apart."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cinescribe import zoo
from cinescribe.cineworld.film import render_film
from cinescribe.errors import MediaError, UsageError
from cinescribe.media.audio import read_audio
from cinescribe.metrics.speech import time_overlap, word_errors
from cinescribe.speech.clean import SpeechCleaner, SpeechSettings

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
JFK = DATA / "speech" / "whisper" / "jfk.flac"
JFK_SAYS = (
    "And so my fellow Americans ask not what your country can do for you, "
    "ask what you can do for your country."
)


@pytest.fixture(scope="module")
def cleaner():
    return SpeechCleaner(SpeechSettings(), threads=2)


def write_wav(path, samples):
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.asarray(samples, np.int16).tobytes())
    return path


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_the_narrator_of_a_rendered_film_is_found(seed, cleaner, tmp_path):
    film = tmp_path / "film.flac"
    truth = render_film(seed, film, characters=2 + seed % 2, scenes=2, picture=False)
    speech = cleaner(film)
    told = [u for u in truth.utterances if u.role == "narrator"]
    found = [u for u in speech.utterances if u.role == "narrator"]
    shares = time_overlap([(u.start, u.end) for u in told], [(u.start, u.end) for u in found])
    assert shares.found > 0.6
    assert shares.right > 0.7
    assert speech.narrator_confidence > 0.5


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="the shared recordings are not here")
def test_read_speech_is_read_no_worse_than_by_the_whisper_library(cleaner):
    import whisper

    model = whisper.load_model(str(zoo.path("whisper-tiny.en")), device="cpu")
    folder = DATA / "speech" / "pocketsphinx" / "librivox"
    files = {wav: wav.with_suffix(".txt").read_text() for wav in sorted(folder.glob("*.wav"))}
    files[JFK] = JFK_SAYS
    ours = theirs = words = 0
    for path, reference in files.items():
        heard = " ".join(u.text for u in cleaner(path).utterances)
        plain = model.transcribe(read_audio(path), fp16=False)["text"]
        errors, peer = word_errors(reference, heard), word_errors(reference, plain)
        words += errors.words
        ours += errors.substitutions + errors.deletions + errors.insertions
        theirs += peer.substitutions + peer.deletions + peer.insertions
    assert words > 50
    assert ours <= theirs + 1, (ours, theirs, words)


def test_jfk(cleaner, tmp_path):
    path = JFK
    if not path.exists():
        pytest.skip("the shared recordings are not here")
    speech = cleaner(path)
    assert word_errors(JFK_SAYS, " ".join(u.text for u in speech.utterances)).rate == 0
    assert {u.speaker for u in speech.utterances} == {"SPEAKER_00"}
    assert (speech.language, speech.language_probability) == ("en", 1.0)
    assert speech.weights == {
        "asr": "whisper-tiny.en",
        "segmentation": "pyannote-segmentation-3.0",
        "speaker_embedding": "campplus",
    }
    words = [word for u in speech.utterances for word in u.words]
    assert all(a.start <= b.start for a, b in pairwise(words))
    assert 0 <= words[0].start < 1
    assert words[-1].end <= 11.01


@pytest.mark.parametrize("kind", ["silence", "noise", "tone"])
def test_no_word_is_invented_where_nobody_speaks(kind, cleaner, tmp_path):
    time = np.arange(40 * 16_000) / 16_000
    sound = {
        "silence": np.zeros(len(time)),
        "noise": np.random.default_rng(0).normal(0, 2000, len(time)),
        "tone": 8000 * np.sin(2 * np.pi * 220 * time) * (1 + np.sin(2 * np.pi * 0.5 * time)) / 2,
    }[kind]
    assert cleaner(write_wav(tmp_path / "x.wav", sound)).utterances == ()


def test_the_same_film_gives_the_same_words_twice(cleaner):
    path = JFK
    if not path.exists():
        pytest.skip("the shared recordings are not here")
    first, second = cleaner(path), cleaner(path)
    assert first.utterances == second.utterances


def test_a_file_without_sound_says_so(cleaner, tmp_path):
    path = tmp_path / "text.mp4"
    path.write_text("not a film")
    with pytest.raises(MediaError, match=r"text\.mp4"):
        cleaner(path)


def test_languages_that_the_weights_do_not_know_are_refused():
    with pytest.raises(UsageError, match="English only"):
        SpeechCleaner(SpeechSettings(language="fr"))
    with pytest.raises(UsageError, match="klingon"):
        SpeechCleaner(SpeechSettings(language="klingon"))


def test_both_engines_read_the_same(cleaner):
    """int8 in CTranslate2 against the whisper library's torch, same weights, same windows."""
    from cinescribe.speech.transcription import Region, Transcriber
    from cinescribe.speech.whisper_engines import TorchEngine

    path = JFK
    if not path.exists():
        pytest.skip("the shared recordings are not here")
    sound = (read_audio(path) * 32767).astype(np.int16)
    regions = [Region(0.0, len(sound) / 16_000, "A")]
    torch_words = Transcriber(TorchEngine(zoo.path("whisper-tiny.en"), device="cpu"))(sound, regions).words
    int8_words = cleaner.transcriber(sound, regions).words
    plain = [[w.text.strip(",.").lower() for w in words] for words in (torch_words, int8_words)]
    assert plain[0] == plain[1]
    shifts = [abs(a.start - b.start) for a, b in zip(torch_words, int8_words, strict=True)]
    assert np.median(shifts) < 0.1
