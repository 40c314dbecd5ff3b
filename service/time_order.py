"""Rows in the order of a column: of its numbers, or of the dates that its text stands for. Knows no split.

Dates are ISO 8601, of days or with a time; one without a zone is taken for UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray


def not_a_date(levels: Sequence[Any]) -> str | None:
    """The first of these texts that is no date, if there is one."""
    return next((level for level in levels if _moment(level) is None), None)


def ranks(levels: Sequence[Any]) -> NDArray[np.int64]:
    """The place of each date among all of them; what is the same moment keeps the order of the texts.

    Shapes: (levels,).
    """
    moments = [_moment(level) for level in levels]
    order = sorted(range(len(levels)), key=lambda number: (moments[number], levels[number]))
    found = np.empty(len(levels), dtype=np.int64)
    found[order] = np.arange(len(levels))
    return found


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
