"""A training that goes on from a model instead of from random weights."""

from __future__ import annotations

from service.spec.base import Name, Spec


class WarmStart(Spec):
    """Begin with a model's weights, on its columns, scales and classes; with its optimizer's state where asked."""

    model: Name
    optimizer: bool = False
