"""What all tests share."""

import os

import pytest

from cinescribe import storage


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
