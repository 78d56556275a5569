import pytest

from pipelines.cluster import share

GIGABYTE = 2**30


def node(cpus: float, gpus: float = 0.0, gigabytes: float = 64.0) -> dict[str, float]:
    return {"CPU": cpus, "memory": gigabytes * GIGABYTE} | ({"GPU": gpus} if gpus else {})


@pytest.mark.parametrize("profile", ["small", "paper"])
@pytest.mark.parametrize("workers", [0, 1, 2, 5])
@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize(
    "machine", [node(1), node(2), node(4), node(16), node(16, 1), node(64, 8), node(2, 4)]
)
def test_a_machine_full_of_workers_still_has_room_to_prepare_films(
    machine: dict[str, float], threads: int, workers: int, profile: str
) -> None:
    shares = share([machine], 100, profile, workers, threads)
    assert shares.workers * shares.cpus + shares.film_cpus <= machine["CPU"]
    beside = max(1, shares.workers // 2)  # films that are prepared at once
    assert shares.workers * shares.cpus + beside * shares.beside_cpus <= machine["CPU"] + 1e-9
    room = machine["CPU"] - shares.workers * shares.cpus
    assert room / shares.beside_cpus <= max(2 * beside, room / shares.film_cpus)  # and not many more
    assert shares.workers * shares.gpus <= machine.get("GPU", 0)
    assert shares.workers * shares.memory <= machine["memory"]
    assert shares.workers == (workers or shares.workers)
    assert shares.threads == (threads or shares.threads) >= 1


def workers_and_threads(
    machines: list[dict[str, float]], films: int, profile: str = "small"
) -> tuple[int, int]:
    shares = share(machines, films, profile)
    return shares.workers, shares.threads


def test_machines_are_used_up_but_not_for_nothing() -> None:
    assert workers_and_threads([node(2)], 100) == (2, 1)
    assert workers_and_threads([node(2)], 1) == (1, 2)
    assert workers_and_threads([node(16)], 100) == (16, 1)
    assert workers_and_threads([node(16)], 3) == (3, 4)
    assert workers_and_threads([node(16, gigabytes=4)], 100) == (2, 4)
    assert workers_and_threads([node(16), node(16), node(0)], 100) == (32, 1)
    assert workers_and_threads([node(16, 2), node(32)], 100, "paper") == (2, 4)
    assert share([node(16, 2)], 100, "paper").gpus == 1


def test_the_number_that_was_told_is_a_most() -> None:
    assert share([node(16)], 3, "small", workers=8).workers == 3
    assert share([node(4)], 100, "small", workers=8).workers == 8  # of an autoscaler
    # with a head that lends nothing, the one machine there is the first of many: not all are meant for it
    assert 16 // share([node(0), node(16)], 1000, "small", workers=64).cpus <= 17
    few = share([node(0), node(16)], 1000, "small", workers=20)  # 16 fit there, if no other machine comes
    assert 16 * few.cpus + few.beside_cpus <= 16
