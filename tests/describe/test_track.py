"""The described track and film: the voice is in the gap, the film lower under it, the picture untouched."""

from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from cinescribe.describe.placement import Cue, Sentence, place
from cinescribe.describe.track import (
    RATE,
    Mix,
    described_sound,
    ducking,
    film_ending,
    measure,
    spoken,
    voice_named,
    vtt,
    write_film,
    write_track,
)
from cinescribe.errors import MediaError, UsageError
from cinescribe.media.audio import read_audio
from cinescribe.media.probe import described_stream, probe
from cinescribe.subtitles import from_vtt
from tests.media.films import read_number, tone
from tests.media.films import write_film as write_test_film

CUES = [Cue(2.0, 3.0, "She waits.", 0.5), Cue(5.0, 6.5, "He opens the door.", 0.5)]
MIX = Mix(duck=12.0, ramp=0.2, above=8.0)


def buzz(seconds: float) -> np.ndarray:
    """What stands for a voice: far from the film's 440 Hz."""
    return tone(seconds, RATE, 3000.0, 0.2)


def strength(samples: np.ndarray, hertz: float) -> float:
    """Amplitude of a tone."""
    turns = 2j * np.pi * hertz * np.arange(len(samples)) / RATE
    return float(2 * np.abs(np.mean(samples * np.exp(-turns))))


def between(samples: np.ndarray, start: float, end: float) -> np.ndarray:
    return samples[..., round(start * RATE) : round(end * RATE)]


def mixed(path: Path) -> np.ndarray:
    speech = [(cue, buzz(cue.end - cue.start)) for cue in CUES]
    return np.concatenate(list(described_sound(path, probe(path), CUES, speech, MIX)), axis=1)


def test_the_voice_is_in_its_cue_and_the_film_lower_there(tmp_path: Path) -> None:
    film = write_test_film(tmp_path / "film.mkv", frames=300, audio=tone(12, 48000), audio_codec="flac")
    sound = mixed(film)
    assert sound.shape == (1, 12 * RATE)
    plain = strength(between(sound[0], 8, 9), 440)
    assert plain == pytest.approx(0.5, rel=0.01)
    for cue in CUES:
        inside = between(sound[0], cue.start, cue.end)
        assert strength(inside, 440) == pytest.approx(plain * 10 ** (-12 / 20), rel=0.02)
        # 8 dB above the lowered film
        assert strength(inside, 3000) == pytest.approx(strength(inside, 440) * 10 ** (8 / 20), rel=0.05)
    for start, end in ((0, 1.8), (3.2, 4.8), (6.7, 12)):
        assert strength(between(sound[0], start, end), 3000) < 1e-3
        assert strength(between(sound[0], start, end), 440) == pytest.approx(plain, rel=0.01)


def test_the_sides_of_stereo_stay_apart(tmp_path: Path) -> None:
    sides = np.stack([tone(12, 48000, 440.0, 0.4), tone(12, 48000, 880.0, 0.1)])
    film = write_test_film(
        tmp_path / "film.mkv", frames=300, audio=sides, layout="stereo", audio_codec="pcm_s16le"
    )
    left, right = between(mixed(film), 8, 9)
    assert strength(left, 440) == pytest.approx(0.4, rel=0.01)
    assert strength(right, 880) == pytest.approx(0.1, rel=0.01)
    assert strength(left, 880) < 1e-3
    assert strength(right, 440) < 1e-3


def test_a_film_without_sound_has_the_voice_alone(tmp_path: Path) -> None:
    sound = mixed(write_test_film(tmp_path / "film.mp4", frames=300))[0]
    assert strength(between(sound, 2, 3), 3000) == pytest.approx(0.2, rel=0.01)
    assert not between(sound, 7, 12).any()


def test_a_loud_film_does_not_clip(tmp_path: Path) -> None:
    film = write_test_film(
        tmp_path / "film.mkv", frames=300, audio=tone(12, 48000, level=0.99), audio_codec="flac"
    )
    assert np.abs(between(mixed(film)[0], 2, 3)).max() < 1.0


def test_the_ramps_are_straight_in_decibels() -> None:
    factors = 20 * np.log10(ducking(CUES, 0, 10 * RATE, MIX))
    at = [1.8, 1.9, 2.0, 2.5, 3.0, 3.1, 3.2, 5.0]
    found = [float(factors[round(second * RATE)]) for second in at]
    assert found == pytest.approx([0, -6, -12, -12, -12, -6, 0, -12], abs=0.02)


def packets(path: Path, kind: str, number: int = 0) -> list[bytes]:
    with av.open(str(path)) as container:
        stream = [stream for stream in container.streams if stream.type == kind][number]
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


