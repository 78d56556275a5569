"""Ray's own test cluster that grows and shrinks: its autoscaler starts nodes that are processes here.

The same provider, autoscaler and settings as `ray.cluster_utils.AutoscalingCluster`, which can't be used: it
begins and ends with `ray stop`, which kills every Ray on the machine, and reads a file that its wheel lacks.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil  # type: ignore[import-untyped]

from serve.command import free_port

_HEAD_ID = "f" * 51 + "00000"  # the id that the provider knows the head by
_START_SECONDS = 90
_STARTS = 8  # tries to start the head
_MARK = "CINESCRIBE_AUTOSCALE_RUN"


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes of one kind.

    Attributes:
        cpus: that a node lends; more than this machine has, when many nodes lend the same ones.
        memory: bytes that a node lends.
        most: nodes at once.
    """

    cpus: int
    memory: int
    most: int


class AutoscalingCluster:
    """While entered, a head that lends nothing, and an autoscaler that starts nodes of `groups` as needed.

    Attributes:
        address: for `--address` and RAY_ADDRESS.
        environment: that commands of the cluster's users are to have.
        secrets: the part of it without which nobody may send anything to the cluster.
    """

    def __init__(self, groups: Mapping[str, Group], idle_seconds: float) -> None:
        self._port = free_port(0)
        self.address = f"127.0.0.1:{self._port}"
        self._folder = Path(tempfile.mkdtemp(prefix="as-"))  # sockets have short names
        self._mark = uuid.uuid4().hex
        kept = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
        path = f"{Path(sys.executable).parent}:{kept['PATH']}"
        self.secrets = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": uuid.uuid4().hex + uuid.uuid4().hex}
        root = str(Path(__file__).parents[1])  # Ray's autoscaler imports the nodes from there
        own = {"PATH": path, "PYTHONPATH": root, "RAY_ADDRESS": self.address, _MARK: self._mark}
        self.environment = kept | self.secrets | own
        self._file = self._folder / "cluster.json"
        self._config = _config(groups, idle_seconds, self.address)
        self._file.write_text(json.dumps(self._config))

    def __enter__(self) -> "AutoscalingCluster":
        environment = self.environment | {
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "RAY_FAKE_CLUSTER": "1",
            "RAY_enable_autoscaler_v2": "1",
            "RAY_CLOUD_INSTANCE_ID": _HEAD_ID,
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": _HEAD_ID,
            "RAY_NODE_TYPE_NAME": "ray.head.default",
        }
        del environment["RAY_ADDRESS"]
        told = "it was told to end"
        command = [
            "ray", "start", "--head", f"--port={self._port}", "--node-ip-address=127.0.0.1", "--num-cpus=0",
            "--include-dashboard=false", "--disable-usage-stats", "--object-store-memory=100000000",
            "--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0",
            f"--temp-dir={self._folder}", f"--autoscaling-config={self._file}",
        ]  # fmt: skip
        for _ in range(_STARTS):
            try:
                started = subprocess.run(
                    command,
                    env=environment,
                    text=True,
                    capture_output=True,
                    timeout=_START_SECONDS,
                    check=False,
                )
                if started.returncode == 0:
                    return self
                told = started.stdout + started.stderr
            except subprocess.TimeoutExpired:
                told = f"it took more than {_START_SECONDS} s"
            except SystemExit:
                break
            self._kill()  # a node gives its agents 15 s to start: too little on a busy machine
        self.__exit__(None, None, None)
        raise SystemExit(f"the test cluster did not start: {told}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _kill(self) -> None:
        for _ in range(3):  # the autoscaler may start a node while we look
            for process in self.processes():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.2)

    def processes(self) -> list[psutil.Process]:
        """All of the cluster and of its users, found by the mark in their environment; not this one."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(_MARK) == self._mark and process.pid != os.getpid():
                    found.append(process)
        return found

    def allow(self, group: str, most: int) -> None:
        """Change how many nodes of a group there may be, as a quota changes; the autoscaler reads it anew."""
        self._config["available_node_types"][group]["max_workers"] = most
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self._config))
        new.replace(self._file)

    def keep_logs(self, folder: Path) -> None:
        """Copy what Ray's autoscaler told."""
        folder.mkdir(exist_ok=True)
        for log in self._folder.glob("session_*/logs/monitor.*"):
            shutil.copy(log, folder / log.name)

    def kill_node(self, group: str) -> str:
        """End a node of the group as a spot machine ends, all processes at once. Gives its id, or ""."""
        import ray

        for node in ray.nodes():
            if node["Alive"] and node["Labels"].get("ray.io/node-group") == group:
                for process in self.processes():
                    with contextlib.suppress(psutil.Error):
                        if process.name() == "raylet" and node["NodeID"] in " ".join(process.cmdline()):
                            for each in [*process.children(recursive=True), process]:
                                each.kill()
                            return str(node["NodeID"])
        return ""


def _config(groups: Mapping[str, Group], idle_seconds: float, address: str) -> dict[str, Any]:
    """What `ray start --autoscaling-config` reads."""
    nodes: dict[str, Any] = {
        "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
    }
    for name, group in groups.items():
        resources = {"CPU": group.cpus, "memory": group.memory, "object_store_memory": 80_000_000}
        nodes[name] = {
            "resources": resources, "node_config": {}, "min_workers": 0, "max_workers": group.most,
        }  # fmt: skip
    return {
        "cluster_name": "autoscale",
        "max_workers": 100,
        "upscaling_speed": 100.0,
        "idle_timeout_minutes": idle_seconds / 60,
        "provider": {
            "type": "external",
            "module": "benchmarks.autoscale_nodes.Nodes",
            "gcs_address": address,
            "head_node_id": _HEAD_ID,
            "launch_multiple": True,
            "use_node_id_as_ip": True,  # all nodes have the address of this machine
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "auth": {},
        **{
            name: []
            for name in (
                "setup_commands",
                "head_setup_commands",
                "worker_setup_commands",
                "initialization_commands",
                "cluster_synced_files",
                "head_start_ray_commands",
                "worker_start_ray_commands",
            )
        },
        "file_mounts": {},
        "available_node_types": nodes,
        "head_node_type": "ray.head.default",
    }
