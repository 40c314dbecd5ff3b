"""What can be asked of a sweep's results, by name. Knows nothing of how it is made, and loads nothing for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

FigureName = Literal[
    "history", "slices", "parallel_coordinates", "contour", "intermediate_values", "pareto_front", "importances"
]
FigureForm = Literal["json", "plotly"]
ExportForm = Literal["csv", "parquet", "journal"]
MEDIA_TYPES: Mapping[ExportForm, str] = {
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "journal": "application/x-ndjson",
}
