"""What is learned from what, how the rows are split, scaled and weighed, and what becomes of missing values."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from service.spec.base import Name, Seed, Spec

Task = Literal["regression", "binary", "multiclass", "multilabel"]
Targets = Annotated[tuple[Name, ...], Field(strict=False, min_length=1, max_length=1000, fail_fast=True)]
ClassWeights = Annotated[dict[str, Annotated[float, Field(ge=0, le=1e9)]], Field(min_length=1, max_length=1000)]


class DataSpec(Spec):
    """What is learned from what, how the rows are split, scaled and weighed, and what becomes of missing values."""

    target: Name | Targets | None = None  # None: the data set's own
    features: Annotated[
        tuple[Name, ...] | None, Field(strict=False, min_length=1, max_length=100_000, fail_fast=True)
    ] = None
    task: Literal["auto"] | Task = "auto"
    scale: Literal["standard", "minmax", "none"] = "standard"
    scale_target: Literal["auto", "standard", "mean", "none"] = "auto"
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] | None = None  # None: 0.2, and 0 below 20 rows
    validation_dataset: Name | None = None  # its rows validate, and all of `dataset` train
    split_seed: Seed = 0
    stratify: bool | None = None  # None: true for classes that are drawn
    order_by: Name | None = None  # the last rows by this column validate
    folds: Annotated[int, Field(ge=2, le=50)] | None = None  # networks that are each validated on one part
    missing: Literal["refuse", "mean", "median", "indicator"] = "refuse"
    sample_weight: Name | None = None
    class_weight: Literal["balanced"] | ClassWeights | None = None

    @field_validator("target")
    @classmethod
    def _one_is_itself(cls, given: Name | Targets | None) -> Name | Targets | None:
        return given[0] if isinstance(given, tuple) and len(given) == 1 else given
