"""One spec trained alone, and several as one population: what is left of each can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from service.artifacts import Artifacts
from service.assembly import assemble
from service.dataset_records import DatasetRecords
from service.datasets import Dataset
from service.fusing import fusion_key
from service.population import Member, Population
from service.preparation import prepare
from service.resolution import resolve
from service.spec import JobSpec
from service.training import Training
from tests.service.data_room import parquet_bytes, table_dataset
from tests.service.short_training import Unobserved
from workers.mlp.random import Purpose, philox
from workers.shard_computer import ShardComputer
from workers.transport.local import LocalTransport

Spec = Mapping[str, Any]
Left = tuple[str, list[dict[str, Any]], dict[str, Any], list[bytes], str | None]
TIMINGS = ("samples_per_s", "seconds")
SMALL: dict[str, Any] = {"network": {"hidden": [7, 6], "activation": "tanh"}, "batch_size": 45, "epochs": 3}
SHARES = {"beta1": (0.9, 0.8, 0.37), "beta2": (0.999, 0.99, 0.77), "epsilon": (1e-8, 1e-3, 0.01)}
DECAYS = {"weight_decay": (0.01, 0.2, 0.003)}
OWN: dict[str, dict[str, tuple[Any, ...]]] = {  # of each optimizer's fields, those of three networks
    "sgd": {"momentum": (0.9, 0.3, 0.6), "nesterov": (True,) * 3, **DECAYS},
    "adagrad": {"rate_decay": (0.1, 0.07, 0.02), "epsilon": (1e-8, 1e-3, 0.01), **DECAYS},
    "rmsprop": {"alpha": (0.99, 0.9, 0.6), "centered": (True,) * 3, "momentum": (0.9, 0.3, 0.6), **DECAYS},
    "adam": {**SHARES, "amsgrad": (True,) * 3, **DECAYS},
    "adamw": {**SHARES, **DECAYS},
    "nadam": {**SHARES, "momentum_decay": (4e-3, 0.01, 0.02), **DECAYS},
    "adadelta": {"rho": (0.9, 0.5, 0.73), **DECAYS},
    "lion": {"beta1": (0.9, 0.8, 0.37), "beta2": (0.999, 0.99, 0.77), **DECAYS},
    "rprop": {"eta_minus": (0.5, 0.4, 0.7), "eta_plus": (1.2, 1.3, 1.1), "step_most": (50.0, 0.15, 0.6)},
}
RATES = (0.1, 0.03, 0.01)


class Stopped(Exception):
    """The test's own interruption."""


@dataclass(eq=False)
class Watching(Unobserved):
    """Keeps the rows of metrics and what it is told; stops after a step, or an epoch, where that is asked."""

    steps: int | None = None
    epochs: int | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    on_epoch: Callable[[str], None] = lambda _: None

    def after_step(self) -> None:
        if self.steps is not None:
            self.steps -= 1
            if not self.steps:
                raise Stopped

    def after_epoch(self, row: dict[str, Any]) -> None:
        self.rows.append(timeless(row))
        self.on_epoch("row")

    def after_reports(self) -> None:
        self.on_epoch("reports")
        if len(self.rows) == self.epochs:
            raise Stopped

    def tell(self, level: str, message: str) -> None:
        self.told.append(f"{level}: {message}")

    def pause(self, reason: str) -> None:
        self.told.append(reason)
        raise Stopped


class Remembered(DatasetRecords):
    """Records of what is prepared, in memory."""

    def __init__(self) -> None:
        self._prepared: dict[tuple[str, str], dict[str, Any]] = {}

    def prepared(self, dataset_id: str, key: str) -> dict[str, Any] | None:
        return self._prepared.get((dataset_id, key))

    def record_prepared(self, dataset_id: str, key: str, reference: Mapping[str, Any]) -> dict[str, Any]:
        return self._prepared.setdefault((dataset_id, key), dict(reference))


class PopulationRoom:
    """Trains on one small table: four numbers, three classes, a weight, a value."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._records = folder, Remembered()
        self._artifacts = Artifacts((folder / "artifacts").as_uri())
        generator = philox(3, Purpose.ORDER)
        x = generator.standard_normal((160, 4))
        labels = ["abc"[number] for number in (x[:, 0] > 0).astype(int) + (x[:, 1] > 0.5)]
        columns = {f"x{number}": x[:, number] for number in range(4)}
        weights = generator.uniform(0, 2, 160).round(3)
        table = {**columns, "w": weights, "value": x[:, 2] ** 2, "y": labels}
        self.dataset: Dataset = table_dataset(table)
        self._artifacts.write(self.dataset.path, parquet_bytes(pa.table(table)))

    def resolved(self, spec: Spec) -> JobSpec:
        return resolve(JobSpec.model_validate({"dataset": self.dataset.name, **spec}), self.dataset).spec

    def key(self, spec: Spec) -> str | None:
        return fusion_key(self.resolved(spec), self.dataset.id)

    def begin(self, spec: Spec) -> Training:
        resolution = resolve(JobSpec.model_validate({"dataset": self.dataset.name, **spec}), self.dataset)
        prepared = prepare(resolution.spec, self.dataset, self._artifacts, self._records, self._folder / "cache")
        return assemble(resolution, prepared, lambda given, _: LocalTransport(ShardComputer(given)))

    def alone(self, spec: Spec) -> Left:
        training, seen = self.begin(spec), Watching()
        error = None
        try:
            training.run(seen)
        except Exception as raised:
            error = raised
        return left_by(training, seen, error)

    def together(self, specs: Iterable[Spec], **watching: Any) -> list[Member]:
        """Train as one population; answers the members in the order of their specs."""
        members = [Member(self.begin(spec), Watching(**watching)) for spec in specs]
        assert len({self.key(spec) for spec in specs}) == 1
        gone = list(chain.from_iterable(Population(members).run()))
        assert set(gone) == set(members)
        assert len(gone) == len(members)
        return members

    def assert_same(self, specs: Sequence[Spec]) -> list[Left]:
        """Each as a member has the bits that it has alone."""
        found = [of_member(member) for member in self.together(specs)]
        for spec, of_one in zip(specs, found, strict=True):
            assert of_one == self.alone(spec), spec
        return found


def of_member(member: Member) -> Left:
    seen = member.observer
    assert isinstance(seen, Watching)
    return left_by(member.training, seen, member.error)


def left_by(training: Training, seen: Watching, error: Exception | None) -> Left:
    """The hash of the weights, rows, the state with what was told, the optimizer's and the best weights' bits, the
    error."""
    server = training.server
    arrays = [*server.optimizer_state, *([] if training.best is None else [training.best])]
    state = timeless(asdict(training.state)) | {"version": server.version, "told": seen.told}
    training.keep_best()
    bits = [np.ascontiguousarray(array).tobytes() for array in arrays]
    return server.parameters.sha256(), seen.rows, state, bits, None if error is None else repr(error)


def timeless(value: Any) -> Any:
    """A document without what a clock has measured."""
    if isinstance(value, dict):
        return {name: timeless(each) for name, each in value.items() if name not in TIMINGS}
    return value


def with_optimizer(number: int, name: str = "sgd", **fields: tuple[Any, ...]) -> dict[str, Any]:
    """The optimizer of the network with that number, from 0."""
    return {"name": name, "learning_rate": RATES[number % 3], **{key: each[number % 3] for key, each in fields.items()}}


def three(base: Mapping[str, Any], name: str = "sgd", /, **fields: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Specs of three networks, which differ in seed, rate and these fields of the optimizer."""
    return [{**base, "seed": number // 2, "optimizer": with_optimizer(number, name, **fields)} for number in range(3)]
