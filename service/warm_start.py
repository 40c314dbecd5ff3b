"""A model as the beginning of a training: what resolving its spec must know, and its weights. Knows no queue."""

from __future__ import annotations

from service import strict_json
from service.errors import FieldError, InvalidSpec, ModelNotFound
from service.models import Model, ModelStore, OptimizerState
from service.parameter_server import ParameterServer
from service.resolution.warm_start import POINTER, Start
from service.spec import JobSpec


def find_start(models: ModelStore, tenant: str, spec: JobSpec) -> Model | None:
    """The model that a spec's `warm_start` names; None where it has none.

    Raises: InvalidSpec when there is no such model; StoreUnavailable.
    """
    if spec.warm_start is None:
        return None
    named = spec.warm_start.model
    try:
        return models.load(tenant, named)
    except ModelNotFound:
        error = FieldError(POINTER, named, "there is no such model", "the id or an alias of a model")
        raise InvalidSpec(f"warm_start.model: there is no model {named!r}", errors=[error]) from None


def as_start(model: Model | None) -> Start | None:
    """What resolving a spec must know of a model."""
    if model is None:
        return None
    spec = JobSpec.model_validate_json(strict_json.encode(model.document["spec"]))
    return Start(model.document["id"], spec, model.transform, model.architecture, model.optimizer_steps is not None)


def begin_with(model: Model, optimizer: OptimizerState | None, server: ParameterServer) -> None:
    """Put a model's weights, and its optimizer's state where it is given, in the place of the first ones.

    All are cast to the job's precision.
    """
    given = model.parameters.named()
    for name, array in server.parameters.named().items():
        array[...] = given[name]
    if optimizer is not None:
        server.steps_before = optimizer.steps
        for array, kept in zip(server.optimizer_state, optimizer.arrays, strict=True):
            array[...] = kept
