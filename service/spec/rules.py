"""What is to happen when a figure of a training crosses a line."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.spec.base import Name, Spec


class Rule(Spec):
    """Do `action` when `metric` has been above, or below, a value for some epochs on end.

    `metric` is a column of the metrics, or a layer's figure: `validation_f1`, `layers.0.dead_fraction`, …
    It acts once; and again when the figure has been on the other side in between.
    """

    metric: Name
    above: float | None = None
    below: float | None = None
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    action: Literal["warn", "pause", "stop"] = "warn"
