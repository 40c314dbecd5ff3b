"""A model put together as ONNX: columns, network, predictions, and its card as metadata."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from service import strict_json
from service.errors import TooLarge
from service.onnx_export.graph import Graph
from service.onnx_export.inputs import encode
from service.onnx_export.network import forward
from service.onnx_export.outputs import NAMES, decode

if TYPE_CHECKING:
    from service.models import Model

MOST_BYTES = 2_000_000_000  # what one message of Protocol Buffers holds is below 2 GiB
CARD = "deltaq.card"


def export_model(model: Model) -> bytes:
    """Return the model as an ONNX file that takes raw columns by their names.

    Raises: TooLarge for weights that no such file can hold.
    """
    size_bytes = model.parameters.flat.nbytes
    if size_bytes > MOST_BYTES:
        raise TooLarge(f"format onnx: the weights are {size_bytes} bytes; allowed are {MOST_BYTES}; take safetensors")
    transform = model.transform
    names = output_names([feature.name for feature in transform.features])
    graph = Graph([*(feature.name for feature in transform.features), *names.values()])
    x = encode(graph, transform.features, transform.precision)
    decode(graph, forward(graph, x, model.parameters), transform.target, model.loss, names)
    metadata = {CARD: strict_json.encode(model.card)}
    made = graph.model(model.document["id"], model.document["fingerprint"]["deltaq"], metadata)
    return bytes(made.SerializeToString())


def output_names(columns: Collection[str]) -> dict[str, str]:
    """Return the outputs' names: their own, or where a column is called so, with as many `_` as it takes."""
    names = {}
    for name in NAMES:
        free = name
        while free in columns:
            free += "_"
        names[name] = free
    return names
