"""A training put together from its resolved spec and its prepared data. Knows neither Redis nor where workers run."""

from __future__ import annotations

from collections.abc import Callable

from service.parameter_server import ParameterServer
from service.preparation import PreparedData
from service.resolution import Resolution
from service.scoring import Scorer, scorer_for
from service.training import Training
from workers.datafiles import Part
from workers.gradient_worker import Assignment
from workers.mlp.architecture import Architecture
from workers.mlp.losses import find_loss
from workers.mlp.optimizers import SGD
from workers.transport import Transport


def assemble(resolution: Resolution, prepared: PreparedData, connect: Callable[[Assignment], Transport]) -> Training:
    """A training at its first step, on the workers that `connect` gives for its assignment.

    Raises: what `connect` raises.
    """
    spec, architecture = resolution.spec, resolution.architecture
    assert isinstance(spec.shards, int)  # it is resolved
    batch_size = resolution.train_rows if spec.batch_size == "full" else spec.batch_size
    transport = connect(Assignment(architecture, prepared.files, batch_size, spec.shards, spec.seed, spec.shuffle))
    given = spec.optimizer
    optimizer = SGD(float(given.learning_rate or 0.0), given.momentum, given.nesterov, given.weight_decay)
    server = ParameterServer(architecture, optimizer, transport, spec.seed)
    scorer = part_scorer(prepared, architecture, "validation")
    return Training(spec, server, resolution.train_rows, batch_size, resolution.least_rows, scorer)


def part_scorer(prepared: PreparedData, architecture: Architecture, part: Part) -> Scorer:
    """What scores the outputs of a network for the rows of a part."""
    loss = find_loss(architecture.loss, architecture.layers[-1].activation)
    return scorer_for(prepared.transform.target, loss, prepared.open().part(part))
