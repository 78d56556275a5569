"""The service: what Ray Serve is told, and the RayService that keeps it running."""

from typing import Any

from pydantic import ValidationError
from ray.serve.schema import ServeDeploySchema  # noqa: TID251 -- Serve says what it takes

from cinescribe.errors import UsageError
from infra.pods import KEYS_FOLDER, Manifest, cluster_spec, metadata
from infra.text import to_yaml
from infra.values import Values, first_fault
from serve import app, command
from serve.addresses import check_allowed

PORT = 8000
_PARTS = tuple(part.__name__ for part in (app.Ingress, app.QueryEncoder, app.Search, app.Describer))


def serve_config(values: Values) -> Manifest:
    """The config of `serve deploy` and of a RayService's serveConfigV2: `serve.app.build` with its arguments.

    Raises:
        UsageError: arguments or deployments that the service doesn't have.
    """
    service = values.service
    arguments: dict[str, Any] = {"root": values.storage.tables, **service.arguments}
    if values.secrets.service_keys:
        arguments.setdefault("keys_file", f"{KEYS_FOLDER}/keys")
    try:
        checked = app.Arguments(**arguments)
    except ValidationError as error:
        raise UsageError(f"service.arguments.{first_fault(error)}") from error
    check_allowed(checked.allow)
    if strangers := [name for name in service.deployments if name not in _PARTS]:
        raise UsageError(f"service.deployments: no {', '.join(strangers)}; there are: {', '.join(_PARTS)}")
    deployed = [name for name in service.deployments if name != app.Describer.__name__ or checked.describer]
    # How each part scales is below; the code then makes autoscaled deployments, whose numbers these replace.
    arguments.setdefault("replicas", "1-2")
    config = {
        "proxy_location": "EveryNode",
        "http_options": {"host": "0.0.0.0", "port": PORT, "keep_alive_timeout_s": 65},
        "logging_config": {"enable_access_log": False},  # ours has the same, without what was asked
        "applications": [
            {
                "name": command.APP,
                "route_prefix": "/",
                "import_path": f"{app.build.__module__}:{app.build.__name__}",
                "args": arguments,
                "deployments": [
                    {
                        "name": name,
                        "autoscaling_config": {
                            "min_replicas": service.deployments[name].least,
                            "max_replicas": service.deployments[name].most,
                            "target_ongoing_requests": service.deployments[name].ongoing,
                        },
                    }
                    for name in deployed
                ],
            }
        ],
    }
    ServeDeploySchema.model_validate(config)
    return config


def ray_service(values: Values) -> Manifest:
    """The RayService. A change of its cluster brings up a new one, and moves over when that one answers."""
    service = values.service
    cluster = cluster_spec(values, {service.group: service.machines}, keys=True, lasting=True)
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": metadata(values, values.name),
        "spec": {
            "upgradeStrategy": {"type": "NewCluster"},
            "excludeHeadPodFromServeSvc": True,  # the head schedules; requests go where the replicas are
            "serveConfigV2": to_yaml(serve_config(values)),
            "rayClusterConfig": cluster,
        },
    }
