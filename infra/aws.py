"""A cluster on AWS without Kubernetes, as `ray up` is told it."""

import shlex
from typing import Any

from infra.pods import KEYS_FOLDER, Manifest, memory_of_ray, plain_environment
from infra.values import Group, Head, Values

# On the machine of whoever runs `ray up`: the cluster's token, and the service's API keys, one a line.
_TOKEN, _KEYS = "~/.ray/auth_token", "~/.cinescribe/keys"


def cluster_config(values: Values) -> Manifest:
    """The config of `ray up`: the same images, groups and sizes, on EC2 machines in Docker.

    The rights to the buckets are the machines' own role's; Ray's ports stay closed, and its token is the one
    that `ray get-auth-token --generate` put on this machine.
    """
    plain = {**plain_environment(values), "RAY_AUTH_MODE": "token"}
    # Ray joins these with blanks into a line for the shell.
    options = [shlex.quote(f"--env={name}={value}") for name, value in plain.items()]
    files = {_TOKEN: _TOKEN}
    if values.secrets.service_keys:
        files[f"{KEYS_FOLDER}/keys"] = _KEYS
    groups = values.groups
    return {
        "cluster_name": values.name,
        "max_workers": sum(group.machines.most for group in groups.values()),
        "idle_timeout_minutes": max(1, round(values.idle_seconds / 60)),
        "provider": {"type": "aws", "region": values.aws.region, "cache_stopped_nodes": False},
        "auth": {"ssh_user": values.aws.ssh_user},
        "docker": {
            "image": values.images.cpu,
            "container_name": values.name,
            "pull_before_run": True,
            "run_options": ["--ulimit=nofile=65536:65536", *options],
        },
        "file_mounts": files,
        "head_node_type": "head",
        "available_node_types": {
            "head": {
                "resources": {"CPU": 0},
                "min_workers": 0,
                "max_workers": 0,
                "node_config": _machine(values, values.head),
            },
            **{name: _node_type(values, group) for name, group in groups.items()},
        },
        "head_start_ray_commands": [
            "ray stop",
            "ray start --head --port=6379 --num-cpus=0 --autoscaling-config=~/ray_bootstrap_config.yaml"
            f"{_memory_flags(values.head.memory_gib)}",
        ],
        "worker_start_ray_commands": [
            "ray stop",
            # A worker's memory is told by its node type's resources.
            "ray start --address=$RAY_HEAD_IP:6379",
        ],
    }


def _node_type(values: Values, group: Group) -> Manifest:
    node: Manifest = {
        "resources": {
            "CPU": group.cpus,
            **({"GPU": group.gpus} if group.gpus else {}),
            "memory": int(memory_of_ray(group.memory_gib)["memory"]),
        },
        "min_workers": group.machines.least,
        "max_workers": group.machines.most,
        "node_config": _machine(values, group),
    }
    if group.image == "gpu":
        node["docker"] = {"worker_image": values.images.gpu}
    if group.spot:
        node["node_config"]["InstanceMarketOptions"] = {"MarketType": "spot"}
    return node


def _machine(values: Values, size: Head | Group) -> dict[str, Any]:
    disk = {"VolumeSize": size.disk_gib + 50, "VolumeType": "gp3", "Encrypted": True}  # beside the image
    return {
        "InstanceType": size.instance,
        "ImageId": values.aws.machine_image,
        "IamInstanceProfile": {"Name": values.aws.instance_profile},
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": disk}],
    }


def _memory_flags(memory_gib: int) -> str:
    return "".join(f" --{name}={size}" for name, size in memory_of_ray(memory_gib).items())
