"""Whether the gradient that the delta rule gives is the one that the loss itself shows when parameters are moved.

On a few samples and in float64, numbers of every trained array are moved by ±h, and (E(w + h) − E(w − h)) / 2h is held
against ∂E/∂w. Dropout keeps its masks meanwhile, and batch normalisation takes the statistics of the samples. An error
is relative to the larger of the two, but at least to a thousandth of the largest gradient of the array and to a
millionth of the loss, below which a difference is the rounding of the loss.

The loss must be smooth there. So the check is made beside the given weights, a little off in each: no unit sits on the
corner of relu because its bias is exactly 0. Where the two disagree all the same, h becomes shorter, and the best
counts: a corner within a long step lies outside a short one, while a wrong gradient is wrong at any.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from workers.mlp.arrays import Array
from workers.mlp.network import Network
from workers.mlp.parameters import Parameters
from workers.mlp.random import Purpose, RowPlace, philox

LIMIT = 1e-4  # a relative error above it is a mistake: 1e-8 is usual
MOST_OF_AN_ARRAY = 200
MOST_WORK = 4e9  # multiplications: of a large network fewer numbers are moved
OFF = 1e-2
STEPS = (1e-5, 1e-6, 1e-7, 1e-9, 1e-11)  # the last ones are for inputs that nobody has scaled

Index = tuple[int, ...]


@dataclass(frozen=True)
class GradientCheck:
    """What was found: the worst case, by array and index, of how many; None where the loss itself is not finite."""

    worst_relative_error: float | None
    parameter: str | None
    checked: int

    @property
    def passed(self) -> bool:
        """Whether no gradient is wrong."""
        return self.worst_relative_error is None or self.worst_relative_error <= LIMIT


def check_gradient(parameters: Parameters, x: Array, targets: Array, weights: Array | None, seed: int) -> GradientCheck:
    """Compare the two gradients near `parameters`, which stay as they are.

    Shapes: x (samples, inputs), targets (samples, outputs), weights (samples,).
    """
    trial = _Trial(parameters, x, targets, weights, seed)
    if not np.isfinite(trial.loss):
        return GradientCheck(None, None, 0)
    found = [
        (trial.relative_error(name, index), f"{name}[{', '.join(map(str, index))}]")
        for place, name in enumerate(trial.trained)
        for index in trial.chosen(place, name)
    ]
    worst, where = max(found)
    return GradientCheck(worst, where, len(found))


class _Trial:
    """The network in float64, a little off the given weights, on fixed samples."""

    def __init__(self, parameters: Parameters, x: Array, targets: Array, weights: Array | None, seed: int) -> None:
        architecture = replace(parameters.architecture, precision="float64")
        self._seed = seed
        self._x, self._targets = np.asarray(x, np.float64), np.asarray(targets, np.float64)
        self._weights = None if weights is None else np.asarray(weights, np.float64)
        self._network = Network(architecture, len(x))
        self._parameters, self._out = Parameters(architecture), Parameters(architecture)
        self.trained = self._copy(parameters)
        self.loss = self._measure()
        self._gradient = {name: array.copy() for name, array in self._out.named().items()}
        rounding = 1e-6 * max(1.0, abs(self.loss))
        self._least = {
            name: max(1e-3 * float(max(array.max(), -array.min())), rounding) for name, array in self._gradient.items()
        }

    def chosen(self, place: int, name: str) -> list[Index]:
        """Draw which numbers of an array are moved."""
        array = self.trained[name]
        one = 6 * len(self._x) * self._parameters.flat.size  # two passes forward and back
        most = min(MOST_OF_AN_ARRAY, max(2, int(MOST_WORK / one / len(self.trained))), array.size)
        drawn = philox(self._seed, Purpose.GRADIENT_CHECK, layer=place).choice(array.size, most, replace=False)
        return [tuple(int(part) for part in np.unravel_index(number, array.shape)) for number in np.sort(drawn)]

    def relative_error(self, name: str, index: Index) -> float:
        """Return how far the two gradients of one number are apart."""
        analytic, least, best = float(self._gradient[name][index]), self._least[name], np.inf
        for step in STEPS:
            numeric = self._difference(self.trained[name], index, step)
            best = min(best, abs(analytic - numeric) / max(abs(analytic), abs(numeric), least))
            if best <= LIMIT:
                break
        return best

    def _difference(self, array: Array, index: Index, step: float) -> float:
        given = float(array[index])
        array[index] = given + step
        above = self._measure()
        array[index] = given - step
        below = self._measure()
        array[index] = given
        return (above - below) / ((given + step) - (given - step))

    def _measure(self) -> float:
        place = RowPlace(self._seed, 0, 0, 0)
        sums = self._network.gradient(self._parameters, self._x, self._targets, self._weights, self._out, place)
        return sums.loss

    def _copy(self, parameters: Parameters) -> dict[str, Array]:
        """Copy the weights, a little off, and return those that are trained."""
        running = {
            f"{name}{place}"
            for place, layer in enumerate(parameters.architecture.layers, start=1)
            for name in layer.running
        }
        off = philox(self._seed, Purpose.GRADIENT_CHECK, step=1)
        mine = self._parameters.named()
        for name, array in parameters.named().items():
            mine[name][...] = array
            if name not in running:
                mine[name] += off.uniform(-OFF, OFF, array.shape)
        return {name: array for name, array in mine.items() if name not in running}
