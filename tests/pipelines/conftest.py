import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import cluster
from tests.media.films import tone, write_film
from tests.s3 import s3_server


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """A bucket of a real HTTP server; its address is in the environment, as a user's would be."""
    with s3_server("films-of-the-pipelines") as address:
        yield address


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
