import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from serve.describing import Describer
from serve.finding import Finder, Index, LocalFinder
from serve.service import guarded
from serve.settings import Settings
from tests.media.conftest import bucket  # noqa: F401
from tests.serve.captioning import save_model
from tests.serve.library import write_library


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of the tables of a library of two films, indexed; the films lie in `films` beside it."""
    return write_library(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="session")
def describer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny AutoAD."""
    return save_model(tmp_path_factory.mktemp("describer") / "best")


@pytest.fixture(scope="session")
def service_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of the requests to `service`."""
    return tmp_path_factory.mktemp("log") / "requests.jsonl"


@pytest.fixture(scope="package")
def service(
    library: Path, describer: Path, service_log: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of the real service over that library, on Ray Serve; one for these tests, without keys."""
    from serve.app import Arguments
    from serve.command import free_port, running

    port = free_port(0)
    arguments = Arguments(
        root=str(library),
        name=["127.0.0.1", "localhost"],
        cache=str(tmp_path_factory.mktemp("thumbnails")),
        log=str(service_log),
        refresh=2.0,
        ongoing=8,
        queued=8,
        describer=str(describer),
        caption_batch=2,
        caption_queued=3,  # before they are handed on, all that come at once are in it
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.delenv("CINESCRIBE_API_KEYS", raising=False)
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=os.pathsep)
        patch.setenv("OMP_NUM_THREADS", "1")
        with running(arguments, "127.0.0.1", port) as url:
            yield url


@pytest.fixture(scope="session")
def index(library: Path) -> Index:
    """The index of that library, in this process."""
    return Index(str(library), threads=1, device="cpu", refresh_seconds=60.0)


@pytest.fixture
def settings(library: Path, tmp_path: Path) -> Settings:
    """Settings of a service over that library."""
    return Settings(
        root=str(library),
        cache=str(tmp_path / "thumbnails"),
        log=str(tmp_path / "log.jsonl"),
        refresh_seconds=0.0,
    )


@pytest.fixture
def connect(index: Index) -> Iterator[Callable[[Settings], TestClient]]:
    """Clients of the whole application in this process, without Ray."""
    with ExitStack() as open_clients:

        def client(
            settings: Settings, finder: Finder | None = None, describer: Describer | None = None
        ) -> TestClient:
            app = guarded(settings, finder or LocalFinder(index), describer=describer)
            made = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
            return open_clients.enter_context(made)

        yield client


@pytest.fixture
def client(connect: Callable[[Settings], TestClient], settings: Settings) -> TestClient:
    """A client of the application over that library."""
    return connect(settings)
