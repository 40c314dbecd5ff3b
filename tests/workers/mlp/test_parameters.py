"""The flat array and its views: aligned, complete, hashed as the contract says."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from tests.workers.mlp.making import Precision, architecture, random_parameters
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.arrays import Array, aligned
from workers.mlp.parameters import Parameters

ODD = ("cross_entropy", "softmax"), (5, 50, 3, 17)


@pytest.mark.parametrize("networks", [(), (3,), (2, 2)])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_each_view_begins_at_a_cache_line(precision: Precision, networks: tuple[int, ...]) -> None:
    parameters = Parameters(architecture(*ODD, precision=precision), networks)
    for array in parameters.named().values():
        assert np.shares_memory(array, parameters.flat)
        assert array.shape[: len(networks)] == networks
        for index in np.ndindex(networks):
            assert array[index].ctypes.data % 64 == 0
            assert array[index].flags.c_contiguous


def test_views_do_not_overlap_and_padding_stays_zero() -> None:
    parameters = Parameters(architecture(*ODD, precision="float32"))
    for number, array in enumerate(parameters.named().values(), start=1):
        assert np.all(array == 0)
        array[...] = number
    counts = {number: int((parameters.flat == number).sum()) for number in range(7)}
    assert counts == {
        0: parameters.flat.size - 5 * 50 - 50 - 150 - 3 - 51 - 17,
        1: 250,
        2: 50,
        3: 150,
        4: 3,
        5: 51,
        6: 17,
    }


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_hash_is_that_of_the_named_arrays(precision: Precision, bias: bool) -> None:
    parameters = random_parameters(architecture(*ODD, precision=precision, bias=bias), seed=1)
    digest = hashlib.sha256()
    for layer in (1, 2, 3):
        for name in ("W", "b") if bias else ("W",):
            array = parameters.named()[f"{name}{layer}"]
            digest.update(np.asarray(array, order="C").astype("<f4" if precision == "float32" else "<f8").tobytes())
    assert parameters.sha256() == digest.hexdigest()
    assert list(parameters.named())[:2] == (["W1", "b1"] if bias else ["W1", "W2"])


def test_one_changed_bit_changes_the_hash() -> None:
    parameters = random_parameters(architecture(*ODD), seed=2)
    before = parameters.sha256()
    parameters.b[-1][-1] = np.nextafter(parameters.b[-1][-1], 9)
    assert parameters.sha256() != before


def test_parameters_may_lie_in_memory_that_is_given() -> None:
    shape = architecture(*ODD, precision="float32")
    flat = aligned(Parameters(shape).flat.shape, np.float32)
    parameters = Parameters(shape, flat=flat)
    parameters.W[0][...] = 2
    assert flat[:250].sum() == 500


@pytest.mark.parametrize("flat", [np.zeros(3, np.float32), np.zeros(512, np.float64)])
def test_memory_of_another_size_or_precision_is_refused(flat: Array) -> None:
    with pytest.raises(ValueError, match=r"flat: float\d\d\(\d+,\); allowed: float32\(\d+,\)"):
        Parameters(architecture(*ODD, precision="float32"), flat=flat)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": 0}, "inputs: 0; allowed: 1 or more"),
        ({"layers": ()}, "layers: none"),
        ({"precision": "float16"}, "precision: 'float16'; allowed: float32, float64"),
        ({"layers": (LayerShape(2, "tanh"),)}, "loss 'log_loss' on output activation 'tanh'"),
        ({"layers": (LayerShape(1, "softmax"),)}, "output units: 1 with log_loss on softmax; allowed: 2 or more"),
        ({"loss": "cross_entropy"}, "output units: 1 with cross_entropy on sigmoid; allowed: 2 or more"),
    ],
)
def test_an_architecture_that_cannot_be_is_refused(change: dict[str, object], message: str) -> None:
    given = {"inputs": 2, "layers": (LayerShape(1, "sigmoid"),), "loss": "log_loss"} | change
    with pytest.raises(ValueError, match=message):
        Architecture(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(("units", "activation"), [(0, "tanh"), (3, "swish")])
def test_a_layer_that_cannot_be_is_refused(units: int, activation: str) -> None:
    with pytest.raises(ValueError, match="allowed: "):
        LayerShape(units, activation)
