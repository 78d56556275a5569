"""`python -m infra.render --values FILE --out DIR`: all files of a cluster from one file of values.

The files and who takes them:

    namespace.yaml network.yaml   once                        kubectl apply
    cluster.yaml                  a cluster to send jobs to   kubectl apply
    jobs/NAME.yaml                a pipeline                  kubectl replace --force, once a run
    training/RECIPE.yaml          a training                  kubectl replace --force, once a run
    service.yaml                  search, captions, page      kubectl apply; again after a change
    serve.yaml                    the same without Kubernetes serve deploy
    aws.yaml                      machines without Kubernetes ray up
    submit/NAME.sh                a job for a cluster that is there; submit/runtime_env.yaml goes with it
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cinescribe.errors import CinescribeError
from infra import aws, network, service, values
from infra.jobs import PIPELINES, RUNTIME_ENV, jobs, ray_job, submission
from infra.pods import Manifest, cluster_spec, metadata
from infra.text import to_yaml


def render(of: values.Values) -> dict[str, str]:
    """The files by their names, as text.

    Raises:
        UsageError: the values can't be meant.
    """
    work = jobs(of)
    files: dict[str, list[Manifest]] = {
        "namespace.yaml": [network.namespace(of)],
        "network.yaml": network.policies(of),
        "cluster.yaml": [_ray_cluster(of)],
        "service.yaml": [service.ray_service(of)],
        "serve.yaml": [service.serve_config(of)],
        "aws.yaml": [aws.cluster_config(of)],
        "submit/runtime_env.yaml": [RUNTIME_ENV],
    }
    for job in work:
        folder = "jobs" if job.name in PIPELINES else "training"
        files[f"{folder}/{job.name}.yaml"] = [ray_job(of, job)]
    texts = {name: _yaml(documents) for name, documents in files.items()}
    return texts | {f"submit/{job.name}.sh": submission(job) for job in work}


def _ray_cluster(of: values.Values) -> Manifest:
    groups = {name: group.machines for name, group in of.groups.items()}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": metadata(of, of.name),
        "spec": cluster_spec(of, groups, lasting=True),
    }


def _yaml(documents: list[Manifest]) -> str:
    return f"# Made by infra.render: change the values, not this file.\n{to_yaml(*documents)}"


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    p = argparse.ArgumentParser(
        prog="python -m infra.render", description="All files of a cluster from one file of values."
    )
    p.add_argument("--values", required=True, type=Path, metavar="FILE", help="see infra/values.yaml")
    p.add_argument("--out", required=True, type=Path, metavar="DIR", help="made where it is not there")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files; 2 with one message when a user can mend it."""
    arguments = parser().parse_args(argv)
    try:
        files = render(values.read(arguments.values))
    except CinescribeError as error:
        print(f"infra.render: {arguments.values}: {error}", file=sys.stderr)
        return 2
    try:
        for name, text in files.items():
            path = arguments.out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            if path.suffix == ".sh":
                path.chmod(0o755)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}"
        print(f"infra.render: {what}; give --out a folder that you may write to", file=sys.stderr)
        return 2
    print(f"{len(files)} files in {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
