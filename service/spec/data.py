"""What is learned from what, and how the rows are split and scaled."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.spec.base import Name, Seed, Spec

Task = Literal["regression", "binary", "multiclass"]


class DataSpec(Spec):
    """What is learned from what, and how the rows are split and scaled."""

    target: Name | None = None  # None: the data set's own
    features: Annotated[
        tuple[Name, ...] | None, Field(strict=False, min_length=1, max_length=100_000, fail_fast=True)
    ] = None
    task: Literal["auto"] | Task = "auto"
    scale: Literal["standard", "minmax", "none"] = "standard"
    scale_target: Literal["auto", "standard", "none"] = "auto"
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] | None = None  # None: 0.2, and 0 below 20 rows
    split_seed: Seed = 0
    stratify: bool | None = None  # None: true for classes
    missing: Literal["refuse"] = "refuse"
