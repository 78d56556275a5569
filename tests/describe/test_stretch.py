"""A stretch of a film is read from its own chunks, and is what the whole film has there."""

from pathlib import Path

import numpy as np
import pytest

from cinescribe import tables
from cinescribe.describe.stretch import read_stretch
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.errors import MediaError
from cinescribe.media.library import FilmRef
from cinescribe.models.autoad_film import frames_between

HZ, WIDTH, CHUNK, DURATION = 2.5, 3, 4.0, 21.3
COUNT = 52  # of the film: none begins in its last half second


@pytest.fixture
def root(tmp_path: Path) -> str:
    array = np.arange(COUNT * WIDTH).reshape(COUNT, WIDTH).astype(np.float16)
    numbers = (np.arange(COUNT) / HZ / CHUNK).astype(int)
    for name in ("film", "other"):
        for chunk in range(6):
            part = array[numbers == chunk]
            if len(part):
                span = (chunk, chunk * CHUNK, min((chunk + 1) * CHUNK, DURATION))
                row = tables.feature_row(
                    FilmRef(name, "", 0, "1"),
                    span,
                    EncoderSpec("seen", HZ, WIDTH, (0.5,)),
                    int(np.flatnonzero(numbers == chunk)[0]),
                    part,
                    {},
                )
                tables.write_row(str(tmp_path), "features/seen", name, row, chunk=chunk)
    return str(tmp_path)


@pytest.mark.parametrize(
    ("start", "end"),
    [(0.0, 0.1), (0.0, 21.3), (3.9, 4.1), (4.0, 8.0), (3.99, 8.01), (7.2, 7.3), (12.0, 19.7), (20.9, 21.3)],
)
@pytest.mark.parametrize("frames", [1, 4, 9])
def test_it_gives_the_frames_of_the_whole_film(root: str, start: float, end: float, frames: int) -> None:
    whole = tables.read_features(root, "seen", "film")
    part = read_stretch(root, "seen", "film", start, end, DURATION)
    assert whole is not None
    assert part is not None
    expected = frames_between(whole.array, HZ, start, end, frames)
    assert np.array_equal(frames_between(part.array, HZ, 0.0, len(part.array) / HZ, frames), expected)
    assert (part.hz, part.etag) == (HZ, "1")


def test_no_other_file_is_read(root: str) -> None:
    for path in Path(root, "features/seen").iterdir():
        if path.name not in ("film@00000.parquet", "film@00002.parquet"):
            path.write_bytes(b"not read")
    part = read_stretch(root, "seen", "film", 8.5, 11.5, DURATION)
    assert part is not None
    assert part.times[0] == pytest.approx(8.4)


def test_what_was_not_extracted_is_told(root: str) -> None:
    assert read_stretch(root, "seen", "nobody", 0.0, 1.0, DURATION) is None
    assert read_stretch(root, "unseen", "film", 0.0, 1.0, DURATION) is None
    tables.delete_row(root, "features/seen", "film", chunk=2)
    with pytest.raises(MediaError, match="cinescribe extract"):
        read_stretch(root, "seen", "film", 7.0, 9.0, DURATION)
    with pytest.raises(MediaError, match="8 to 12 s"):
        read_stretch(root, "seen", "film", 8.0, 12.0, DURATION)
    assert read_stretch(root, "seen", "film", 1.0, 7.0, DURATION) is not None


def test_the_end_of_a_film_may_have_no_feature(root: str) -> None:
    tables.delete_row(root, "features/seen", "film", chunk=5)  # as if the film ended at 20.2 s
    part = read_stretch(root, "seen", "film", 20.1, 20.2, 20.2)
    assert part is not None
    assert part.times.tolist() == [pytest.approx(19.6)]
