"""What is to be prepared: everything that decides a bit of a job's arrays. Knows no files."""

from __future__ import annotations

from dataclasses import dataclass, replace

from service import strict_json
from service.datasets import Column, Dataset, Task
from service.resolution import output_units
from service.spec import JobSpec
from service.transform import Transform

FORMAT = 2  # of what is stored; another one is another preparation


@dataclass(frozen=True)
class Plan:
    """A resolved spec, its data sets, which of its folds validates, and a transform that is taken instead of fitted.

    With `data.folds` and no fold, all rows train and none validates: the data of the final refit.
    """

    spec: JobSpec
    dataset: Dataset
    validation: Dataset | None = None
    fold: int | None = None
    given: Transform | None = None

    @property
    def task(self) -> Task:
        """The task, as resolved."""
        assert self.spec.data.task != "auto"
        return self.spec.data.task

    @property
    def targets(self) -> list[Column]:
        """The columns that are learned; of a given transform with its classes, some of which the data may lack."""
        named = self.spec.data.target
        columns = [self._column(name) for name in (named if isinstance(named, tuple) else (named,))]
        if self.given is None or not self.given.target.holds_classes:
            return columns
        known = [column.classes for column in self.given.target.columns]
        return [replace(column, levels=own, distinct=len(own)) for column, own in zip(columns, known, strict=True)]

    @property
    def features(self) -> list[Column]:
        """The columns that are learned from."""
        return [self._column(name) for name in self.spec.data.features or ()]

    @property
    def outputs(self) -> int:
        """How many outputs the network has."""
        if self.given is not None:
            return self.given.target.outputs
        return output_units(self.task, self.spec.loss, self.spec.network.output_activation, self.targets)

    @property
    def key(self) -> str:
        """The name of the preparation: a digest of the data and of every field that changes a bit of its arrays."""
        document = [
            FORMAT,
            self.dataset.content,
            None if self.validation is None else self.validation.content,
            self.spec.data.model_dump(mode="json"),
            self.spec.network.precision,
            self.outputs,
            self.fold,
            None if self.given is None else self.given.to_json(),
        ]
        return strict_json.sha256(document)

    def _column(self, name: str | None) -> Column:
        column = self.dataset.column(name or "")
        assert column is not None  # a resolved spec names columns that are there
        return column
