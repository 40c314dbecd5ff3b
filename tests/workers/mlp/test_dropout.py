"""Dropout: masks by a row's place alone, of the right frequency, and no effect on prediction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.workers.mlp.making import architecture, random_batch, random_parameters
from workers.mlp.arrays import Array
from workers.mlp.dropout import Dropout, row_width
from workers.mlp.network import Network
from workers.mlp.parameters import Parameters
from workers.mlp.random import MovablePhilox, Purpose, RowPlace, philox

PLACE = RowPlace(seed=11, epoch=2, step=7, row=0)


def mask(rate: float, place: RowPlace, layer: int, rows: int, units: int) -> Array:
    out = np.empty((rows, units), np.float32)
    Dropout().draw(rate, place, layer, np.empty((rows, row_width(units)), np.float32), out)
    return out


@pytest.mark.parametrize("units", [1, 7, 8, 9, 64])
def test_a_shard_draws_the_masks_of_its_rows(units: int) -> None:
    whole = mask(0.5, PLACE, 1, 20, units)
    for lo, hi in ((0, 3), (3, 4), (4, 20)):
        assert (mask(0.5, PLACE._replace(row=lo), 1, hi - lo, units) == whole[lo:hi]).all()


def test_masks_differ_by_seed_epoch_step_and_layer() -> None:
    places = [PLACE, PLACE._replace(seed=12), PLACE._replace(epoch=3), PLACE._replace(step=8)]
    masks = [mask(0.5, place, layer, 16, 32).tobytes() for place in places for layer in (0, 1)]
    assert len(set(masks)) == len(masks)


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_units_are_silenced_at_the_rate_and_the_others_raised(rate: float) -> None:
    drawn = mask(rate, PLACE, 1, 500, 200)
    kept = np.float32(1 / (1 - rate))
    assert set(np.unique(drawn)) == {np.float32(0), kept}
    deviation = np.sqrt(rate * (1 - rate) / drawn.size)
    assert abs((drawn == 0).mean() - rate) < 5 * deviation


def test_a_moved_generator_draws_what_a_new_one_would() -> None:
    moved = MovablePhilox()
    for epoch in range(3):
        moved.at(1, Purpose.ORDER).random(3, np.float32)  # leaves half a block behind
        where = {"epoch": epoch, "step": 5, "layer": 2, "block": 9}
        found = moved.at(77, Purpose.DROPOUT, **where).random(11, np.float32)
        assert (found == philox(77, Purpose.DROPOUT, **where).random(11, np.float32)).all()


def test_prediction_drops_nothing_and_a_gradient_needs_a_place() -> None:
    plain = architecture(("squared_error", "identity"), (5, 9, 2), "sigmoid")
    shape = replace(plain, layers=(replace(plain.layers[0], dropout=0.5), plain.layers[1]), input_dropout=0.2)
    parameters = random_parameters(shape, seed=1)
    x, y = random_batch(shape, rows=6, seed=2)
    same = Parameters(plain, flat=parameters.flat)
    assert (Network(shape, 6).forward(parameters, x) == Network(plain, 6).forward(same, x)).all()
    before = x.copy()
    Network(shape, 6).gradient(parameters, x, y, None, Parameters(shape), PLACE)
    assert (x == before).all()
    with pytest.raises(ValueError, match="place"):
        Network(shape, 6).gradient(parameters, x, y, None, Parameters(shape))


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_rate_out_of_bounds_is_refused(rate: float) -> None:
    plain = architecture(("squared_error", "identity"), (5, 9, 2))
    with pytest.raises(ValueError, match="dropout"):
        replace(plain.layers[0], dropout=rate)
    with pytest.raises(ValueError, match="input_dropout"):
        replace(plain, input_dropout=rate)
