from collections.abc import Iterator

import pytest

from tests.s3 import s3_server


@pytest.fixture
def bucket() -> Iterator[str]:
    """A bucket of a real HTTP server; its address is in the environment, as a user's would be."""
    with s3_server("trainings") as address:
        yield address
