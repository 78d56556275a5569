"""What all tests share."""

import pytest

from cinescribe import storage


@pytest.fixture(autouse=True)
def _fresh_s3_client():
    """The client is kept for a process's life; each test may have an S3 server of its own."""
    storage.s3_client.cache_clear()
    yield
    storage.s3_client.cache_clear()