def described(film: Path, folder: Path) -> Path:
    info = probe(film)
    track, out = folder / "track.m4a", folder / f"described{film_ending(info)}"
    speech = [(cue, buzz(cue.end - cue.start)) for cue in CUES]
    write_track(described_sound(film, info, CUES, speech, MIX), track)
    write_film(film, info, track, out)
    return out


@pytest.mark.parametrize(
    ("name", "codec", "ending"),
    [
        ("a.mp4", "aac", ".mp4"),
        ("b.mkv", "aac", ".mp4"),
        ("c.mkv", "pcm_s16le", ".mkv"),
        ("d.ts", "aac", ".mp4"),
    ],
)
def test_the_film_carries_its_streams_untouched_and_the_track(
    tmp_path: Path, name: str, codec: str, ending: str
) -> None:
    film = write_test_film(
        tmp_path / name, frames=250, audio=tone(10, 48000), audio_codec=codec, options={"bf": "2"}
    )
    out = described(film, tmp_path)
    assert out.suffix == ending
    if name != "d.ts":  # a transport stream writes the same picture in another notation
        assert packets(out, "video") == packets(film, "video")
        assert packets(out, "audio") == packets(film, "audio")
    before, info = probe(film), probe(out)
    assert (info.width, info.height) == (before.width, before.height)
    assert info.fps == pytest.approx(before.fps, rel=0.005)  # .ts: the last frame's length is not told
    assert info.duration == pytest.approx(before.duration, abs=0.05)
    own, track = info.audio
    assert (own.visual_impaired, track.visual_impaired) == (False, True)
    assert track.language == "eng"
    assert described_stream(info) == track.index
    assert not track.default
    if ending == ".mp4":  # Matroska has no such mark for sound
        with av.open(str(out)) as container:
            assert container.streams[track.index].disposition & Disposition.descriptions
    # on the film's clock: the voice is heard where its cue is, in the film's own sound it is not
    heard = read_audio(out, rate=RATE, stream=track.index)
    assert strength(between(heard, 2.02, 2.98), 3000) > 0.1
    assert strength(between(heard, 1.0, 1.97), 3000) < 0.01
    assert strength(between(heard, 3.03, 4.0), 3000) < 0.01
    assert strength(between(read_audio(out, rate=RATE), 2, 3), 3000) < 0.01


def test_a_turned_film_stays_turned_and_numbered(tmp_path: Path) -> None:
    film = write_test_film(tmp_path / "film.mp4", frames=200, rotation=90.0, audio=tone(8, 48000))
    out = described(film, tmp_path)
    assert probe(out).rotation == probe(film).rotation == 270
    with av.open(str(out)) as container:
        numbers = [read_number(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    assert numbers == [number % 256 for number in range(200)]


def test_sound_alone_makes_no_film(tmp_path: Path) -> None:
    film = write_test_film(tmp_path / "sound.m4a", frames=0, audio=tone(8, 48000))
    with pytest.raises(MediaError, match=r"sound\.m4a: has no picture"):
        described(film, tmp_path)


@pytest.mark.slow
def test_a_real_voice_speaks_what_is_placed_within_its_cue(tmp_path: Path) -> None:
    pytest.importorskip("piper")
    voice = voice_named("kristin")
    sentences = [Sentence(1, 4, "She walks to the door."), Sentence(5, 8, "He looks at the sea and smiles.")]
    lengths = measure([sentence.text for sentence in sentences], voice)
    assert all(0.5 < length < 4 for length in lengths.values())
    found = place(sentences, [(4.0, 5.0)], 12.0, seconds=lengths.__getitem__)
    cues = [placed.cue for placed in found if placed.cue]
    assert len(cues) == 2
    film = write_test_film(tmp_path / "film.mp4", frames=300)
    sound = np.concatenate(list(described_sound(film, probe(film), cues, spoken(cues, voice), MIX)), axis=1)[
        0
    ]
    for cue in cues:
        assert np.sqrt(np.mean(between(sound, cue.start, cue.end) ** 2)) > 0.03
    assert np.abs(between(sound, 4.0, 5.0)).max() == 0
    with pytest.raises(UsageError, match="kristin takes"):
        list(spoken([Cue(1.0, 1.2, "She walks to the door.", 1.0)], voice))


def test_the_cues_as_webvtt() -> None:
    text = vtt(CUES)
    assert "Kind: descriptions" in text
    assert [(cue.start, cue.end, cue.text, cue.role) for cue in from_vtt(text)] == [
        (cue.start, cue.end, cue.text, "narrator") for cue in CUES
    ]


def test_an_unknown_voice_is_told() -> None:
    with pytest.raises(UsageError, match="kristin"):
        voice_named("nobody")
