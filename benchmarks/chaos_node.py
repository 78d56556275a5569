"""`ray start` that is patient: on a machine whose cores many share a node takes longer than Ray waits for it.

    python -m benchmarks.chaos_node --head --block ...

The ports of the node's agents must be told. Ray gives the agents 15 s to write their ports down, and the node
30 s in all; here the ports are written down before, and the node has minutes.
"""

import inspect
import sys
from typing import Any

from ray import _raylet
from ray._private import services
from ray.scripts.scripts import main

_PATIENCE = 300.0  # seconds

_ports: Any = _raylet  # compiled: it has no types
_get_node, _start_raylet = services.get_node, services.start_raylet


def _get_node_patiently(gcs_address: str, node_id: str) -> Any:
    services.get_node = _get_node  # the retries ask by it
    return services.get_node_with_retry(gcs_address, node_id, timeout_s=_PATIENCE)


def _start_raylet_with_ports(*arguments: Any, **named: Any) -> Any:
    told = inspect.signature(_start_raylet).bind(*arguments, **named).arguments
    for name, argument in (
        (_ports.DASHBOARD_AGENT_LISTEN_PORT_NAME, "dashboard_agent_listen_port"),
        (_ports.METRICS_AGENT_PORT_NAME, "metrics_agent_port"),
        (_ports.METRICS_EXPORT_PORT_NAME, "metrics_export_port"),
        (_ports.RUNTIME_ENV_AGENT_PORT_NAME, "runtime_env_agent_port"),
    ):
        _ports.persist_port(told["session_dir"], told["node_id"], name, told[argument])
    return _start_raylet(*arguments, **named)


if __name__ == "__main__":
    services.get_node, services.start_raylet = _get_node_patiently, _start_raylet_with_ports
    sys.argv.insert(1, "start")
    sys.exit(main())
