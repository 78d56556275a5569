from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.s3 import s3_server


@pytest.fixture
def bucket() -> Iterator[Any]:
    """A client of an S3 server on this machine that holds one empty bucket, `films`."""
    with s3_server("films", "very-secret"):
        yield boto3.client("s3")
