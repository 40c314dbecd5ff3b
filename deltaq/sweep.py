"""A sweep as its owner holds it: what is known of it, and what can be done with it. Knows the API's paths alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Literal, Self, get_args

from deltaq.connection import Params
from deltaq.errors import InvalidInput, NoModel
from deltaq.events import Event, EventReader
from deltaq.files import saved, stream_into
from deltaq.handle import Handle
from deltaq.job import Job
from deltaq.listing import address, items
from deltaq.model import Model
from deltaq.records import Alias
from deltaq.sweep_records import SweepProgress, SweepRecord, Trial

FigureForm = Literal["json", "plotly"]
ExportForm = Literal["csv", "parquet", "journal"]

_RESULT_S = 300.0  # the service reads all trials before it answers


class Sweep(Handle[SweepRecord]):
    """A handle on one sweep."""

    _path = "sweeps"
    _read = SweepRecord.read

    @property
    def progress(self) -> SweepProgress:
        """How far the sweep was when it was last seen."""
        return self.record.progress

    @property
    def best(self) -> tuple[Trial, ...]:
        """The best trial when the sweep was last seen; of several objectives those that no other beats."""
        return self.record.best

    def trials(self) -> list[Trial]:
        """Every trial, in the order of their numbers."""
        return [Trial.read(row) for row in items(self._connection, address("sweeps", self.id, "trials"))]

    def jobs(self) -> Iterator[Job]:
        """The jobs of its trials, the newest first."""
        found = items(self._connection, address("jobs"), {"sweep": self.id})
        return (Job(self._connection, document) for document in found)

    def best_job(self) -> Job:
        """The job of the best trial, the first of several. Raises: NoModel where no trial has succeeded."""
        if not self.best:
            self.refresh()
        job_id = self.best[0].job_id if self.best else None
        if job_id is None:
            raise NoModel(f"sweep {self.id} is {self.status.value} and no trial of it has succeeded")
        return Job(self._connection, self._connection.call("GET", address("jobs", job_id)))

    def model(self) -> Model:
        """The model of the best trial. Raises: NoModel where there is none."""
        return self.best_job().model()

    def promote(self, name: str) -> Alias:
        """Give the best trial's model this alias; one that there is moves to it, in one step. Raises: as `model`."""
        return self.model().promote(name)

    def best_spec(self, trial: int | None = None) -> dict[str, Any]:
        """The best trial's job, ready to submit; of several objectives the first one's, or that of this trial.

        Raises: NotFound where no trial has succeeded; InvalidRequest where that one is not among the best.
        """
        found: dict[str, Any] = self._result("best", {"trial": trial})
        return found

    def importances(self) -> dict[str, float]:
        """How much each path decides whether a trial is among the best, the largest first; empty for few trials."""
        return {each["path"]: each["importance"] for each in self._result("importances")["importances"]}

    def figure(
        self,
        name: str,
        *,
        format: FigureForm = "json",  # noqa: A002 (the API's own word)
        paths: Sequence[str] = (),
        metric: str | None = None,
    ) -> dict[str, Any]:
        """A figure as data, or as `plotly` what `plotly.io.from_json` and `Plotly.newPlot` take.

        Names: history, slices, parallel_coordinates, contour, intermediate_values, pareto_front, importances.
        Raises: InvalidRequest naming what cannot be drawn.
        """
        found: dict[str, Any] = self._result(
            f"figures/{name}", {"format": format, "path": list(paths), "metric": metric}
        )
        return found

    def export(
        self,
        path: str | os.PathLike[str],
        format: ExportForm | None = None,  # noqa: A002
        *,
        overwrite: bool = True,
    ) -> Path:
        """Save all trials: as a table in CSV or Parquet, or as a journal that optuna-dashboard opens.

        The form is that of the file's ending, where it is not given. A file that was there before is replaced, unless
        `overwrite` is False.
        Raises: InvalidInput where the form is not said, or the file cannot be written; ApiError, Unreachable.
        """
        form = format or _form_of(Path(path))
        return saved(lambda file: self.write(file, form), Path(path), overwrite=overwrite)

    def write(self, file: IO[bytes], format: ExportForm) -> None:  # noqa: A002
        """Write all trials into an open file. Raises: ApiError, Unreachable."""
        stream_into(file, self._connection, address("sweeps", self.id, "export"), {"format": format})

    def watch(self, timeout: float | None = None, *, give_up_s: float = 60.0) -> Iterator[Event]:
        """Yield the events of the sweep and its jobs from now on, until it has ended; then `record` is its end.

        Goes on after the service restarts, and while the sweep is paused.

        Units: seconds.
        Raises: WaitTimeout after `timeout`, Unreachable when the service was away for `give_up_s`.
        """
        reader = EventReader(
            self._connection, address("events"), {"sweep": self.id}, give_up_s=give_up_s, timeout_s=timeout
        )
        for event in reader:
            if event:
                yield event.told_apart
            elif self.refresh().status.terminal:
                return
        self.refresh()

    def extend(self, trials: int) -> Self:
        """Let it have so many trials in all; one that has ended by itself goes on."""
        return self._see(self._connection.call("PATCH", address("sweeps", self.id), json={"trials": trials}))

    def _result(self, what: str, params: Params | None = None) -> Any:
        path = address("sweeps", self.id, *what.split("/", 1))
        return self._connection.call("GET", path, params=params, timeout_s=_RESULT_S)


def _form_of(path: Path) -> ExportForm:
    forms: tuple[ExportForm, ...] = get_args(ExportForm)
    for form in forms:
        if path.suffix == f".{form}":
            return form
    allowed = ", ".join(f".{form}" for form in forms)
    raise InvalidInput(f"{path}: this ending is no form; allowed are {allowed}, or any with a format beside it")
