"""Ray Train around the loop: workers, their failures, and what a person sees meanwhile."""

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cinescribe import storage
from cinescribe.errors import CinescribeError, UsageError
from train import folder, loop, recipes
from train.settings import Settings, run_name
from train.show import Bar

if TYPE_CHECKING:
    from ray.train import Result

_GROUP_SECONDS = 3600  # how long workers wait for one another: one may save a large model to S3


def run(settings: Settings) -> loop.Progress:
    """Train as told, on Ray, and show it; goes on where the run's folder says that it was.

    Raises:
        UsageError: settings or data can't be used, or the folder is another run's.
        CinescribeError: training stopped for good.
    """
    most = max(1, settings.workers[1])
    if settings.parts < most:
        raise UsageError(f"{most} workers share the parts of a step: give --parts {most} or more")
    with Bar(settings.quiet) as bar:
        bar.show({"state": "reading the data"})
        recipe = recipes.load(settings.recipe, settings.options)
        if settings.parts > recipe.options.batch:
            raise UsageError(f"a batch of {recipe.options.batch} can't be cut into {settings.parts} parts")
        if not len(recipe.data(settings.data, "train")):
            raise UsageError(f"{settings.data}: nothing to train on")
        recipe.data(settings.data, "validation")
        folder.claim(settings.out, settings.identity(recipe.options))
        if settings.workers == (0, 0):
            return loop.train(recipe, settings, loop.Crew(device=device(), show=bar.show))
        bar.show({"state": "starting Ray"})
        with _ray(settings.address, most):
            return _fit(settings, bar)


def _fit(settings: Settings, bar: Bar) -> loop.Progress:
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    board = ray.remote(_Board).options(num_cpus=0).remote()
    least, most = settings.workers
    _wait_for_a_machine(bar)
    gpus = float(ray.cluster_resources().get("GPU", 0))
    threads = settings.threads or max(1, (os.cpu_count() or 1) // most)
    trainer = TorchTrainer(
        _work,
        train_loop_config={"settings": settings, "board": board, "threads": threads},
        torch_config=TorchConfig(backend="nccl" if gpus >= least else "gloo", timeout_s=_GROUP_SECONDS),
        scaling_config=ScalingConfig(
            num_workers=most if least == most else (least, most),
            use_gpu=gpus >= least,
            elastic_resize_monitor_interval_s=60,
        ),
        run_config=RunConfig(
            name=run_name(settings.out),
            storage_path=storage.join(settings.out, "ray"),
            failure_config=FailureConfig(max_failures=settings.max_failures),
        ),
    )
    bar.show({"state": "waiting for the workers"})
    with _watched(board, bar):
        try:
            result: Result = trainer.fit()
        except SystemExit as error:  # on Ctrl-C Ray stops the workers, and then ends the process itself
            raise KeyboardInterrupt from error
        except Exception as error:
            raise _explained(error, settings) from error
    if result.return_value is None:  # or it returns
        raise KeyboardInterrupt
    if "stopped" in result.return_value:
        raise CinescribeError(result.return_value["stopped"])
    return loop.Progress(**result.return_value)


def _wait_for_a_machine(bar: Bar) -> None:
    """Where all groups of a cluster are at 0, ask for a machine; whether they have GPUs shows with it."""
    import ray

    if not any(node["Alive"] and node["Resources"].get("CPU") for node in ray.nodes()):
        bar.show({"state": "waiting for a machine of the cluster"})
        ray.get(ray.remote(num_cpus=1, max_retries=-1)(_nothing).remote())


def _nothing() -> None:
    """The task of whoever wants no more than the machine that it runs on."""


def _work(config: dict[str, Any]) -> dict[str, Any]:
    """One worker's life."""
    import dataclasses

    import torch
    from ray import train

    settings: Settings = config["settings"]
    torch.set_num_threads(config["threads"])
    context = train.get_context()
    rank = context.get_world_rank()

    def show(numbers: Mapping[str, Any]) -> None:
        if rank == 0:
            config["board"].show.remote(dict(numbers))

    crew = loop.Crew(
        rank,
        context.get_world_size(),
        str(train.torch.get_device()),
        report=lambda numbers: train.report(dict(numbers)),
        show=show,
    )
    show({"workers": crew.world, "state": "reading the data"})
    try:
        recipe = recipes.load(settings.recipe, settings.options)
        return dataclasses.asdict(loop.train(recipe, settings, crew))
    except loop.Stopped as error:  # no failure to Ray, which would try again
        return {"stopped": str(error)}


class _Board:
    """An actor that holds what the first worker told last."""

    def __init__(self) -> None:
        self._numbers: dict[str, Any] = {}

    def show(self, numbers: dict[str, Any]) -> None:
        """Take news."""
        self._numbers = {**self._numbers, "state": "", **numbers}

    def read(self) -> dict[str, Any]:
        """All that is known."""
        return self._numbers


@contextlib.contextmanager
def _watched(board: Any, bar: Bar) -> Iterator[None]:
    """Show what the board says, every half second."""
    import ray

    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            with contextlib.suppress(ray.exceptions.RayError):
                bar.show(ray.get(board.read.remote()))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        with contextlib.suppress(ray.exceptions.RayError):
            bar.show(ray.get(board.read.remote()))


def _explained(error: Exception, settings: Settings) -> CinescribeError:
    """Ray's error as ours: what a worker said of itself, or that workers died."""
    causes = list(getattr(error, "worker_failures", {}).values()) or [error]
    for cause in causes:
        inner = getattr(cause, "cause", None) or cause
        if isinstance(inner, CinescribeError):
            return inner
    reason = " ".join(str(causes[0]).split())[-400:]
    return CinescribeError(
        f"{settings.out}: training stopped, its workers failed more than {settings.max_failures} times; the "
        f"same command goes on from the last checkpoint. The last failure: {reason}"
    )


@contextlib.contextmanager
def _ray(address: str, workers: int) -> Iterator[None]:
    """A cluster that is there, or one on this machine for the time of the run."""
    # The workers that die are told of in our own words, when they don't come back.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "A worker died or was killed|retries remaining")
    import ray

    if ray.is_initialized():
        yield
        return
    if address or os.environ.get("RAY_ADDRESS"):
        try:
            ray.init(address=address or None, logging_level="ERROR", log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            where = address or os.environ["RAY_ADDRESS"]
            raise UsageError(f"no Ray cluster at {where}: {error}") from error
    else:
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        with _silent_stderr():  # Ray's own log tells there which level it logs at; what goes wrong is raised
            try:
                ray.init(
                    address="local",  # never a cluster that someone else left running on this machine
                    num_cpus=max(os.cpu_count() or 1, workers),  # few cores are lent several times
                    include_dashboard=False,
                    logging_level="ERROR",
                    log_to_driver=False,
                    object_store_memory=128 * 2**20,  # only settings and numbers travel
                )
            except Exception as error:  # Ray has no kind of its own for that; it waits half a minute
                raise CinescribeError(
                    f"Ray did not start here, is the machine too busy? Run the same command again: {error}"
                ) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
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


def device() -> str:
    """Where a run without workers computes."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
