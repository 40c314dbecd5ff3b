"""Backpropagation as a textbook writes it: one scalar at a time, in plain loops. The fast core is held against it.

w[l][i][j] joins unit i of layer l−1 to unit j of layer l. With a bias, unit 0 of each layer but the last is the
constant 1, and w[l][0][j] is the bias of unit j. It shares no line with the code under test and imports no NumPy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Vector = list[float]
Weights = list[list[Vector]]


def f(name: str, z: Vector) -> Vector:
    """a = f(z) of one layer."""
    if name == "softmax":
        total = sum(math.exp(zk - max(z)) for zk in z)
        return [math.exp(zk - max(z)) / total for zk in z]
    if name == "sigmoid":
        return [1 / (1 + math.exp(-zk)) for zk in z]
    if name == "tanh":
        return [math.tanh(zk) for zk in z]
    if name == "relu":
        return [zk if zk > 0 else 0.0 for zk in z]
    return list(z)


def slope(name: str, z: Vector, k: int, i: int) -> float:
    """∂a_k/∂z_i of one layer."""
    a = f(name, z)
    if name == "softmax":
        return a[k] * ((k == i) - a[i])
    if k != i:
        return 0.0
    return {"sigmoid": a[k] * (1 - a[k]), "tanh": 1 - a[k] ** 2, "relu": float(z[k] > 0), "identity": 1.0}[name]


def loss(name: str, o: Vector, y: Vector) -> float:
    """E of one sample, from the outputs."""
    pairs = list(zip(o, y, strict=True))
    if name == "squared_error":
        return sum((ok - yk) ** 2 for ok, yk in pairs) / 2
    if name == "log_loss":
        return -sum(yk * math.log(ok) + (1 - yk) * math.log(1 - ok) for ok, yk in pairs)
    return -sum(yk * math.log(ok / sum(o)) for ok, yk in pairs)


def loss_slope(name: str, o: Vector, y: Vector, k: int) -> float:
    """∂E/∂o_k of one sample."""
    if name == "squared_error":
        return o[k] - y[k]
    if name == "log_loss":
        return -y[k] / o[k] + (1 - y[k]) / (1 - o[k])
    return -y[k] / o[k] + sum(y) / sum(o)


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
