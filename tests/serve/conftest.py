import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.library import write_library


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of the tables of a library of two films, indexed; the films lie in `films` beside it."""
    return write_library(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="session")
def service_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of the requests to `service`."""
    return tmp_path_factory.mktemp("log") / "requests.jsonl"


@pytest.fixture(scope="session")
def service(library: Path, service_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the real service over that library, on Ray Serve; one for all tests, without keys."""
    from serve.app import Arguments
    from serve.command import running

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = Arguments(
        root=str(library),
        name=["127.0.0.1", "localhost"],
        cache=str(tmp_path_factory.mktemp("thumbnails")),
        log=str(service_log),
        refresh=2.0,
        ongoing=8,
        queued=8,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.delenv("CINESCRIBE_API_KEYS", raising=False)
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=os.pathsep)
        patch.setenv("OMP_NUM_THREADS", "1")
        with running(arguments, "127.0.0.1", port) as url:
            yield url
