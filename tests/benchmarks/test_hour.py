import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.meter import Meter
from benchmarks.pieces import join
from cinescribe.media.audio import read_audio
from cinescribe.media.frames import read_frames
from tests.media.films import read_number, tone, write_film


def test_films_are_joined_over_and_over_up_to_a_length(tmp_path: Path) -> None:
    parts = [
        write_film(
            tmp_path / f"{frames}.mp4", frames=frames, audio=tone(frames / 25, 44100), audio_rate=44100
        )
        for frames in (50, 25)
    ]
    join(parts, 4.0, tmp_path / "whole.mp4")
    read = read_frames(tmp_path / "whole.mp4", rate=2, start=0.2, end=4.0)
    assert [read_number(frame) for frame in read.frames] == [5, 17, 30, 42, 5, 17, 5, 17]
    assert len(read_audio(tmp_path / "whole.mp4")) / 16000 == pytest.approx(4.0, abs=0.05)


class Work:
    def outer(self) -> int:
        return self.inner(np.zeros((2, 3))) + self.inner(np.zeros((2, 3)))

    def inner(self, values: np.ndarray) -> int:
        began = time.thread_time()
        while time.thread_time() - began < 0.02:
            pass
        return len(values)


def test_the_time_of_a_part_is_without_the_parts_within_it() -> None:
    plain = Work.inner
    with Meter() as meter:
        meter.wrap(Work, "outer", "outer")
        meter.wrap(Work, "inner", "inner", tensor=1)
        assert Work().outer() == 4
    assert Work.inner is plain
    assert meter.calls == {"outer": 1, "inner": 2}
    assert meter.inputs == {"inner": {(2, 3): 2}}
    assert meter.seconds["inner"] > meter.seconds["outer"]  # by the thread's own clock
    assert sum(meter.seconds.values()) <= meter.total
