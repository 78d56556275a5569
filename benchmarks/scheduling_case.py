"""Runs of a pipeline's scheduling in a simulated cluster: the stages sleep, all else is the product.

`run_cases` plans, shares out, sends units through Ray Data and follows them with the code that a real run
uses. A machine of the cluster is a Ray node on this computer that lends cores and memory which it does not
have. A stage is a sleep of the seconds that it would take, by the measured rates and the length of the film,
divided by a factor. So what is seen is what scheduling costs: the planner, the driver, Ray; not disks and
networks.

Where one process stands for several workers it is an actor with as many threads, each of which takes one unit
at a time. Its films are taken as looked at, for a task can't share a process.
"""

import json
import os
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.scheduling_films import (
    ENCODERS,
    MOVIES,
    Costs,
    length,
    make_films,
    measured_costs,
    write_look,
)  # fmt: skip
from benchmarks.scheduling_law import (
    busy_share,
    ideal_seconds,
    listed_seconds,
    middle_gap,
    two_stages_seconds,
)
from benchmarks.scheduling_meter import Meter
from cinescribe.media.library import FilmRef
from pipelines import cluster, plan, progress
from pipelines.chunk_plan import CHUNK_SECONDS, make_chunk_plan
from pipelines.command import Common
from pipelines.run import Record, follow
from pipelines.units import TRIES, Outcome, Passenger, board

if TYPE_CHECKING:
    from ray.data import Dataset

_PATIENCE = 1800  # seconds that a hundred processes may take to start on two cores
_START_SECONDS = 90  # that a simulated machine may take


@dataclass(frozen=True, slots=True)
class Case:
    """What to simulate.

    Attributes:
        kind: "films", transcribed, a unit is a film; or "chunks", extracted, a unit is a chunk of one.
        workers: simulated.
        processes: that stand for them.
        units: to do.
        seconds: that a unit takes on average in the simulation; 0: as long as in truth.
        chunk_seconds: of film, of a chunk.
        cores: of a simulated machine.
        seed: of the lengths.
    """

    kind: str
    workers: int
    processes: int
    units: int
    seconds: float = 0.0
    chunk_seconds: float = CHUNK_SECONDS
    cores: int = 16
    seed: int = 0

    @property
    def dense(self) -> bool:
        """Whether a process stands for several workers."""
        return self.processes < self.workers


@dataclass(frozen=True, slots=True)
class Found:
    """What a run showed; seconds and bytes.

    Attributes:
        case: that was run, as a mapping.
        faster: by how much the units were, than in truth.
        plan, source, start: to plan, to give Ray the units, and until the first one began.
        ideal: no order could be faster; see `ideal_seconds`.
        listed: what the order of the plan takes, when handing out a unit takes no time; with the wait for
            films that are looked at first.
        taken: from the beginning of the first unit until the end of the last was known.
        busy: share of that time that a worker slept.
        gap: between two units of a worker, the middle one.
        rate: units a second.
        driver, machines, workers: seconds of processor a unit, of the driver, of Ray's processes of all
            simulated machines, and of the workers.
        driver_bytes, machines_bytes, worker_bytes: the most memory they had for themselves; one worker.
        load: of this computer at the end.
    """

    case: dict[str, Any]
    faster: float
    plan: float
    source: float
    start: float
    ideal: float
    listed: float
    taken: float
    busy: float
    gap: float
    rate: float
    driver: float
    machines: float
    workers: float
    driver_bytes: int
    machines_bytes: int
    worker_bytes: int
    load: float

    @property
    def efficiency(self) -> float:
        """Of the time that it took, what would do."""
        return self.ideal / self.taken


# ---- the stages ---------------------------------------------------------------------------------


