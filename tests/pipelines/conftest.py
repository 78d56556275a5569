import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from cinescribe import storage
from pipelines import cluster
from tests.media.films import tone, write_film


@pytest.fixture(scope="session")
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
        storage.s3_client().create_bucket(Bucket="films-of-the-pipelines")
        yield "s3://films-of-the-pipelines"
    server.stop()
    storage.s3_client.cache_clear()


@pytest.fixture(scope="package")
def ray_cluster(bucket: str) -> Iterator[None]:
    """One local Ray for all tests that run a pipeline in this process; it ends with them."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=os.pathsep)
        assert cluster.connect("")
        yield
    ray.shutdown()


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A folder of three short films of different loudness, one of them with an awkward name."""
    folder = tmp_path / "films"
    (folder / "_a b").mkdir(parents=True)
    write_film(folder / "loud.mp4", frames=25, audio=tone(1.0, 48000, level=0.9))
    write_film(folder / "soft.mp4", frames=50, audio=tone(2.0, 48000, level=0.1))
    write_film(folder / "_a b" / "äöü 100% #1.mkv", frames=25, audio=tone(1.0, 48000, level=0.05))
    return folder
