"""Several rounds of a run: what a machine that went away had at work is tried again."""

from collections.abc import Callable, Sequence

from pipelines.plan import Unit
from pipelines.units import KILLED, TRIES

ROUNDS = 3
LOST = (
    f"did not come back from {ROUNDS} rounds of {TRIES} tries, and machines went away in each, though in the "
    "last each film was alone at work: it kills its process or takes its machine with it (out of memory), "
    "or they go away very often; look at this film, or use machines with more memory, or such that stay, and "
    "--retry-failed"
)


def try_all(
    pending: Sequence[Unit],
    attempt: Callable[[Sequence[Unit]], bool],
    missing: Callable[[], Sequence[Unit]],
    say: Callable[[str], None],
) -> tuple[Sequence[Unit], str]:
    """Try units until all are done, failed, or to be given up.

    Ray tries each unit `TRIES` times and does not tell whether it killed its process or lost its machine (of
    which spot machines are many). So what did not come back is given up when all machines stayed, and is
    else tried in another round. In the last round each is alone: one that takes its machine down must not
    take others with it.

    Args:
        pending: the units.
        attempt: tries some; False when a failure stopped the run.
        missing: those that are neither done nor failed now.
        say: tells a person.

    Returns:
        The units to be given up, and why; none when a failure stopped the run.
    """
    for number in range(1, ROUNDS + 1):
        before = _lost_machines()
        for some in [[unit] for unit in pending] if number == ROUNDS else [pending]:
            if not attempt(some):
                return (), ""
        pending = missing()
        if not pending or _lost_machines() <= before:
            return pending, KILLED
        if number < ROUNDS:
            say(f"machines went away; {len(pending)} that did not come back are tried again")
    return pending, LOST


def _lost_machines() -> set[str]:
    """Those that are gone and had, or may have had, something at work."""
    import ray
    from ray.core.generated.common_pb2 import NodeDeathInfo

    idle = NodeDeathInfo.AUTOSCALER_DRAIN_IDLE
    return {node["NodeID"] for node in ray.nodes() if not node["Alive"] and node["DeathReason"] != idle}
