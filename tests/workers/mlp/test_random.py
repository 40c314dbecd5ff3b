"""Random numbers by counter: the same from the same place, and no two places alike."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workers.mlp.random import Purpose, philox

SEEDS = st.integers(0, 2**63 - 1)
PLACES = st.tuples(SEEDS, st.sampled_from(Purpose), *(st.integers(0, 2**32) for _ in range(3)))


def draw(place: tuple[int, Purpose, int, int, int]) -> list[int]:
    seed, purpose, epoch, step, layer = place
    numbers: list[int] = philox(seed, purpose, epoch=epoch, step=step, layer=layer).integers(2**63, size=4).tolist()
    return numbers


@given(PLACES, PLACES)
def test_each_place_has_its_own_numbers_again_and_again(
    one: tuple[int, Purpose, int, int, int], other: tuple[int, Purpose, int, int, int]
) -> None:
    assert draw(one) == draw(one)
    assert (draw(one) == draw(other)) == (one == other)


def test_neighbours_do_not_run_into_each_other() -> None:
    first = philox(1, Purpose.ORDER, epoch=4).integers(2**63, size=10_000)
    for place in ({"epoch": 5}, {"epoch": 4, "layer": 1}, {"epoch": 4, "step": 1}):
        assert not set(first.tolist()) & set(philox(1, Purpose.ORDER, **place).integers(2**63, size=10_000).tolist())


def test_the_purposes_keep_their_numbers() -> None:
    assert {purpose.name: purpose.value for purpose in Purpose} == {
        "WEIGHTS": 1,
        "ORDER": 2,
        "DROPOUT": 3,
        "SPLIT": 4,
        "GRADIENT_CHECK": 5,
    }
