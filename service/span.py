"""Where a training lies among those that its job is made of. Knows none of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Span:
    """How many epochs it has at most, and what of the job comes before and, at most, after it.

    A job's rows are numbered through all its trainings; `marks` is what the rows of this one say beside that.
    """

    epochs: int
    epochs_before: int = 0
    steps_before: int = 0
    epochs_after: int = 0
    steps_after: int = 0
    marks: Mapping[str, Any] = field(default_factory=dict)
