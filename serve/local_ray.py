"""Ray for the service: a cluster that is there, or one on this machine."""

import contextlib
import os
from collections.abc import Iterator

from cinescribe.errors import CinescribeError, UsageError

GATE = "serve.gate:middlewares"


def hush() -> None:
    """Keep Ray from telling, at the end, that its own controller is dead; it reads this on import."""
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "retries remaining")


def connect(address: str, cpus: float, upload_bytes: int) -> None:
    """Use the cluster at `address` or RAY_ADDRESS, else start one on this machine.

    Args:
        address: of a cluster, "" for RAY_ADDRESS or none.
        cpus: that the replicas ask for; a machine with fewer lends its cores several times.
        upload_bytes: most bytes of an upload, for the gate in Ray's proxy. Of a cluster that runs already the
            proxy has the environment it was started with.

    Raises:
        UsageError: no cluster at that address.
        CinescribeError: Ray did not start here.
    """
    os.environ["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"] = GATE
    os.environ["CINESCRIBE_UPLOAD_BYTES"] = str(upload_bytes)
    import ray

    if ray.is_initialized():
        return
    if address or os.environ.get("RAY_ADDRESS"):
        try:
            ray.init(address=address or None, logging_level="ERROR", log_to_driver=False, namespace="serve")
        except (ConnectionError, ValueError, RuntimeError) as error:
            where = address or os.environ["RAY_ADDRESS"]
            raise UsageError(f"no Ray cluster at {where}: {error}") from error
        return
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    with silent_stderr():  # Ray's own log tells there which level it logs at; what goes wrong is raised
        try:
            ray.init(
                address="local",  # never a cluster that someone else left running on this machine
                num_cpus=max(os.cpu_count() or 1, int(cpus + 0.999)),
                include_dashboard=False,
                logging_level="ERROR",
                log_to_driver=False,
                object_store_memory=256 * 2**20,
                namespace="serve",
            )
        except Exception as error:  # Ray has no kind of its own for that; it waits half a minute
            raise CinescribeError(
                f"Ray did not start here, is the machine too busy? Run the same command again: {error}"
            ) from error


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Drop what this process writes to its standard error, from C++ too."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
