"""A model's card: what it is, what it was made of, what it takes and what it gives. Made of its file's header alone."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any

from service.transform import Transform
from workers.mlp.architecture import Architecture

if TYPE_CHECKING:
    from service.datasets import Dataset
    from service.resolution import Resolution

Card = dict[str, Any]

FORMAT = 1
PACKAGES = ("deltaq", "numpy", "ray", "safetensors")


@cache
def versions() -> Mapping[str, str]:
    """What is running: Python, and the packages that decide what a model is."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}}


def dataset_part(dataset: Dataset, resolution: Resolution) -> dict[str, Any]:
    """Which data, by its SHA-256, and how many rows of it went where."""
    return {
        "id": dataset.id,
        "name": dataset.name,
        "sha256": dataset.sha256,
        "rows": dataset.rows,
        "train_rows": resolution.train_rows,
        "validation_rows": resolution.validation_rows,
    }


def card_of(head: Mapping[str, Any], architecture: Architecture, transform: Transform) -> Card:
    """The card of a model, from its file's header and what stands there read already."""
    document = head["model"]
    target = transform.target
    return {
        "format": FORMAT,
        "model": {name: document.get(name) for name in ("id", "job_id", "created_at", "weights_sha256")},
        "dataset": head.get("dataset", {"id": document["dataset_id"]}),
        "takes": [
            {"column": feature.name, "inputs": feature.width, "allowed": feature.allowed}
            for feature in transform.features
        ],
        "gives": {
            "task": target.task,
            "targets": [{"column": column.name, "classes": list(column.classes)} for column in target.columns],
        },
        "network": {**head["architecture"], "parameters": architecture.parameter_count},
        "transform": head["transform"],
        "metrics": document["metrics"],
        "spec": document["spec"],
        "fingerprint": document["fingerprint"],
        "versions": head.get("versions", {"deltaq": document["fingerprint"].get("deltaq")}),
    }
