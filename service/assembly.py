"""A training put together from its resolved spec and its prepared data. Knows neither Redis nor where workers run."""

from __future__ import annotations

from collections.abc import Callable

from service.asynchronous_server import AsynchronousServer
from service.optimizer import build_optimizer
from service.parameter_server import ParameterServer
from service.preparation import PreparedData
from service.resolution import Resolution
from service.scoring import Scorer, scorer_for
from service.searching_server import SearchingServer
from service.span import Span
from service.training import Training
from workers.batches import last_whole_step, steps_per_epoch
from workers.datafiles import Part
from workers.mlp.architecture import Architecture
from workers.mlp.optimizers import LBFGS
from workers.shard_computer import Assignment
from workers.transport import Transport
from workers.transport.asynchronous_gang import AsynchronousGang


def assemble(
    resolution: Resolution,
    prepared: PreparedData,
    connect: Callable[[Assignment, bool], Transport],
    span: Span | None = None,
) -> Training:
    """A training at its first step, on the workers that `connect` gives for its assignment, asynchronous or not.

    Raises: what `connect` raises.
    """
    spec, architecture = resolution.spec, resolution.architecture
    assert isinstance(spec.shards, int)  # it is resolved
    batch_size = resolution.batch_size
    assignment = Assignment(architecture, prepared.files, batch_size, spec.shards, spec.seed, spec.shuffle)
    server = _server(resolution, connect(assignment, spec.mode != "sync"))
    scorer = part_scorer(prepared, architecture, "validation")
    return Training(spec, server, resolution.train_rows, batch_size, resolution.least_rows, scorer, span)


def _server(resolution: Resolution, transport: Transport) -> ParameterServer:
    spec, architecture = resolution.spec, resolution.architecture
    optimizer, initializer = build_optimizer(spec.optimizer), spec.network.initializer
    if isinstance(optimizer, LBFGS):
        return SearchingServer(architecture, optimizer, transport, spec.seed, initializer)
    if not isinstance(transport, AsynchronousGang):
        return ParameterServer(architecture, optimizer, transport, spec.seed, initializer)
    rows, batch_size = resolution.train_rows, resolution.batch_size
    return AsynchronousServer(
        architecture,
        optimizer,
        transport,
        spec.seed,
        initializer,
        steps=steps_per_epoch(rows, batch_size, resolution.least_rows),
        observed=last_whole_step(rows, batch_size),
        max_staleness=spec.max_staleness,
    )


def part_scorer(prepared: PreparedData, architecture: Architecture, part: Part) -> Scorer:
    """What scores the outputs of a network for the rows of a part."""
    return scorer_for(prepared.transform.target, architecture, prepared.open().part(part))
