from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.s3 import s3_server


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty place for an index: a folder, and a bucket of a real HTTP server."""
    if request.param == "local":
        yield str(tmp_path / "a folder")
    else:
        yield request.getfixturevalue("bucket")


@pytest.fixture
def bucket() -> Iterator[str]:
    """A prefix in a bucket of a real HTTP server."""
    with s3_server("index") as address:
        yield f"{address}/a prefix"
