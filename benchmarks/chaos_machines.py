"""What chaos breaks: Ray nodes and an S3 server, all processes of this machine, and all ended at the end.

A node is a `ray start` with all that it started; killing it kills them all at once, as when a machine goes.
S3 is moto's server, which keeps its objects in memory, with a forwarder of bytes in front, a process of its
own. That forwarder is what is killed: connections break at any byte and new ones are refused, and the objects
stay, as those of a server with a disk would.
"""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import psutil  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[1]
BUCKET = "s3://chaos"
_START_SECONDS = 400.0  # that a process may take until it listens, on a busy machine
_AGENTS = ("dashboard-agent-listen", "dashboard-agent-grpc", "runtime-env-agent", "metrics-export")
_NODE_CPUS = 3  # as Ray counts them


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(happens: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until it is true. Raises TimeoutError that names `what`."""
    end = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.1)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass(slots=True)
class Node:
    """A `ray start` and what it started."""

    process: "subprocess.Popen[bytes]"
    head: bool

    def all(self) -> list[psutil.Process]:
        """Its processes that live."""
        try:
            start = psutil.Process(self.process.pid)
            return [start, *start.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


@dataclass(slots=True)
class Machines:
    """The S3 server and the cluster, while entered.

    Args:
        folder: where logs go.

    Attributes:
        environment: of whatever uses them, by way of the forwarder.
        endpoint: of the S3 server itself, past the forwarder.
        address: of the cluster.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    endpoint: str = ""
    address: str = ""
    nodes: list[Node] = field(default_factory=list)
    _mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    _started: "list[subprocess.Popen[bytes]]" = field(default_factory=list)
    _forwarder: "subprocess.Popen[bytes] | None" = None
    _ports: tuple[int, int] = (0, 0)  # of the forwarder, of the server
    _timers: list[threading.Timer] = field(default_factory=list)
    _ending: threading.Event = field(default_factory=threading.Event)

    @property
    def temporary(self) -> Path:
        """For Ray's sockets, whose names must be short, and for what the commands keep of films."""
        return Path(f"/tmp/cinescribe-chaos-{os.getpid()}")

    def __enter__(self) -> "Machines":
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        self.temporary.mkdir()
        clean = {name: text for name, text in os.environ.items() if not name.startswith(("RAY_", "AWS_"))}
        keys = {
            "AWS_ACCESS_KEY_ID": "chaos",
            "AWS_SECRET_ACCESS_KEY": "chaos",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        self._ports = free_port(), free_port()
        self.endpoint = f"http://127.0.0.1:{self._ports[1]}"
        self.environment = {
            **clean,
            **keys,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._ports[0]}",
            "CINESCRIBE_CHAOS_RUN": self._mark,
            "OMP_NUM_THREADS": "1",
            "PATH": f"{Path(sys.executable).parent}:{clean['PATH']}",
            "PYTHONPATH": str(ROOT),
            "RAY_prestart_worker_first_driver": "0",  # a machine that others use too
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self._mark,
            # The gate in Ray's proxy, as docs/serving.md has it for clusters that run already.
            "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve.gate:middlewares",
        }
        os.environ |= keys | {"AWS_ENDPOINT_URL": self.endpoint}  # what this process reads itself
        try:
            self.start(["moto_server", "-H", "127.0.0.1", "-p", str(self._ports[1])], "moto")
            wait_for(lambda: _listens(self._ports[1]), _START_SECONDS, "moto's server")
            self.start_s3()
            from cinescribe import storage

            storage.s3_client().create_bucket(Bucket=BUCKET.removeprefix("s3://"))
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Kill all that was started, by the mark in its environment too, and delete what it kept."""
        self.end_cluster()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid != os.getpid() and process.environ().get("CINESCRIBE_CHAOS_RUN") == self._mark:
                    process.kill()
        for started in self._started:
            started.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                started.wait(30)
        shutil.rmtree(self.temporary, ignore_errors=True)

    def start(self, words: list[str], log: str, **environment: str) -> "subprocess.Popen[bytes]":
        """Start a program in the repository; what it says is added to the log of that name."""
        with (self.folder / "logs" / f"{log}.log").open("ab") as file:
            process = subprocess.Popen(
                words, cwd=ROOT, env=self.environment | environment, stdout=file, stderr=subprocess.STDOUT
            )
        self._started = [other for other in self._started if other.poll() is None] + [process]
        return process

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        """Do something later, unless the cluster ends before."""
        timer = threading.Timer(seconds, do)
        timer.daemon = True
        timer.start()
        self._timers = [other for other in self._timers if other.is_alive()] + [timer]

    # ---- S3 -------------------------------------------------------------------------------------

    def start_s3(self) -> None:
        """Start the forwarder, unless it runs."""
        if self._forwarder is None or self._forwarder.poll() is not None:
            words = [sys.executable, "-m", "benchmarks.chaos_machines", *map(str, self._ports)]
            self._forwarder = self.start(words, "forwarder")
            wait_for(lambda: _listens(self._ports[0]), _START_SECONDS, "the forwarder before S3")

    def kill_s3(self, seconds: float) -> None:
        """No S3 for so long."""
        if self._forwarder is not None:
            self._forwarder.kill()
            self._forwarder.wait(30)
        self.after(seconds, self.start_s3)

    # ---- the cluster ----------------------------------------------------------------------------

    def start_cluster(self, nodes: int = 2) -> None:
        """Start a head that computes nothing and some nodes that do; a cluster that runs ends before."""
        self.end_cluster()
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        own = ["--head", f"--port={port}", "--num-cpus=0", f"--ray-client-server-port={free_port()}"]
        own += [f"--dashboard-port={free_port()}"]
        own += ["--include-dashboard=false", "--no-monitor", f"--temp-dir={self.temporary / 'ray'}"]
        self._start_node(own, head=True)
        for _ in range(nodes):
            self.start_node()

    def start_node(self) -> None:
        """Start one more node, and wait until it is there."""
        self._start_node([f"--address={self.address}", f"--num-cpus={_NODE_CPUS}"], head=False)

    def _start_node(self, own: list[str], *, head: bool) -> None:
        """Start a node; on a busy machine Ray may give up its start, which is then tried again."""
        common = ["--block", "--disable-usage-stats", "--object-store-memory=100000000"]
        common += ["--include-log-monitor=false"]
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end and not self._ending.is_set():
            log = f"node-{uuid.uuid4().hex[:8]}"
            ports = [f"--{agent}-port={free_port()}" for agent in _AGENTS]
            words = [sys.executable, "-m", "benchmarks.chaos_node", *common, *ports, *own]
            node = Node(self.start(words, log), head)
            said = self.folder / "logs" / f"{log}.log"
            while node.process.poll() is None and time.monotonic() < end and not self._ending.is_set():
                if "Ray runtime started" in said.read_text():
                    self.nodes.append(node)
                    return
                time.sleep(0.3)
            _kill(node.all())
        if not self._ending.is_set():
            raise TimeoutError(f"a node: not within {_START_SECONDS:g} s, see {self.folder}/logs")

    def end_cluster(self) -> None:
        """Kill all nodes at once; asked to end, Ray takes half a minute."""
        self._ending.set()
        for timer in self._timers:
            timer.cancel()
            timer.join(60)  # one that has begun to start something
        self._timers = []
        self._ending.clear()
        for node in self.nodes:
            _kill(node.all())
            node.process.wait(30)
        self.nodes = []
        if self._forwarder is not None:
            self.start_s3()
        shutil.rmtree(self.temporary / "ray", ignore_errors=True)

    def workers(self, pattern: str) -> list[psutil.Process]:
        """Processes of the nodes (not of the head) that do what the pattern names, oldest first."""
        return sorted(
            (one for node in self.nodes if not node.head for one in node.all() if _does(one, pattern)),
            key=lambda one: one.pid,
        )

    def kill_worker(self, pattern: str, choose: Callable[[list[psutil.Process]], psutil.Process]) -> str:
        """Kill one of those workers; what it did, "" when there was none."""
        found = self.workers(pattern)
        if not found:
            return ""
        worker = choose(found)
        name = _title(worker)
        _kill([worker])
        return name

    def kill_node(self, pattern: str, choose: Callable[[list[Node]], Node], seconds: float) -> bool:
        """Kill a node, one that does what the pattern names if any; after so long another takes its place."""
        nodes = [node for node in self.nodes if not node.head and node.process.poll() is None]
        at_work = [node for node in nodes if any(_does(one, pattern) for one in node.all())]
        if not nodes:
            return False
        node = choose(at_work or nodes)
        _kill(node.all())
        node.process.wait(30)
        self.nodes.remove(node)
        self.after(seconds, self.start_node)
        return True


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _title(process: psutil.Process) -> str:
    """What a worker of Ray says that it does, as `ray::MapWorker(MapFilms)`."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline()).strip()
    return ""


def _does(process: psutil.Process, pattern: str) -> bool:
    title = _title(process)
    return title.startswith("ray::") and re.search(pattern, title) is not None


# ---- the forwarder, a process of its own ------------------------------------------------------------


async def _forward(port: int, target: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, back), _copy(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    asyncio.run(_forward(int(sys.argv[1]), int(sys.argv[2])))
