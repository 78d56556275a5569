"""The scene of the service: questions over HTTP make replicas and machines appear; without them they go."""

import argparse
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import yaml

from benchmarks.autoscale_cluster import AutoscalingCluster, Group
from benchmarks.autoscale_scene import Result, first, start, told, until_gone
from benchmarks.autoscale_watch import Recorder, nodes_of, of
from benchmarks.serve import ask, write_library
from serve.command import free_port

GROUP = Group(cpus=2, memory=4 * 10**9, most=4)
_PARTS = ("Ingress", "QueryEncoder", "Search")
_CLIENTS = 24  # at once, where one replica of a part is meant to have 4 requests
_LOAD_SECONDS, _QUIET_SECONDS = 90.0, 15.0
# Of the config as rendered these are changed, so that minutes are enough: Serve waits 30 and 600 s by itself.
_DELAYS = {"upscale_delay_s": 3.0, "downscale_delay_s": 10.0}


@dataclass(frozen=True, slots=True)
class Service:
    """A config for `serve run`, and where it answers."""

    config: Path
    port: int


def prepare(out: Path, given: argparse.Namespace) -> Service:
    """Write and index made-up speech, and render the config."""
    from infra import service, values  # they import Ray

    root = out / "library"
    if not root.exists():
        write_library(root, films=20, utterances=50)
    written = yaml.safe_load(Path(values.__file__).with_name("values.yaml").read_text())
    written["storage"]["tables"] = str(root)
    written["secrets"]["service_keys"] = ""
    written["service"]["arguments"] = {"refresh": 10.0, "name": ["127.0.0.1"]}
    written["service"]["deployments"] = {part: {"least": 1, "most": 3, "ongoing": 4} for part in _PARTS}
    config = service.serve_config(values.Values.model_validate(written))
    port = free_port(0)
    config["http_options"] |= {"host": "127.0.0.1", "port": port}
    config["proxy_location"] = "HeadOnly"  # all nodes are one machine, which has each port once
    for part in config["applications"][0]["deployments"]:
        part["autoscaling_config"] |= _DELAYS
    path = out / "serve.yaml"
    path.write_text(yaml.safe_dump(config))
    return Service(path, port)


class _Clients:
    """So many clients, each with one question at a time; counts the answers by their status, 0 for none."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.statuses: Counter[int] = Counter()

    @contextmanager
    def asking(self, many: int, seconds: float) -> Iterator[None]:
        """While entered they begin to ask, and on leaving all have ended."""
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=self._ask, args=(until, seed)) for seed in range(many)]
        for thread in threads:
            thread.start()
        yield
        for thread in threads:
            thread.join()

    def _ask(self, until: float, seed: int) -> None:
        for status, _ in ask(self._port, until, seed):
            self.statuses[status] += 1


def play(cluster: AutoscalingCluster, recorder: Recorder, prepared: Service) -> Result:
    """Start it on a cluster without a machine; ask little, much, little; end it."""
    result = Result("service")
    clients = _Clients(prepared.port)

    def tell() -> Mapping[str, object]:
        answers = dict(clients.statuses)
        return {"answers": {str(status): many for status, many in answers.items()}}

    recorder.tell = tell
    began = recorder.seconds
    recorder.note("serve run begins")
    process = start(
        cluster,
        ["-m", "ray.serve.scripts", "run", str(prepared.config)],
        prepared.config.with_suffix(".log"),
    )
    ready = _ready(prepared.port, 300)
    result.promise(ready, f"the service did not get ready, see {prepared.config.with_suffix('.log')}")
    result.rows.append(("until it answers, on a cluster without a machine", told(recorder.seconds - began)))
    if ready:
        with clients.asking(1, _QUIET_SECONDS):
            pass
        _load(recorder, clients, result)
    recorder.note("the service ends")
    ended = recorder.seconds
    process.send_signal(signal.SIGINT)
    process.wait(120)
    until_gone(recorder, result, "service", ended, "the end of the service")
    return result


def _load(recorder: Recorder, clients: _Clients, result: Result) -> None:
    loaded = recorder.seconds
    recorder.note(f"{_CLIENTS} clients")
    before = Counter(clients.statuses)
    with clients.asking(_CLIENTS, _LOAD_SECONDS):
        pass
    quiet = recorder.seconds
    recorder.note("1 client")
    at_load = clients.statuses - before
    few = {"replicas": 0, "nodes": 0}

    def shrunk(sample: Mapping[str, object]) -> bool:
        sample = dict(sample)
        few.update(replicas=of(sample, *_PARTS), nodes=nodes_of(sample, "service"))
        return few == {"replicas": len(_PARTS), "nodes": 1}

    with clients.asking(1, 60.0):
        again = recorder.wait(shrunk, 120)
    small = recorder.seconds
    samples = [sample for sample in recorder.samples if loaded <= sample["seconds"]]
    replicas = max(of(sample, *_PARTS) for sample in samples)
    nodes = max(nodes_of(sample, "service") for sample in samples)
    lost = sum(many for status, many in clients.statuses.items() if status not in (200, 503))
    result.rows += [
        (
            f"load until {replicas} replicas, the most (from {len(_PARTS)})",
            told(first(samples, loaded, lambda s: of(s, *_PARTS) == replicas)),
        ),
        (
            f"load until {nodes} nodes, the most (from 1)",
            told(first(samples, loaded, lambda s: nodes_of(s, "service") == nodes)),
        ),
        (f"answers a second, {_CLIENTS} clients", f"{at_load[200] / (quiet - loaded):.1f}"),
        (
            "end of the load until as few as before",
            told(small - quiet) if again else f"never: {few['replicas']} replicas, {few['nodes']} nodes",
        ),
        (
            "answered, refused as full (503), lost",
            f"{clients.statuses[200]}, {clients.statuses[503]}, {lost}",
        ),
    ]
    result.promise(lost == 0, f"{lost} requests got no answer or a wrong one: {dict(clients.statuses)}")
    result.promise(replicas > len(_PARTS), "no part of the service got a second replica")
    result.promise(nodes > 1, "the service got no second node")
    result.promise(again, "the service did not get as small again as it was")


def _ready(port: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/readyz")
            reply = connection.getresponse()
            if reply.status == 200 and json.loads(reply.read())["status"] == "ready":
                return True
        except OSError:
            pass
        time.sleep(0.5)
    return False
