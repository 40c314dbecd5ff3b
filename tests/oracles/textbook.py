"""Backpropagation as a textbook writes it: one scalar at a time, in plain loops. The fast core is held against it.

w[l][i][j] joins unit i of layer l−1 to unit j of layer l. With a bias, unit 0 of each layer but the last is the
constant 1, and w[l][0][j] is the bias of unit j. It shares no line with the code under test and imports no NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

Vector = list[float]
Weights = list[list[Vector]]
LAMBDA, ALPHA = 1.0507009873554805, 1.6732632423543772


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def phi(z: float) -> float:
    """The share of a normal distribution below z."""
    return math.erfc(-z / math.sqrt(2)) / 2


def bell(z: float) -> float:
    """The density of the normal distribution."""
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def mish_slope(z: float) -> float:
    t = math.tanh(math.log(1 + math.exp(z)))
    return t + z * (1 - t * t) * sigmoid(z)


ELEMENTWISE: dict[str, Callable[[float], float]] = {
    "identity": lambda z: z,
    "sigmoid": sigmoid,
    "tanh": math.tanh,
    "relu": lambda z: max(z, 0.0),
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "elu": lambda z: z if z > 0 else math.exp(z) - 1,
    "selu": lambda z: LAMBDA * (z if z > 0 else ALPHA * (math.exp(z) - 1)),
    "gelu": lambda z: z * phi(z),
    "silu": lambda z: z * sigmoid(z),
    "mish": lambda z: z * math.tanh(math.log(1 + math.exp(z))),
    "softplus": lambda z: math.log(1 + math.exp(z)),
    "softsign": lambda z: z / (1 + abs(z)),
    "hard_sigmoid": lambda z: min(max(z / 6 + 0.5, 0.0), 1.0),
    "exponential": math.exp,
}

SLOPES: dict[str, Callable[[float], float]] = {
    "identity": lambda z: 1.0,
    "sigmoid": lambda z: sigmoid(z) * (1 - sigmoid(z)),
    "tanh": lambda z: 1 - math.tanh(z) ** 2,
    "relu": lambda z: float(z > 0),
    "leaky_relu": lambda z: 1.0 if z > 0 else 0.01,
    "elu": lambda z: 1.0 if z > 0 else math.exp(z),
    "selu": lambda z: LAMBDA * (1.0 if z > 0 else ALPHA * math.exp(z)),
    "gelu": lambda z: phi(z) + z * bell(z),
    "silu": lambda z: sigmoid(z) * (1 + z * (1 - sigmoid(z))),
    "mish": mish_slope,
    "softplus": sigmoid,
    "softsign": lambda z: 1 / (1 + abs(z)) ** 2,
    "hard_sigmoid": lambda z: 1 / 6 if -3 < z < 3 else 0.0,
    "exponential": math.exp,
}


def truth(o: float, y: float) -> float:
    """The probability that an output gives to what is true."""
    return o if y else 1 - o


# What one output o costs where y is true; and how that changes with o.
LOSSES: dict[str, Callable[[float, float], float]] = {
    "squared_error": lambda o, y: (o - y) ** 2 / 2,
    "absolute": lambda o, y: abs(o - y),
    "huber": lambda o, y: (o - y) ** 2 / 2 if abs(o - y) < 1 else abs(o - y) - 0.5,
    "quantile": lambda o, y: abs(o - y) / 2,
    "poisson": lambda o, y: o - y * math.log(o),
    "gamma": lambda o, y: math.log(o) + y / o,
    "tweedie": lambda o, y: 2 * math.sqrt(o) + 2 * y / math.sqrt(o),
    "hinge": lambda o, y: max(0.0, 1 - (2 * y - 1) * o),
    "squared_hinge": lambda o, y: max(0.0, 1 - (2 * y - 1) * o) ** 2,
    "log_loss": lambda o, y: -y * math.log(o) - (1 - y) * math.log(1 - o),
    "focal": lambda o, y: -((1 - truth(o, y)) ** 2) * math.log(truth(o, y)),
}

LOSS_SLOPES: dict[str, Callable[[float, float], float]] = {
    "squared_error": lambda o, y: o - y,
    "absolute": lambda o, y: math.copysign(1, o - y),
    "huber": lambda o, y: min(max(o - y, -1), 1),
    "quantile": lambda o, y: math.copysign(0.5, o - y),
    "poisson": lambda o, y: 1 - y / o,
    "gamma": lambda o, y: 1 / o - y / o**2,
    "tweedie": lambda o, y: o**-0.5 - y * o**-1.5,
    "hinge": lambda o, y: -(2 * y - 1) * ((2 * y - 1) * o < 1),
    "squared_hinge": lambda o, y: -2 * (2 * y - 1) * max(0.0, 1 - (2 * y - 1) * o),
    "log_loss": lambda o, y: -y / o + (1 - y) / (1 - o),
    "focal": lambda o, y: focal_slope(truth(o, y)) * (1 if y else -1),
}


def focal_slope(p: float) -> float:
    return 2 * (1 - p) * math.log(p) - (1 - p) ** 2 / p


def f(name: str, z: Vector) -> Vector:
    """a = f(z) of one layer."""
    if name == "softmax":
        total = sum(math.exp(zk - max(z)) for zk in z)
        return [math.exp(zk - max(z)) / total for zk in z]
    return [ELEMENTWISE[name](zk) for zk in z]


def slope(name: str, z: Vector, k: int, i: int) -> float:
    """∂a_k/∂z_i of one layer."""
    if name == "softmax":
        a = f(name, z)
        return a[k] * ((k == i) - a[i])
    return SLOPES[name](z[k]) if k == i else 0.0


def loss(name: str, o: Vector, y: Vector) -> float:
    """E of one sample, from the outputs."""
    if name == "cross_entropy":
        return -sum(yk * math.log(ok / sum(o)) for ok, yk in zip(o, y, strict=True))
    return sum(LOSSES[name](ok, yk) for ok, yk in zip(o, y, strict=True))


def loss_slope(name: str, o: Vector, y: Vector, k: int) -> float:
    """∂E/∂o_k of one sample."""
    if name == "cross_entropy":
        return -y[k] / o[k] + sum(y) / sum(o)
    return LOSS_SLOPES[name](o[k], y[k])


@dataclass
class Pass:
    """What one sample leaves in each layer; a[0] is the input, and delta[0] has no meaning."""

    z: list[Vector]
    a: list[Vector]
    delta: list[Vector]
    loss: float


@dataclass
class Textbook:
    """A network of scalars."""

    w: Weights
    activations: list[str]
    loss: str
    bias: bool

    def below(self, a: Vector) -> Vector:
        """What a layer receives: the units below it, after the constant 1 where there is a bias."""
        return [1.0, *a] if self.bias else a

    def run(self, x: Vector, y: Vector) -> Pass:
        """One sample forward, and its deltas backward."""
        z, a = [x], [x]
        for w, name in zip(self.w, self.activations, strict=True):
            z.append([sum(ai * w[i][j] for i, ai in enumerate(self.below(a[-1]))) for j in range(len(w[0]))])
            a.append(f(name, z[-1]))
        return Pass(z, a, self.deltas(z, a, y), loss(self.loss, a[-1], y))

    def deltas(self, z: list[Vector], a: list[Vector], y: Vector) -> list[Vector]:
        """delta_i = ∂E/∂z_i of each unit of each layer, from the last layer down: the delta rule."""
        last = len(self.w)
        delta: list[Vector] = [[] for _ in range(last + 1)]
        for layer in range(last, 0, -1):
            if layer == last:
                error = [loss_slope(self.loss, a[last], y, k) for k in range(len(a[last]))]
            else:
                w = self.w[layer][1:] if self.bias else self.w[layer]
                error = [sum(w[i][j] * delta[layer + 1][j] for j in range(len(w[i]))) for i in range(len(w))]
            name, units = self.activations[layer - 1], range(len(z[layer]))
            delta[layer] = [sum(error[k] * slope(name, z[layer], k, i) for k in units) for i in units]
        return delta

    def gradient(self, xs: list[Vector], ys: list[Vector], weights: Vector) -> tuple[Weights, float]:
        """The sums over the samples of weight · ∂E/∂w[l][i][j] = weight · a_i · delta_j, and of weight · E."""
        gradient = [[[0.0 for _ in row] for row in w] for w in self.w]
        total = 0.0
        for x, y, weight in zip(xs, ys, weights, strict=True):
            sample = self.run(x, y)
            total += weight * sample.loss
            for layer, w in enumerate(self.w):
                a = self.below(sample.a[layer])
                for i in range(len(w)):
                    for j in range(len(w[i])):
                        gradient[layer][i][j] += weight * a[i] * sample.delta[layer + 1][j]
        return gradient, total

    def descend(self, gradient: Weights, weight_sum: float, rate: float) -> None:
        """w[l][i][j] ← w[l][i][j] − α · (Σ gradients) / (Σ weights)."""
        for layer, w in enumerate(self.w):
            for i in range(len(w)):
                for j in range(len(w[i])):
                    w[i][j] -= rate * gradient[layer][i][j] / weight_sum
