"""What an hour of film costs in each stage, as `benchmarks.rates` measures it, and what a cluster has.

Rates are of one machine and one film, whatever the cluster is: the file says which, and the plan repeats it.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from cinescribe.errors import UsageError

SHIPPED = "rates.json"
LAPTOP = "laptop"
# What reading a file that is not of the form raises; the last two of numbers and nesting without end.
_SLIPS = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
_MOST = 1e12  # of anything: what is larger is a slip, and its sums could not be read
_MOST_MACHINES = 100_000  # of a kind: each is looked at by itself


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a stage, for an hour of film.

    Attributes:
        core_seconds: of one CPU core, the least and the most that was measured.
        gpu_seconds: of one GPU; 0 where it was measured without.
        start_seconds: of one core, once a worker, to load what it needs.
    """

    core_seconds: tuple[float, float]
    gpu_seconds: tuple[float, float]
    start_seconds: float


@dataclass(frozen=True, slots=True)
class Rates:
    """What was measured.

    Attributes:
        measured: on what, when, by which command, in words.
        stages: by the names of their tables (`features/<encoder>` each), and `index`.
        pixels: a second of the film has: what looks at the picture costs more where there are more.
        together: what encoders that share a film's decoding cost, of the sum of each alone.
        workers, efficiency: what one of so many workers on one machine is worth beside one alone, up to 1.
    """

    measured: Mapping[str, str]
    stages: Mapping[str, Cost]
    pixels: float
    together: float
    workers: int
    efficiency: float

    def to_json(self) -> str:
        """As the file is written."""
        return json.dumps(asdict(self), indent=2)

    @property
    def by_gpu(self) -> bool:
        """Whether a GPU did the networks."""
        return any(cost.gpu_seconds[1] > 0 for cost in self.stages.values())


def read_rates(path: str) -> Rates:
    """The rates of a file; "": those that come with the package.

    Raises:
        UsageError: no such file, or not one of rates.
    """
    name = path or f"pipelines/{SHIPPED}"
    try:
        text = Path(path).read_text("utf-8") if path else (files("pipelines") / SHIPPED).read_text("utf-8")
        content = json.loads(text)
        stages = {
            stage: Cost(
                _span(cost["core_seconds"], stage), _span(cost["gpu_seconds"], stage),
                _amount(cost["start_seconds"], f"start_seconds of {stage}"),
            )
            for stage, cost in content["stages"].items()
        }  # fmt: skip
        pixels, together, workers, efficiency = (
            _amount(content[name], name) for name in ("pixels", "together", "workers", "efficiency")
        )
        measured = dict(content["measured"])
        if (profile := measured.get("profile", "small")) not in ("small", "paper"):
            raise ValueError(f"profile is {profile!r}, not small or paper")
        rates = Rates(measured, stages, pixels, together, int(workers), efficiency)
        if not 0 < rates.efficiency <= 1 or not 0 < rates.together <= 1 or rates.pixels <= 0:
            raise ValueError("efficiency, together and pixels are above 0, the first two at most 1")
    except (OSError, *_SLIPS) as error:
        raise UsageError(
            f"{name}: not a file of rates ({error!r}); make one: python -m benchmarks.rates --out rates.json"
        ) from error
    return rates


def _span(given: Any, stage: str) -> tuple[float, float]:
    low, high = (_amount(number, f"a cost of {stage}") for number in given)
    if low > high:
        raise ValueError(f"{stage}: {given} is not the least and the most of something")
    return low, high


def _amount(given: Any, name: str) -> float:
    number = float(given)
    if not 0 <= number <= _MOST:
        raise ValueError(f"{name} is {given}; a number from 0 to {_MOST:g} is wanted")
    return number


def _whole(given: Any, name: str) -> int:
    if (number := _amount(given, name)) % 1:
        raise ValueError(f"{name} is {given}; a whole number is wanted")
    return int(number)


@dataclass(frozen=True, slots=True)
class Nodes:
    """Machines of one kind: `count` of them, each with so much, for `price` an hour (None: not told)."""

    name: str
    count: int
    cores: int
    gpus: int
    memory_gb: float
    price: float | None


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a run is planned for."""

    name: str
    currency: str
    nodes: tuple[Nodes, ...]

    @property
    def price(self) -> float | None:
        """Of all machines for an hour; None where one has none."""
        prices = [node.price for node in self.nodes]
        if any(price is None for price in prices):
            return None
        return sum(node.count * (node.price or 0.0) for node in self.nodes)

    def total(self, what: Literal["cores", "gpus"]) -> int:
        """Of all machines, their "cores" or "gpus"."""
        return sum(node.count * getattr(node, what) for node in self.nodes)

    def resources(self, *, gpus: bool) -> list[dict[str, float]]:
        """Each machine as Ray would tell of it, with its GPUs or without."""
        plain = [(node, {"CPU": node.cores, "memory": node.memory_gb * 1e9}) for node in self.nodes]
        return [
            resources | ({"GPU": node.gpus} if gpus and node.gpus else {})
            for node, resources in plain
            for _ in range(node.count)
        ]


def read_cluster(name: str) -> Cluster:
    """The cluster of a YAML file, or "laptop": this machine, for nothing.

    Raises:
        UsageError: no such file, or it does not tell of machines.
    """
    if name == LAPTOP:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
        here = Nodes("this machine", 1, len(os.sched_getaffinity(0)), 0, memory, None)
        return Cluster("this machine", "", (here,))
    import yaml

    try:
        content = yaml.safe_load(Path(name).read_text("utf-8"))
        nodes = tuple(_nodes(node) for node in content["nodes"])
        if not nodes:
            raise ValueError("nodes is empty")
        title, currency = content.get("name", Path(name).stem), content.get("currency", "")
        if not isinstance(title, str) or not isinstance(currency, str):
            raise ValueError("name and currency are text")
        return Cluster(title, currency, nodes)
    except (OSError, *_SLIPS, yaml.YAMLError) as error:
        what = " ".join(str(error).split()) or repr(error)
        raise UsageError(
            f"{name}: does not tell of a cluster ({type(error).__name__}: {what}); it needs `nodes`, each "
            "with name, count, cores and memory_gb, and gpus and price (an hour) where there are; "
            "infra/clusters/example.yaml is one"
        ) from error


def _nodes(given: Mapping[str, Any]) -> Nodes:
    price = given.get("price")
    name = given["name"]
    if not isinstance(name, str):
        raise ValueError("the name of nodes is text")
    if unknown := set(given) - {"name", "count", "cores", "gpus", "memory_gb", "price"}:
        raise ValueError(f"{name} has no {min(map(str, unknown))!r}")
    count, cores = (_whole(given[what], f"{what} of {name}") for what in ("count", "cores"))
    nodes = Nodes(
        name, count, cores, _whole(given.get("gpus", 0), f"gpus of {name}"),
        _amount(given["memory_gb"], f"memory_gb of {name}"),
        None if price is None else _amount(price, f"price of {name}"),
    )  # fmt: skip
    if nodes.count < 1 or nodes.cores < 1 or nodes.memory_gb <= 0:
        raise ValueError(f"{nodes.name}: count and cores are from 1 on, memory above 0, nothing below 0")
    if nodes.count > _MOST_MACHINES:
        raise ValueError(f"{nodes.name}: count is {nodes.count}; up to {_MOST_MACHINES} can be reckoned")
    return nodes
