"""Ray for a pipeline: connect to a cluster or start a small one, share it out, bound the retries."""

import math
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from cinescribe.errors import CinescribeError, UsageError
from pipelines.progress import complain
from pipelines.units import TRIES, Outcome, Passenger, board, leave

if TYPE_CHECKING:
    from ray.data import Dataset

    from pipelines.plan import Unit

# Of a worker, bytes: of speech by its profile, of features with some encoders.
_MEMORY = {"small": 2.0 * 2**30, "paper": 6 * 2**30, "features": 3 * 2**30}
_MOST_THREADS = 4  # of a worker
_MOST_WORKERS_OF_A_GPU = 4  # each holds its own copy of the models


@dataclass(frozen=True, slots=True)
class Shares:
    """How a pipeline divides the machines.

    Attributes:
        workers: processes that hold the models.
        threads: that each of them computes with.
        cpus, gpus, memory: what each asks of Ray (memory in bytes).
        film_cpus: what a task that prepares a film asks of Ray.
        beside_cpus: what it asks beside workers that wait for those films.
    """

    workers: int
    threads: int
    cpus: float
    gpus: float
    memory: float
    film_cpus: float
    beside_cpus: float

    def __str__(self) -> str:
        gpu = f" and {self.gpus:g} GPU" if self.gpus else ""
        plural = "s" * (self.workers > 1)
        return f"{self.workers} worker{plural} of {self.threads} threads{gpu}"


