"""How the weights follow the gradient."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.spec.base import Spec


class OptimizerSpec(Spec):
    """Gradient descent; momentum, Nesterov and weight decay as PyTorch's SGD has them."""

    name: Literal["sgd"] = "sgd"
    learning_rate: Annotated[float, Field(ge=0, le=1e9)] | None = None  # None: 0.1, for regression 0.03
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0, le=1e6)] = 0.0
