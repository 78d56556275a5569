from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

from cinescribe import storage


@pytest.fixture
def bucket() -> Iterator[str]:
    """A bucket of a real HTTP server; its address is in the environment, as a user's would be."""
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        storage.s3_client.cache_clear()
        storage.s3_client().create_bucket(Bucket="trainings")
        yield "s3://trainings"
    server.stop()
    storage.s3_client.cache_clear()
