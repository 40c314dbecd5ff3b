"""The layers as ONNX operators, as for prediction: dropout is absent, batch normalisation uses its running statistics.

Knows no columns and no labels.
"""

from __future__ import annotations

from service.onnx_export.activations import Learned, apply
from service.onnx_export.graph import Graph, Tensor
from workers.mlp.activations import find_activation
from workers.mlp.architecture import LayerShape
from workers.mlp.normalizations import EPSILON
from workers.mlp.parameters import Parameters


def forward(graph: Graph, x: Tensor, parameters: Parameters) -> Tensor:
    """Return the network's outputs. Shapes: x (rows, inputs), all in the model's precision."""
    constants = {name: graph.constant(array, name) for name, array in parameters.named().items()}
    a = x
    for index, layer in enumerate(parameters.architecture.layers):
        number = index + 1
        z = a @ constants[f"W{number}"]
        if parameters.b:
            z = z + constants[f"b{number}"]
        own = {name: constants[f"{name}{number}"] for name in parameters.others[index]}
        a = apply(find_activation(layer.activation), normalize(layer, z, own), own)
    return a


def normalize(layer: LayerShape, z: Tensor, own: Learned) -> Tensor:
    """Return z as the layer's normalisation leaves it."""
    if layer.normalization == "layer":
        return z.graph.op("LayerNormalization", z, own["gain"], own["shift"], axis=-1, epsilon=EPSILON)
    if layer.normalization == "batch":
        statistics = (own["running_mean"], own["running_variance"])
        return z.graph.op("BatchNormalization", z, own["gain"], own["shift"], *statistics, epsilon=EPSILON)
    return z
