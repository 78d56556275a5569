"""An S3 server of HTTP on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from moto.server import ThreadedMotoServer

from cinescribe import storage


@contextmanager
def s3_server(bucket: str, secret: str = "test") -> Iterator[str]:
    """While entered, a server with an empty bucket; its address and keys are in the environment.

    Args:
        bucket: its name.
        secret: the key that is never to be seen.

    Yields:
        The address of the bucket, s3://BUCKET.
    """
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        storage.s3_client.cache_clear()
        held = boto3.session.Session().resource("s3").create_bucket(Bucket=bucket)
        try:
            yield f"s3://{bucket}"
        finally:
            held.objects.delete()  # servers of one process share what they hold
            held.delete()
            server.stop()
            storage.s3_client.cache_clear()
