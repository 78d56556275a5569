"""Jobs: one for each pipeline and each recipe of the trainings, checked by their own commands."""

import argparse
import contextlib
import importlib
import io
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from cinescribe import cli
from cinescribe.errors import UsageError
from infra.pods import Manifest, bare_pod, cluster_spec, labels, memory_of_ray, metadata
from infra.values import Values, Work
from pipelines import cluster
from train import command as training_command
from train import recipes

# A pipeline is a command in the file of its name; `plan`, which only reckons, is elsewhere.
PIPELINES = tuple(name for name, (_, module) in cli.COMMANDS.items() if module == f"pipelines.{name}")
RECIPES = tuple(recipes.RECIPES)
# Their workers decode films beside the networks, so several share a GPU (pipelines/cluster.py).
_DECODING = ("extract", "describe")
_COMMAND = ("python", "-m", "cinescribe.cli")
_SUBMITTER = {"cpu": "500m", "memory": "1Gi"}


@dataclass(frozen=True, slots=True)
class Job:
    """A command of `cinescribe` and the machines it runs on."""

    name: str
    arguments: tuple[str, ...]
    work: Work

    @property
    def entrypoint(self) -> str:
        """As a shell takes it."""
        return shlex.join((*_COMMAND, *self.arguments))


def jobs(values: Values) -> list[Job]:
    """All of them, the pipelines first.

    Raises:
        UsageError: an unknown pipeline or recipe, or arguments that its command refuses.
    """
    _check_known("pipelines", values.pipelines, PIPELINES)
    _check_known("training.arguments", values.training.arguments, RECIPES)
    if missing := [name for name in PIPELINES if name not in values.pipelines]:
        raise UsageError(
            f"pipelines: {', '.join(missing)}: missing; give each its group, machines, arguments"
        )
    return [_pipeline(values, name) for name in PIPELINES] + [_recipe(values, name) for name in RECIPES]


def _pipeline(values: Values, name: str) -> Job:
    work = values.pipelines[name]
    storage = values.storage
    inputs = {
        "index": (storage.tables,),
        "align": (storage.tables,),
    }.get(name, (*storage.films, "--out", storage.tables))
    arguments = (name, *inputs, *work.arguments)
    parser: argparse.ArgumentParser = importlib.import_module(cli.COMMANDS[name][1]).parser()
    parsed = _parse(parser, arguments[1:], f"pipelines.{name}.arguments")
    if not parsed.workers:
        # A run that is not told shares out the machines that are there when it begins; this one grows.
        arguments += ("--workers", str(_workers(values, name, work, parsed)))
    return Job(name, arguments, work)


def _workers(values: Values, name: str, work: Work, parsed: argparse.Namespace) -> int:
    """So many as the pipeline itself would choose, were all machines of its group there."""
    group = values.groups[work.group]
    memory = float(memory_of_ray(group.memory_gib)["memory"])
    machine: dict[str, float] = {"CPU": group.cpus, "memory": memory}
    if group.gpus:
        machine["GPU"] = group.gpus
    machines = [machine] * work.machines.most
    decoding = name in _DECODING
    profile = getattr(parsed, "profile", "features" if decoding else "small")
    share = getattr(parsed, "gpus_per_worker", 0.0) or (cluster.gpu_share(machines) if decoding else 1.0)
    return cluster.share(machines, 10**6, profile, 0, parsed.threads, share).workers


def _recipe(values: Values, name: str) -> Job:
    training, storage = values.training, values.storage
    per_machine = values.groups[training.group].gpus or 1
    least, most = (number * per_machine for number in (training.machines.least, training.machines.most))
    own = training.arguments.get(name, [])
    arguments = (
        "train",
        name,
        "--data",
        storage.training,
        "--out",
        f"{storage.runs.rstrip('/')}/{name}",
        *own,
    )
    parsed = _parse(training_command.parser(name), arguments[2:], f"training.arguments.{name}")
    if parsed.workers is None:
        arguments += ("--workers", str(least) if least == most else f"{least}-{most}")
    return Job(name, arguments, training)


def _check_known(place: str, given: Iterable[str], known: tuple[str, ...]) -> None:
    if strangers := [name for name in given if name not in known]:
        raise UsageError(f"{place}: no {', '.join(strangers)}; there are: {', '.join(known)}")


def _parse(parser: argparse.ArgumentParser, arguments: tuple[str, ...], place: str) -> argparse.Namespace:
    """What the command itself makes of its arguments: a slip is told now, not when machines are paid for."""
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
            return parser.parse_args(arguments)
    except SystemExit:
        lines = told.getvalue().strip().splitlines() or ["--help is no argument of a job"]
        raise UsageError(f"{place}: {lines[-1]}") from None


def ray_job(values: Values, job: Job) -> Manifest:
    """The RayJob: a cluster of its own that comes, does the job and goes; tried again, it goes on."""
    submitter = bare_pod(values, "submitter", values.images.cpu, _SUBMITTER)
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": metadata(values, f"{values.name}-{job.name}"),
        "spec": {
            "entrypoint": job.entrypoint,
            "submissionMode": "K8sJobMode",
            "submitterPodTemplate": submitter,
            "backoffLimit": values.jobs.tries - 1,
            "activeDeadlineSeconds": values.jobs.hours * 3600,
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": values.jobs.keep_seconds,
            "metadata": {key.rpartition("/")[2]: text for key, text in labels(values).items()},
            "rayClusterSpec": cluster_spec(values, {job.work.group: job.work.machines}),
        },
    }


# What a submission carries: the code, and nothing that is large, private or made.
RUNTIME_ENV: Manifest = {
    "working_dir": ".",
    "excludes": [
        ".git/", ".venv/", ".*_cache/", ".hypothesis/", "__pycache__/",
        "/demo/", "/out/", "/docs/", "/tests/", "/benchmarks/",
        "*.pt", "*.ckpt", "*.safetensors", "*.parquet", "*.mp4", "*.mkv", "*.wav",
    ],
}  # fmt: skip


def submission(job: Job) -> str:
    """A shell script that sends the job to a cluster that runs already, with the code of this folder."""
    return (
        "#!/bin/sh\n"
        f"# Sends {job.name}, with the code of this checkout, to the cluster of RAY_API_SERVER_ADDRESS.\n"
        "# Run it from the repository's root. The cluster's token: RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH.\n"
        f"# A machine of the group {job.work.group} must be there: a run computes on what it finds.\n"
        'here=$(dirname "$0")\n'
        'exec ray job submit --runtime-env "$here/runtime_env.yaml" "$@" -- \\\n'
        f"    {job.entrypoint}\n"
    )
