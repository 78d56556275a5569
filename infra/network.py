"""The namespace, and who may reach the pods in it."""

from infra.pods import Manifest, labels, metadata
from infra.service import PORT
from infra.values import Values

_METRICS = (8080, 44217, 44227)  # where KubeRay has Ray's nodes, autoscaler and dashboard tell their numbers
_NAME_OF_NAMESPACE = "kubernetes.io/metadata.name"


def namespace(values: Values) -> Manifest:
    """The namespace; pods that ask for more than a plain user's rights are refused there."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": values.namespace,
            "labels": {**labels(values), "pod-security.kubernetes.io/enforce": "baseline"},
        },
    }


def policies(values: Values) -> list[Manifest]:
    """Ray runs what it is sent: its ports are for its own pods and the operator, HTTP for those named."""
    ours = {"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": values.name}}}
    allowed = [_namespace(name) for name in values.service.from_namespaces] or [{"podSelector": {}}]
    made = [
        _policy(values, "ray", [{"from": [ours, _namespace(values.operator_namespace)]}]),
        _policy(values, "http", [{"from": allowed, "ports": [{"protocol": "TCP", "port": PORT}]}]),
    ]
    if watcher := values.monitoring_namespace:
        ports = [{"protocol": "TCP", "port": port} for port in _METRICS]
        made.append(_policy(values, "metrics", [{"from": [_namespace(watcher)], "ports": ports}]))
    return made


def _namespace(name: str) -> Manifest:
    return {"namespaceSelector": {"matchLabels": {_NAME_OF_NAMESPACE: name}}}


def _policy(values: Values, what: str, ingress: list[Manifest]) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(values, f"{values.name}-{what}"),
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/part-of": values.name}},
            "policyTypes": ["Ingress"],
            "ingress": ingress,
        },
    }
