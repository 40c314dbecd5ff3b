"""A training put together from its resolved spec and its prepared data. Knows neither Redis nor where workers run."""

from __future__ import annotations

from collections.abc import Callable

from service.optimizer import build_optimizer
from service.parameter_server import ParameterServer
from service.preparation import PreparedData
from service.resolution import Resolution
from service.scoring import Scorer, scorer_for
from service.searching_server import SearchingServer
from service.span import Span
from service.training import Training
from workers.datafiles import Part
from workers.mlp.architecture import Architecture
from workers.mlp.optimizers import LBFGS
from workers.shard_computer import Assignment
from workers.transport import Transport


def assemble(
    resolution: Resolution,
    prepared: PreparedData,
    connect: Callable[[Assignment], Transport],
    span: Span | None = None,
) -> Training:
    """A training at its first step, on the workers that `connect` gives for its assignment.

    Raises: what `connect` raises.
    """
    spec, architecture = resolution.spec, resolution.architecture
    assert isinstance(spec.shards, int)  # it is resolved
    batch_size = resolution.batch_size
    transport = connect(Assignment(architecture, prepared.files, batch_size, spec.shards, spec.seed, spec.shuffle))
    optimizer, initializer = build_optimizer(spec.optimizer), spec.network.initializer
    server = (
        SearchingServer(architecture, optimizer, transport, spec.seed, initializer)
        if isinstance(optimizer, LBFGS)
        else ParameterServer(architecture, optimizer, transport, spec.seed, initializer)
    )
    scorer = part_scorer(prepared, architecture, "validation")
    return Training(spec, server, resolution.train_rows, batch_size, resolution.least_rows, scorer, span)


def part_scorer(prepared: PreparedData, architecture: Architecture, part: Part) -> Scorer:
    """What scores the outputs of a network for the rows of a part."""
    return scorer_for(prepared.transform.target, architecture, prepared.open().part(part))