class Nap:
    """A stage that sleeps; where it has several threads, each is a worker."""

    def __init__(self, costs: Costs, stage: str, faster: float) -> None:
        self.costs, self.stage, self.faster = costs, stage, faster

    def __call__(self, passenger: Passenger) -> Passenger:
        """Sleep as long as the unit takes, and tell when that was."""
        duration, seconds = self.costs.of(passenger, self.stage)
        began = time.time()
        time.sleep(seconds / self.faster)
        told = {
            "duration": duration,
            "stages": [{"stage": self.stage, "kind": "", "seconds": seconds}],
            "worker": f"{os.getpid()}-{threading.get_ident()}",
            "began": began,
            "ended": time.time(),
        }
        return {**passenger, "numbers": json.dumps(told)}


def look_at(passenger: Passenger, costs: Costs, faster: float) -> Passenger:
    """The stage `films`, as a task."""
    return Nap(costs, plan.SHARED, faster)(passenger)


def several_in_a_process(
    dataset: "Dataset", shares: cluster.Shares, case: Case, **made_with: Any
) -> "Dataset":
    """As `pipelines.cluster.map_workers`, but a process takes as many units at once as it is workers."""
    from ray.data import ActorPoolStrategy

    each = case.workers // case.processes
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*ray_remote_args.*")
        return dataset.map(
            Nap,
            compute=ActorPoolStrategy(
                size=case.processes,
                max_tasks_in_flight_per_actor=each,
                max_concurrent_calls_per_actor=each,
                enable_true_multi_threading=True,
            ),
            num_cpus=each * shares.cpus,
            memory=each * shares.memory,
            fn_constructor_kwargs=made_with,
            max_restarts=TRIES * case.units + 10,
            max_task_retries=TRIES - 1,
        )


# ---- the run ------------------------------------------------------------------------------------


def _patient(get_node: Callable[..., Any]) -> Callable[..., Any]:
    """Ray's look for a machine that starts, tried again until it is there."""

    def look(*arguments: Any) -> Any:
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                return get_node(*arguments)
            except RuntimeError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    return look