def connect(address: str) -> bool:
    """Use the cluster at `address` or RAY_ADDRESS, else start one on this machine.

    Returns whether Ray was started or connected here, so that whoever asked also ends it.
    """
    # Running out of memory has a budget of tries of its own in Ray, without an end; this process keeps it.
    os.environ.setdefault("RAY_task_oom_retries", str(TRIES - 1))
    # Ray Data's thread lives on for a moment after a run that stopped; its next call would start a Ray anew.
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
    # The films that kill their workers are told of in our own words.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "A worker died or was killed|retries remaining")
    import ray

    if ray.is_initialized():
        return False
    if address or os.environ.get("RAY_ADDRESS"):
        try:
            ray.init(address=address or None, logging_level="ERROR", log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            where = address or os.environ["RAY_ADDRESS"]
            raise UsageError(f"no Ray cluster at {where}: {error}") from error
        return True
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")  # a worker's many threads fill a heap each: docs/memory.md
    with _silent_stderr():  # Ray's own log tells there which level it logs at; what goes wrong is raised
        try:
            ray.init(
                address="local",  # never a cluster that someone else left running on this machine
                include_dashboard=False,
                logging_level="ERROR",
                log_to_driver=False,
                object_store_memory=128 * 2**20,  # only paths and numbers travel
            )
        except Exception as error:  # Ray has no kind of its own for that; it waits half a minute
            raise CinescribeError(
                f"Ray did not start here, is the machine too busy? Run the same command again: {error}"
            ) from error
    return True


@contextmanager
def session(address: str) -> Iterator[None]:
    """Ray while entered; what was started here ends with it."""
    ours = connect(address)
    if threading.current_thread() is threading.main_thread():
        # A job that is ended stops as by Ctrl-C; the handlers that Ray sets print its stack.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if ours:
            import ray

            ray.shutdown()


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Drop what this process writes to its standard error, from C++ too."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def machines() -> list[dict[str, float]]:
    """What each machine of the cluster has: "CPU", "GPU", "memory" (bytes).

    Where none can compute, as a head holds no workers and all groups are at 0, it asks for one and waits.
    """
    import ray

    while not any(node["Resources"].get("CPU") for node in _nodes()):
        complain("no machine of the cluster can compute yet; one was asked for, waiting for it")
        ray.get(ray.remote(num_cpus=1, max_retries=-1)(_nothing).remote())
    return [node["Resources"] for node in _nodes()]


def _nodes() -> list[dict[str, Any]]:
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


def _nothing() -> None:
    """The task of whoever wants no more than the machine that it runs on."""


def gpu_share(nodes: Sequence[Mapping[str, float]]) -> float:
    """What each worker takes of a GPU where it decodes too: as much as it has four cores to decode with."""
    fewest = min((node["CPU"] / node["GPU"] for node in nodes if node.get("GPU")), default=0.0)
    return 1.0 / max(1, min(_MOST_WORKERS_OF_A_GPU, int(fewest // _MOST_THREADS)))


def share(
    nodes: Sequence[Mapping[str, float]],
    units: int,
    profile: str,
    workers: int = 0,
    threads: int = 0,
    gpus_per_worker: float = 1.0,
) -> Shares:
    """Divide the machines among at most `units` workers; 0 workers or threads means: decide.

    Without a GPU, many workers of one thread do more than few of many: two of one thread did films of 10 s
    in 0.72 and 0.76 s each where one of two threads took 1.09 and 1.33 s (2 cores, small profile). Fewer
    films than cores get more threads each. Every machine keeps room for the tasks that prepare films: were
    the workers to fill it, they would wait for films for ever. There is one such task for every two workers:
    a film is prepared in a fifth of the time that its speech takes, or more, so 16 workers waited most of
    the time for a single one (docs/scale.md). Where workers leave cores free, it is one for each of them.
    On a cluster, more workers than there is room for are asked of its autoscaler at once.
    """
    workers = min(workers, units)
    largest = max(nodes, key=lambda node: node.get("CPU", 0))
    cores, gpus = largest.get("CPU", 0) or 1, max(node.get("GPU", 0) for node in nodes)
    memory = min(_MEMORY[profile], 0.9 * largest["memory"])
    if workers and len(nodes) == 1:
        on_a_node = workers
        memory = min(memory, 0.9 * largest["memory"] / workers)
    elif gpus:
        on_a_node = max(1, int(gpus / gpus_per_worker + 1e-9))
    else:
        computing = sum(node.get("CPU", 0) > 0 for node in nodes)  # a head may lend nothing
        evenly = math.ceil((workers or units) / max(1, computing))
        on_a_node = max(1, int(min(cores // (threads or 1), largest["memory"] // memory, evenly)))
    threads = threads or max(1, min(_MOST_THREADS, int(cores // on_a_node)))
    film_cpus = 1.0 if cores >= 4 else 0.5
    if not workers:
        slots = [
            int(node.get("GPU", 0) / gpus_per_worker + 1e-9) if gpus else on_a_node * (node.get("CPU", 0) > 0)
            for node in nodes
        ]
        rooms = [min(slot, node["memory"] // memory) for slot, node in zip(slots, nodes, strict=True)]
        workers = max(1, min(int(sum(rooms)), units))
    cpus = min(float(threads), math.floor(100 * (cores - film_cpus) / on_a_node) / 100)
    beside = (cores - on_a_node * cpus) / max(1, on_a_node // 2)  # what they leave, for each such task
    return Shares(
        workers=workers,
        threads=threads,
        cpus=cpus,
        gpus=min(gpus_per_worker, math.floor(100 * gpus / on_a_node) / 100),
        memory=math.floor(memory),
        film_cpus=film_cpus,
        beside_cpus=max(0.01, min(film_cpus, math.floor(100 * beside + 1e-6) / 100)),
    )


def source(units: Iterable["Unit"]) -> "Dataset":
    """A dataset of one block for each unit: what Ray schedules, retries and gives up is then one unit."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = -1  # a unit that killed its worker each time is left out, and only that
    context.execution_no_progress_timeout_s = -1  # a long film may take hours; the watchdog knows better
    # `from_arrow` would start a task for each block, only to look at it.
    return ray.data.from_blocks([pa.Table.from_pylist([board(unit)]) for unit in units])


def map_tasks(dataset: "Dataset", work: Callable[..., Passenger], cpus: float, **arguments: Any) -> "Dataset":
    """Map units by short-lived tasks, each tried at most `TRIES` times."""
    return _map(dataset, work, num_cpus=cpus, fn_kwargs=arguments, max_retries=TRIES - 1)


def map_workers(dataset: "Dataset", worker: type, shares: Shares, units: int, **arguments: Any) -> "Dataset":
    """Map units by workers that are made once with `arguments`; each unit is tried at most `TRIES` times."""
    from ray.data import ActorPoolStrategy

    return _map(
        dataset,
        worker,
        # One unit at a time on a worker: those that wait there would lose a try with the one that kills it.
        compute=ActorPoolStrategy(size=min(shares.workers, units), max_tasks_in_flight_per_actor=1),
        num_cpus=shares.cpus,
        num_gpus=shares.gpus,
        memory=shares.memory,
        fn_constructor_kwargs=arguments,
        max_restarts=TRIES * units + 10,  # enough for every unit, and an end if the worker can't even start
        max_task_retries=TRIES - 1,
    )


def _map(dataset: "Dataset", work: Callable[..., Passenger], **options: Any) -> "Dataset":
    with warnings.catch_warnings():
        # The limits on restarts and retries have no named parameters yet; they move in Ray 2.64.
        warnings.filterwarnings("ignore", message=".*ray_remote_args.*")
        return dataset.map(work, **options)


def outcomes(dataset: "Dataset") -> Iterator[Outcome]:
    """Run the dataset; what became of each unit, as it arrives. Units that were given up do not arrive."""
    import logging

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    for batch in dataset.iter_batches(batch_size=1, prefetch_batches=0, batch_format="pyarrow"):
        yield from map(leave, batch.to_pylist())
