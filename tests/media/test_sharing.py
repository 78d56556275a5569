from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cinescribe.encoders.chunks import chunks, features_in
from cinescribe.encoders.extraction import OpenFilm, extract
from cinescribe.encoders.protocol import SOUND_RATE, EncoderSpec
from cinescribe.errors import MediaError
from cinescribe.media import sharing
from cinescribe.media.audio import read_audio
from cinescribe.media.frames import FrameReader, read_frames
from cinescribe.media.sharing import Wanted, ahead, batch_size, share_frames, share_sound
from tests.media.films import clicks, read_number, tone, write_film

DURATION = 8.0
RATES = st.sampled_from([0.1, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 12.5, 23.976, 25.0, 29.97])
OFFSETS = st.lists(
    st.sampled_from([0.0, 0.04, 0.1, 0.125, 0.2, 0.5, 1.0, 1.7]), min_size=1, max_size=4, unique=True
)
SPECS = st.builds(lambda hz, offsets: EncoderSpec("e", hz, 1, tuple(sorted(offsets))), RATES, OFFSETS)
LENGTHS = st.sampled_from([0.1, 0.3, 0.7, 1.0, 2.5, 3.0, 7.3, 8.0, 60.0])


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 numbered frames in 8 s, with sound."""
    folder = tmp_path_factory.mktemp("sharing")
    sound = np.random.default_rng(1).normal(0, 0.1, 8 * 44100).astype(np.float32)
    return write_film(folder / "a.mp4", frames=200, audio=sound, audio_rate=44100, audio_codec="flac")


def numbers(reader: FrameReader, wanted: Mapping[str, Wanted]) -> dict[str, list[list[int]]]:
    """The number of each frame of each feature that is handed out."""
    seen: dict[str, list[list[int]]] = {name: [] for name in wanted}
    for batch in share_frames(reader, wanted):
        assert batch.first == wanted[batch.name].first + len(seen[batch.name])
        array = batch.array()
        assert array.dtype == np.uint8
        seen[batch.name] += [[read_number(frame) for frame in item] for item in array]
    return seen


@lru_cache(maxsize=4)
def reader_of(path: Path) -> FrameReader:
    return FrameReader(path)


@given(st.lists(SPECS, min_size=1, max_size=3))
@settings(max_examples=25, deadline=None)
def test_every_encoder_sees_the_frames_on_screen_at_its_times(film: Path, specs: list[EncoderSpec]) -> None:
    wanted = {str(n): Wanted(spec, 0, spec.count(DURATION)) for n, spec in enumerate(specs)}
    seen = numbers(reader_of(film), wanted)
    for name, one in wanted.items():
        times = np.arange(one.stop)[:, None] / one.spec.hz + np.array(one.spec.offsets)
        # A frame that begins within the rounding of containers after the asked time counts as shown.
        on_screen = np.floor((times + 6.18e-4) * 25 + 1e-6).astype(int)
        assert seen[name] == np.minimum(on_screen, 199).tolist()


@given(SPECS, LENGTHS)
@example(EncoderSpec("e", 29.97, 1, (0.0, 1.0)), 0.1)
@settings(max_examples=20, deadline=None)
def test_chunks_give_what_the_whole_film_gives(film: Path, spec: EncoderSpec, length: float) -> None:
    whole = numbers(reader_of(film), {"e": Wanted(spec, 0, spec.count(DURATION))})["e"]
    pieces: list[list[int]] = []
    for chunk in chunks(DURATION, length):
        inside = features_in(spec, chunk.number, length, DURATION)
        pieces += numbers(reader_of(film), {"e": Wanted(spec, inside.start, inside.stop)})["e"]
    assert pieces == whole
    assert len(whole) == spec.count(DURATION)


@given(
    st.decimals("0.01", "60", places=3).map(float),
    st.decimals("0.5", "3600", places=2).map(float),
    st.decimals("0", "20000", places=3).map(float),
    st.sampled_from([(0.0,), (0.0, 3.2), ()]),
)
@settings(max_examples=150, deadline=None)
def test_each_feature_is_in_the_chunk_its_time_is_in_and_in_no_other(
    hz: float, length: float, duration: float, offsets: tuple[float, ...]
) -> None:
    if duration / length > 2000:
        duration = 2000 * length
    spec = EncoderSpec("e", hz, 1, offsets, window=0.0 if offsets else 0.96)
    end = 0
    for chunk in chunks(duration, length):
        inside = features_in(spec, chunk.number, length, duration)
        if inside:
            assert inside.start == end
            end = inside.stop
            assert inside.start / hz >= chunk.start - 1e-6
            assert (inside.stop - 1) / hz < chunk.end + 1e-6
    assert end == spec.count(duration)


def test_frames_are_those_of_a_reading_at_that_rate(film: Path) -> None:
    spec = EncoderSpec("e", 3.0, 1, (0.0, 0.2, 0.7))
    batches = list(share_frames(FrameReader(film), {"e": Wanted(spec, 0, spec.count(DURATION))}))
    array = np.concatenate([batch.array() for batch in batches])
    for place, offset in enumerate(spec.offsets):
        direct = read_frames(film, rate=spec.hz, start=offset).frames
        np.testing.assert_array_equal(array[:, place], direct[: len(array)])


def test_one_reading_serves_later_times_and_earlier_ones(film: Path) -> None:
    reader = FrameReader(film)
    for start in (4.0, 1.0, 6.0):
        (part,) = reader.at(start + np.arange(5) / 5)
        assert [read_number(frame) for frame in part.frames] == [round(25 * start) + 5 * k for k in range(5)]
    assert not list(reader.at(np.empty(0)))


def test_an_encoder_gets_the_same_batches_in_company(film: Path) -> None:
    spec, other = EncoderSpec("e", 5.0, 1, (0.0, 0.3)), EncoderSpec("o", 25.0, 1, (0.0,))
    mine, company = Wanted(spec, 3, 30), Wanted(other, 0, 200)
    alone = [batch.array() for batch in share_frames(FrameReader(film), {"e": mine})]
    both = share_frames(FrameReader(film), {"o": company, "e": mine})
    together = [batch.array() for batch in both if batch.name == "e"]
    assert len(alone) == len(together)
    for one, same in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, same)


def owned(image: NDArray[np.uint8]) -> int:
    """Bytes that an array keeps in memory."""
    whole: Any = image
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    return memoryview(whole if whole.base is None else whole.base).nbytes


def test_memory_is_bounded_by_bytes(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = 128 * 96 * 3
    monkeypatch.setattr(sharing, "BATCH_BYTES", 8 * frame)
    wanted = {
        "clips": Wanted(EncoderSpec("clips", 1.0, 1, tuple(k / 8 for k in range(16))), 0, 6),
        "pairs": Wanted(EncoderSpec("pairs", 5.0, 1, (0.0, 0.2)), 0, 38),
    }
    assert batch_size(wanted["clips"].spec, frame) == 1
    assert batch_size(wanted["pairs"].spec, frame) == 4
    sizes: dict[str, list[int]] = {"clips": [], "pairs": []}
    for batch in share_frames(FrameReader(film), wanted):
        sizes[batch.name].append(len(batch.items))
        # What one batch holds is frames of their own, none a view that keeps a block.
        assert all(owned(image) < 2 * frame for item in batch.items for image in item)
    assert sizes == {"clips": [1] * 6, "pairs": [4] * 9 + [2]}


def test_where_the_film_ends_early_whole_features_are_given(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 255, (96, 128, 3), np.uint8) for _ in range(50)]
    path = write_film(tmp_path / "a.mkv", images=noise, options={"g": "10", "bf": "0"})
    reader = FrameReader(path)
    reader.info = replace(reader.info, duration=2.0)
    spec = EncoderSpec("e", 5.0, 1, (0.0, 0.2))
    # Asked for a second more than there is, as a header that lies would have it.
    given = list(share_frames(reader, {"e": Wanted(spec, 0, 14)}))
    assert 9 <= sum(len(batch.items) for batch in given) <= 14


@pytest.mark.parametrize("length", [1.0, 2.5, 60.0])
def test_windows_of_sound_in_chunks_are_those_of_the_whole(film: Path, length: float) -> None:
    spec = EncoderSpec("e", 3.0, 1, window=0.75)
    whole = read_audio(film, rate=SOUND_RATE)
    windows = []
    for chunk in chunks(DURATION, length):
        inside = features_in(spec, chunk.number, length, DURATION)
        for batch in share_sound(film, {"e": Wanted(spec, inside.start, inside.stop)}):
            windows += list(batch.array())
    assert len(windows) == spec.count(DURATION) == 22
    for k, window in enumerate(windows):
        begin = round(k / 3 * SOUND_RATE)
        np.testing.assert_allclose(window, whole[begin : begin + 12000], atol=1e-6)


def test_sound_lies_where_the_film_has_it(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", frames=150, audio=clicks(6.0, 48000))
    spec = EncoderSpec("e", 2.0, 1, window=0.5)
    for batch in share_sound(path, {"e": Wanted(spec, 4, 10)}):
        loud = np.abs(batch.array()).max(1) > 0.15
        assert loud.tolist() == [True, False] * 3  # clicks at 2, 3 and 4 s


def test_sound_that_ends_before_the_picture_leaves_windows_out(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", frames=250, audio=tone(4.0, 48000))
    spec = EncoderSpec("e", 1.0, 1, window=1.0)
    for first, stop, there in ((0, 10, 4), (6, 10, 0)):
        given = list(share_sound(path, {"e": Wanted(spec, first, stop)}))
        assert sum(len(batch.items) for batch in given) == pytest.approx(there, abs=there / 4)
    assert not list(share_sound(path, {"e": Wanted(spec, 3, 3)}))


def test_ahead_gives_all_in_order_and_raises_what_its_maker_raises() -> None:
    with ahead(iter(range(100))) as items:
        assert list(items) == list(range(100))

    def failing():  # type: ignore[no-untyped-def]
        yield 1
        raise MediaError("damaged", "a film")

    taken = []
    with pytest.raises(MediaError, match="a film"), ahead(failing()) as items:
        taken += list(items)
    with ahead(iter(range(10**9))) as endless:  # whoever stops early stops the maker too
        assert next(endless) == 0


class Mean:
    """Mean colour of the first frame of each item, or a fault."""

    def __init__(self, spec: EncoderSpec, fault: Exception | None = None) -> None:
        self.spec, self.fault, self.weights = spec, fault, {}

    def __call__(self, batch):  # type: ignore[no-untyped-def]
        if self.fault:
            raise self.fault
        return batch.reshape(len(batch), -1).mean(1, keepdims=True).astype(np.float16)


def test_a_fault_of_one_encoder_leaves_the_others(film: Path) -> None:
    encoders = {
        "good": Mean(EncoderSpec("good", 2.0, 1, (0.0,))),
        "bad": Mean(EncoderSpec("bad", 5.0, 1, (0.0, 0.1)), ZeroDivisionError("x")),
        "sound": Mean(EncoderSpec("sound", 2.0, 1, window=0.5)),
    }
    asked = {name: range(0, 10) for name in encoders}
    results = {result.name: result for result in extract(OpenFilm(film), encoders, asked)}
    assert isinstance(results["bad"].error, ZeroDivisionError)
    for name in ("good", "sound"):
        assert results[name].error is None
        assert results[name].features.shape == (10, 1)
        assert np.isfinite(results[name].features).all()


def test_features_of_a_film_without_picture_are_errors_and_its_sound_is_heard(tmp_path: Path) -> None:
    path = write_film(
        tmp_path / "a.flac", frames=0, audio=tone(3, 16000), audio_codec="flac", audio_rate=16000
    )
    encoders = {
        "frames": Mean(EncoderSpec("frames", 2.0, 1, (0.0,))),
        "sound": Mean(EncoderSpec("sound", 2.0, 1, window=0.5)),
    }
    asked = {"frames": range(0, 5), "sound": range(0, 8)}
    results = {result.name: result for result in extract(OpenFilm(path), encoders, asked)}
    assert isinstance(results["frames"].error, MediaError)
    assert results["frames"].error.kind == "no-video"
    features = results["sound"].features[:, 0]
    assert np.isfinite(features[:5]).all()
    assert np.isnan(features[6:]).all()  # absent, not zero
