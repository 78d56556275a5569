"""Pods and Ray clusters, as KubeRay is told them."""

import re
from pathlib import Path
from typing import Any

from infra.values import Group, Range, Values
from serve import local_ray

_GIB = 2**30
HOME, KEYS_FOLDER = "/home/cinescribe", "/home/cinescribe/keys"
_USER = 1000  # of the images
_OBJECT_STORE, _WORK = 0.1, 0.8  # of a machine's memory; only paths and numbers travel; the rest is Ray's own
# Ray's proxies check uploads and slow readers as the replicas do (serve/gate.py).
_GATE = {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": local_ray.GATE}

Manifest = dict[str, Any]


def ray_version() -> str:
    """The Ray of the images, which is the lock's."""
    lock = (Path(__file__).parents[1] / "requirements.lock").read_text("utf-8")
    return re.findall(r"^ray==(\S+)", lock, re.MULTILINE)[0]


def labels(values: Values) -> dict[str, str]:
    """Of every object, so that `kubectl -l` finds them and the network policy knows them."""
    return {"app.kubernetes.io/part-of": values.name, "app.kubernetes.io/managed-by": "infra.render"}


def metadata(values: Values, name: str) -> Manifest:
    """Of an object of that name."""
    return {"name": name, "namespace": values.namespace, "labels": labels(values)}


def plain_environment(values: Values) -> dict[str, str]:
    """Of every process, what is no secret."""
    weights = {"CINESCRIBE_WEIGHTS": values.storage.weights} if values.storage.weights else {}
    return {**values.environment, **weights, **_GATE}


def environment(values: Values) -> list[Manifest]:
    """Of every process: what is written plainly, and what secrets hold, by their names."""
    named = {
        "AWS_ACCESS_KEY_ID": values.secrets.storage,
        "AWS_SECRET_ACCESS_KEY": values.secrets.storage,
        "HF_TOKEN": values.secrets.hub,
    }
    return [{"name": name, "value": value} for name, value in plain_environment(values).items()] + [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": name}}}
        for name, secret in named.items()
        if secret
    ]


def memory_of_ray(memory_gib: int) -> dict[str, str]:
    """How a machine's memory is shared out, as `ray start` takes it (bytes).

    By itself KubeRay promises the whole limit to the workers, beside the object store: the pod would be
    killed for what Ray believed it had.
    """
    return {
        "object-store-memory": str(int(_OBJECT_STORE * memory_gib * _GIB)),
        "memory": str(int(_WORK * memory_gib * _GIB)),
    }


def rights() -> Manifest:
    """A container's: none beyond its user's."""
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def bare_pod(values: Values, container: str, image: str, size: Manifest) -> Manifest:
    """A pod template of one container without root or any right.

    Args:
        size: `cpu`, `memory`, `ephemeral-storage` and `nvidia.com/gpu` as Kubernetes writes them; requested
            and limit are the same, so that no pod is thrown out for what another one took.
    """
    spec: Manifest = {
        # A pod that died must not come back as another Ray node under its old name (autoscaler v2).
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 120,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": container,
                "image": image,
                "securityContext": rights(),
                "resources": {"requests": dict(size), "limits": dict(size)},
            }
        ],
    }
    if values.images.pull_secret:
        spec["imagePullSecrets"] = [{"name": values.images.pull_secret}]
    if values.service_account:
        spec["serviceAccountName"] = values.service_account
    return {"metadata": {"labels": labels(values)}, "spec": spec}


def ray_pod(
    values: Values, container: str, image: str, size: Manifest, disk_gib: int, keys: bool = False
) -> Manifest:
    """The pod template of a Ray node: with the environment, and the folders it writes to.

    Args:
        size: see `bare_pod`, less the disk.
        disk_gib: of /tmp and the cache together.
        keys: whether it holds the API keys of the service.
    """
    volumes: list[Manifest] = [
        {"name": "scratch", "emptyDir": {"sizeLimit": f"{disk_gib}Gi"}},
        {"name": "cache", "emptyDir": {"sizeLimit": f"{disk_gib}Gi"}},
    ]
    mounts = [{"name": "scratch", "mountPath": "/tmp"}, {"name": "cache", "mountPath": f"{HOME}/.cache"}]
    if values.volume.claim:
        volumes.append({"name": "shared", "persistentVolumeClaim": {"claimName": values.volume.claim}})
        mounts.append({"name": "shared", "mountPath": values.volume.path})
    if keys and values.secrets.service_keys:
        volumes.append({"name": "keys", "secret": {"secretName": values.secrets.service_keys}})
        mounts.append({"name": "keys", "mountPath": KEYS_FOLDER})
    template = bare_pod(values, container, image, {**size, "ephemeral-storage": f"{disk_gib}Gi"})
    template["spec"]["containers"][0] |= {"env": environment(values), "volumeMounts": mounts}
    template["spec"]["volumes"] = volumes
    return template


def cluster_spec(
    values: Values, groups: dict[str, Range], *, keys: bool = False, lasting: bool = False
) -> Manifest:
    """A Ray cluster: a head without workers, and groups that grow and shrink.

    Args:
        groups: names of groups, and how many machines of each.
        keys: whether its pods hold the API keys of the service.
        lasting: it outlives a job, and so its head's death, where there is a Redis.
    """
    head = values.head
    head_size = {"cpu": str(head.cpus), "memory": f"{head.memory_gib}Gi"}
    spec: Manifest = {
        "rayVersion": ray_version(),
        "authOptions": {"mode": "token"},  # the operator makes the token; without it nobody may send a job
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {
            "version": "v2",
            "idleTimeoutSeconds": values.idle_seconds,
            "securityContext": rights(),
            "resources": {
                "requests": {"cpu": "500m", "memory": "1Gi"},
                "limits": {"cpu": "500m", "memory": "1Gi"},
            },
        },
        "headGroupSpec": {
            "serviceType": "ClusterIP",  # its dashboard runs whatever it is sent: never outside the cluster
            "rayStartParams": {"num-cpus": "0", **memory_of_ray(head.memory_gib)},
            "template": ray_pod(values, "ray-head", values.images.cpu, head_size, head.disk_gib, keys),
        },
        "workerGroupSpecs": [
            _group_spec(values, name, values.groups[name], machines, keys)
            for name, machines in groups.items()
        ],
    }
    if lasting and values.redis.address:
        redis: Manifest = {"redisAddress": values.redis.address}
        if secret := values.redis.password_secret:
            redis["redisPassword"] = {"valueFrom": {"secretKeyRef": {"name": secret, "key": "password"}}}
        spec["gcsFaultToleranceOptions"] = redis
    return spec


def _group_spec(values: Values, name: str, group: Group, machines: Range, keys: bool) -> Manifest:
    image = values.images.gpu if group.image == "gpu" else values.images.cpu
    size = {"cpu": str(group.cpus), "memory": f"{group.memory_gib}Gi"}
    if group.gpus:
        size["nvidia.com/gpu"] = str(group.gpus)
    template = ray_pod(values, "ray-worker", image, size, group.disk_gib, keys)
    template["spec"]["automountServiceAccountToken"] = False  # only the head's autoscaler asks for pods
    if group.node_selector:
        template["spec"]["nodeSelector"] = dict(group.node_selector)
    if group.tolerations:
        template["spec"]["tolerations"] = [dict(toleration) for toleration in group.tolerations]
    return {
        "groupName": name,
        "replicas": machines.least,
        "minReplicas": machines.least,
        "maxReplicas": machines.most,
        "rayStartParams": memory_of_ray(group.memory_gib),
        "template": template,
    }