@contextmanager
def simulated(workers: int, cores: int, *, dense: bool) -> Iterator[tuple[str, list[int]]]:
    """A cluster with room for the workers: its address, and the processes that run it."""
    os.environ |= {
        "RAY_worker_register_timeout_seconds": str(_PATIENCE),
        "RAY_BACKEND_LOG_LEVEL": "fatal",
    }
    from ray._private import services
    from ray.cluster_utils import Cluster

    services.get_node = _patient(services.get_node)  # Ray itself waits 30 s, whoever else works here
    machine: dict[str, Any] = {"num_cpus": cores, "memory": 64 * 10**9}
    count = -(-workers // cores)
    if dense:
        machine, count = {"num_cpus": workers + 1, "memory": workers * 4 * 10**9}, 1
    head = {
        "num_cpus": 0,
        "object_store_memory": 512 * 2**20,
        "include_dashboard": False,
        "include_log_monitor": False,
    }
    made = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(count):
            made.add_node(object_store_memory=128 * 2**20, include_log_monitor=False, **machine)
        nodes = [made.head_node, *made.worker_nodes]
        running = [one.process.pid for node in nodes for some in node.all_processes.values() for one in some]
        yield made.address, running
    finally:
        made.shutdown()


def run_cases(cases: Sequence[Case]) -> Iterator[Found]:
    """Simulate runs, one after the other on one cluster; all have as many workers, or all are dense."""
    first = cases[0]
    most = max(case.workers for case in cases)
    with simulated(most, first.cores, dense=first.dense) as (address, running), cluster.session(address):
        for case in cases:
            with tempfile.TemporaryDirectory() as out:
                began = time.time()
                pending = _plan_films(case, out) if case.kind == "films" else _plan_chunks(case, out)
                yield _run(case, out, pending, running, time.time() - began)


def _plan_films(case: Case, out: str) -> list[plan.Unit]:
    stages = ("speech",) if case.dense else (plan.SHARED, "speech")
    return plan.make_plan(out, "transcribe", make_films(case.units, case.seed), stages, settings={})


def _plan_chunks(case: Case, out: str) -> list[plan.Unit]:
    """Of as many films as have so many chunks."""
    from cinescribe.encoders import catalogue

    films: list[FilmRef] = []
    there = 0
    for film in make_films(MOVIES, case.seed):
        if there >= case.units:
            break
        films.append(film)
        write_look(out, film)
        there += int(length(film) // case.chunk_seconds)
    specs = {name: catalogue.spec(name) for name in ENCODERS}
    return make_chunk_plan(out, films, specs, case.chunk_seconds).units[: case.units]


def _run(
    case: Case, out: str, pending: Sequence[plan.Unit], running: Sequence[int], planning: float
) -> Found:
    import ray.data

    ray.data.DataContext.get_current().wait_for_min_actors_s = (
        _PATIENCE  # time runs when all workers are there
    )
    stage, profile = ("speech", "small") if case.kind == "films" else ("chunks", "features")
    costs = measured_costs(case.chunk_seconds)
    seconds = [costs.of(board(unit), stage)[1] for unit in pending]
    looks = [costs.of(board(unit), plan.SHARED)[1] for unit in pending]
    faster = sum(seconds) / len(seconds) / case.seconds if case.seconds else 1.0
    seconds = [one / faster for one in seconds]
    config = Common(inputs=("films",), out=out, workers=case.workers, threads=1)
    report = progress.Report(len(pending), 0, noun=case.kind, every=5.0 * (case.kind == "chunks"))
    record = Record(config, "simulation", len(pending), len(pending))
    shares = cluster.share(cluster.machines(), len(pending), profile, case.workers, 1)
    if case.kind == "films" and not case.dense:
        cores = sum(machine.get("CPU", 0) for machine in cluster.machines())
        lookers = max(1, int((cores - shares.workers * shares.cpus) / shares.beside_cpus))
        listed = two_stages_seconds([one / faster for one in looks], seconds, lookers, case.workers)
    else:
        listed = listed_seconds(seconds, case.workers)
    report.say(f"{len(pending)} {case.kind} to do: {shares}; {faster:.1f} times as fast as in truth")

    began = time.time()
    dataset = cluster.source(pending)
    sourced = time.time()
    made_with = {"costs": costs, "stage": stage, "faster": faster}
    if case.dense:
        dataset = several_in_a_process(dataset, shares, case, **made_with)
    else:
        if case.kind == "films":
            dataset = cluster.map_tasks(dataset, look_at, shares.beside_cpus, costs=costs, faster=faster)
        dataset = cluster.map_workers(dataset, Nap, shares, len(pending), **made_with)
    came: list[Outcome] = []

    def coming() -> Iterator[Outcome]:
        for outcome in cluster.outcomes(dataset):
            came.append(outcome)
            yield outcome

    with Meter(running) as meter:
        follow(coming(), report, record, workers=case.workers)
        ended = time.time()
    if len(came) != len(pending):
        raise SystemExit(f"{len(came)} of {len(pending)} units came back: a simulated worker died")
    naps = [(one.numbers["began"], one.numbers["ended"], one.numbers["worker"]) for one in came]
    begin = min(naps)[0]
    used = meter.since(begin)
    return Found(
        case=asdict(case), faster=faster, plan=planning, source=sourced - began, start=begin - sourced,
        ideal=ideal_seconds(seconds, case.workers), listed=listed,
        taken=ended - begin, busy=busy_share(naps, case.workers, ended - begin), gap=middle_gap(naps),
        rate=len(came) / (ended - begin), driver=used.driver / len(came), machines=used.machines / len(came),
        workers=used.workers / len(came), driver_bytes=meter.driver_bytes,
        machines_bytes=meter.machines_bytes, worker_bytes=meter.worker_bytes, load=os.getloadavg()[0],
    )  # fmt: skip


def main() -> None:
    """Run the cases that standard input tells of, as JSON; each prints a line of JSON of what it showed."""
    for found in run_cases([Case(**case) for case in json.load(sys.stdin)]):
        print(json.dumps(asdict(found)), flush=True)


if __name__ == "__main__":
    main()
