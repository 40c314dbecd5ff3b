"""All trials of a sweep as a file: a table in CSV or Parquet, or an Optuna journal. Knows no store.

The table has a row a trial, a column `values.{metric}` for each objective and `params.{path}` for each path. A value
that is missing or not finite is null; choices that are not all of one type are their JSON text.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv, parquet

from service import strict_json
from service.spec import SweepSpec
from service.spec.sweep import Dimension
from service.sweeps.figures import finite
from service.sweeps.result_forms import ExportForm
from service.sweeps.space import in_order, values_of
from service.sweeps.study import export_journal
from service.sweeps.trial import Trial

_TYPES: Sequence[tuple[set[type], pa.DataType]] = (
    ({bool}, pa.bool_()),
    ({int}, pa.int64()),
    ({int, float}, pa.float64()),
    ({str}, pa.string()),
)
_RANGES = {"uniform": pa.float64(), "log_uniform": pa.float64(), "int": pa.int64(), "log_int": pa.int64()}


def export(form: ExportForm, spec: SweepSpec, trials: Sequence[Trial]) -> bytes:
    """The file."""
    return _WRITERS[form](spec, sorted(trials, key=lambda trial: trial.number))


def trial_table(spec: SweepSpec, trials: Sequence[Trial]) -> pa.Table:
    """A row a trial."""
    columns = {
        "number": pa.array([trial.number for trial in trials], pa.int64()),
        "status": pa.array([trial.status.value for trial in trials], pa.string()),
        **{
            f"values.{objective.metric}": pa.array([_value(trial, place) for trial in trials], pa.float64())
            for place, objective in enumerate(spec.compared)
        },
        **{f"params.{path}": _column(spec.space[path], path, trials) for path in in_order(spec.space)},
        "feasible": pa.array([trial.feasible for trial in trials], pa.bool_()),
        "epochs": pa.array([max(trial.intermediate, default=0) for trial in trials], pa.int64()),
        "pruned_at": pa.array([trial.pruned_at for trial in trials], pa.int64()),
        "job_ids": pa.array([" ".join(trial.job_ids) for trial in trials], pa.string()),
        "fused_with": pa.array([trial.fused_with for trial in trials], pa.int64()),
        "created_at": pa.array([trial.created_at or None for trial in trials], pa.string()),
        "finished_at": pa.array([trial.finished_at for trial in trials], pa.string()),
        "error": pa.array([(trial.error or {}).get("title") for trial in trials], pa.string()),
    }
    return pa.table(columns)


def _value(trial: Trial, place: int) -> float | None:
    return finite(trial.values[place]) if trial.values is not None else None


def _column(dimension: Dimension, path: str, trials: Sequence[Trial]) -> pa.Array[Any]:
    """The values of a path: of its own type, or as JSON where its choices are of several."""
    named = _RANGES.get(dimension.kind) or _common_type(values_of(dimension) or ())
    if named is not None:
        return pa.array([trial.params.get(path) for trial in trials], named)
    texts = [strict_json.encode(trial.params[path]) if path in trial.params else None for trial in trials]
    return pa.array(texts, pa.string())


def _common_type(choices: Sequence[Any]) -> pa.DataType | None:
    kinds = {type(choice) for choice in choices}
    return next((named for those, named in _TYPES if kinds <= those), None)


def _csv(spec: SweepSpec, trials: Sequence[Trial]) -> bytes:
    file = io.BytesIO()
    csv.write_csv(trial_table(spec, trials), file)
    return file.getvalue()


def _parquet(spec: SweepSpec, trials: Sequence[Trial]) -> bytes:
    file = io.BytesIO()
    parquet.write_table(trial_table(spec, trials), file)
    return file.getvalue()


def _journal(spec: SweepSpec, trials: Sequence[Trial]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal")
        export_journal(spec, trials, path)
        return path.read_bytes()


_WRITERS: Mapping[ExportForm, Callable[[SweepSpec, Sequence[Trial]], bytes]] = {
    "csv": _csv,
    "parquet": _parquet,
    "journal": _journal,
}
