"""What a step sees follows from the seed and the step alone."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from train import order

sizes = st.integers(1, 50)


@settings(deadline=None)  # a busy machine is no fault
@given(seed=st.integers(0, 2**31), batch=sizes, size=sizes, epochs=st.integers(1, 3))
def test_every_epoch_sees_every_example_once(seed: int, batch: int, size: int, epochs: int) -> None:
    steps = -(-size * epochs // batch)
    seen = [pick.index for step in range(steps) for pick in order.picks(seed, step, batch, size)]
    for epoch in range(epochs):
        assert Counter(seen[epoch * size : (epoch + 1) * size]) == Counter(range(size))


@settings(deadline=None)  # a busy machine is no fault
@given(parts=st.integers(1, 16), world=st.integers(1, 8), batch=st.integers(16, 40))
def test_workers_share_a_step_without_gap_or_overlap(parts: int, world: int, batch: int) -> None:
    chosen = order.picks(3, 5, batch, 100)
    shared = [
        pick
        for rank in range(world)
        for number in order.share(parts, rank, world)
        for pick in order.part(chosen, number, parts)
    ]
    assert shared == chosen


def test_orders_differ_by_seed_and_epoch_and_random_numbers_by_place() -> None:
    first = [pick.index for pick in order.picks(0, 0, 50, 50)]
    assert first != [pick.index for pick in order.picks(1, 0, 50, 50)]
    assert first != [pick.index for pick in order.picks(0, 1, 50, 50)]
    assert len({pick.seed for step in range(4) for pick in order.picks(0, step, 50, 50)}) == 200
