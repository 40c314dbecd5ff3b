"""Models made without training, of any shape and with any columns, by way of the file that training would leave."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from service.features import Numeric, OneHot
from service.models import Model, pack
from service.targets import Target, TargetColumn
from service.transform import Transform
from workers import kernels
from workers.mlp.architecture import Architecture
from workers.mlp.parameters import Parameters

NUMBERS = tuple(Numeric(name, shift, scale) for name, shift, scale in (("a", 0.5, 2.0), ("b", -1.0, 0.5)))
COLOUR = OneHot("colour", "text", ("green", "naïve", "red"))
VALUE = Target("regression", 1, (TargetColumn("y", "float", shift=3.0, scale=2.0),))


def made_parameters(architecture: Architecture, seed: int = 0) -> Parameters:
    """Weights that saturate nothing; what must be positive is."""
    generator = np.random.default_rng(seed)
    parameters = Parameters(architecture)
    for name, array in parameters.named().items():
        low = 0.5 if name.startswith("running_variance") else -1.5
        array[...] = generator.uniform(low, 1.5, array.shape)
    return parameters


def made_model(architecture: Architecture, transform: Transform, parameters: Parameters | None = None) -> Model:
    """A model of these parts, written and read again."""
    made = made_parameters(architecture) if parameters is None else parameters
    document: dict[str, Any] = {
        "id": "model-of-a-test",
        "job_id": "job-of-a-test",
        "dataset_id": "data-of-a-test",
        "weights_sha256": made.sha256(),
        "classes": list(transform.classes),
        "spec": {"optimizer": {"learning_rate": 0.1}},
        "metrics": {"train_loss": 0.25},
        "fingerprint": kernels.fingerprint(),
        "created_at": "2026-01-01T00:00:00.000Z",
    }
    head = {
        "format": 1,
        "model": document,
        "architecture": asdict(architecture),
        "transform": transform.to_json(),
        "dataset": {"id": "data-of-a-test", "name": "made", "sha256": "5" * 64},
        "versions": {"deltaq": "0"},
    }
    return Model(pack(head, made))
