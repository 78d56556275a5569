"""What all tests share."""

import os
from pathlib import Path

import hypothesis
import pytest

from cinescribe import storage

# How long an example takes says the machine. The same examples every time: a run tells of its change;
# others come with `pytest --hypothesis-profile=searching`.
hypothesis.settings.register_profile("untimed", deadline=None, derandomize=True)
hypothesis.settings.register_profile("searching", deadline=None)
hypothesis.settings.load_profile("untimed")

if "PYTEST_XDIST_WORKER" in os.environ:  # tests run side by side: one thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Folders and files whose tests start Ray or a browser, or use the machine as if it were theirs alone.
_ONE_AT_A_TIME = ("pipelines/", "serve/", "train/test_faults.py", "infra/test_cluster.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run in two processes, a file stays in one, and Ray is only ever in one of them."""
    root = Path(__file__).parent
    for item in items:
        place = item.path.relative_to(root).as_posix()
        item.add_marker(pytest.mark.xdist_group("ray" if place.startswith(_ONE_AT_A_TIME) else place))


@pytest.fixture(autouse=True)
def _fresh_s3_client():
    """The client is kept for a process's life; each test may have an S3 server of its own."""
    storage.s3_client.cache_clear()
    yield
    storage.s3_client.cache_clear()


@pytest.fixture(autouse=True)
def _ordinary_scheduling():
    """SVT-AV1, which writes the AV1 films of some tests, gives root's process a real-time policy.

    Whatever starts later inherits it: a browser that spins then starves the test that should read from it.
    """
    yield
    for thread in map(int, os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else ():
        try:
            if os.sched_getscheduler(thread) != os.SCHED_OTHER:
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
        except ProcessLookupError:  # it ended meanwhile
            continue
