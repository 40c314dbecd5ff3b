"""A population as one assignment: networks that differ in nothing but what each has of its own. Knows no training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from workers.mlp.architecture import Architecture
from workers.shard_computer import Assignment


def stacked(members: Sequence[Assignment]) -> Assignment:
    """The assignment of networks that are computed together, each with its own seed and dropout rates.

    Raises: ValueError where they differ in anything else, or in the places of dropout.
    """
    first, *others = members
    for each in others:
        if _shared(each) != _shared(first):
            raise ValueError(f"members: {_shared(each)} and {_shared(first)}; allowed: the same, but for their own")
    rates = zip(*(each.architecture.dropout_rates for each in members), strict=True)
    return replace(first, seed=tuple(_seed(each) for each in members), dropout_rates=tuple(rates))


def _shared(assignment: Assignment) -> Assignment:
    """What must be the same in all: a rate of dropout counts as its place."""
    return replace(assignment, seed=0, architecture=_with_places(assignment.architecture))


def _with_places(architecture: Architecture) -> Architecture:
    def place(rate: float) -> float:
        return 0.5 if rate else 0.0

    layers = tuple(replace(layer, dropout=place(layer.dropout)) for layer in architecture.layers)
    return replace(architecture, layers=layers, input_dropout=place(architecture.input_dropout))


def _seed(assignment: Assignment) -> int:
    if not isinstance(assignment.seed, int):
        raise ValueError(f"seed: {assignment.seed}; allowed: that of one network")
    return assignment.seed
