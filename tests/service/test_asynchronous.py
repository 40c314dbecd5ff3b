"""The asynchronous modes on real worker processes: whole weights, each mini-batch once, whatever workers do."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from service.assembly import assemble
from service.checkpoints import Snapshot, read_checkpoint
from service.datasets import Dataset
from service.errors import Diverged
from service.jobs import Lease
from service.preparation import PreparedData
from service.resolution import Resolution, resolve
from service.spec import JobSpec
from service.training import Training
from tests.service.data_room import DataRoom
from tests.service.short_training import Unobserved
from tests.worker_process import Workers
from workers.batches import Step
from workers.mlp.parameters import Parameters
from workers.mlp.random import Purpose, philox
from workers.shard_computer import Assignment, ShardComputer
from workers.transport import Transport
from workers.transport.asynchronous_gang import Arrival, AsynchronousGang
from workers.transport.local import LocalTransport

EPOCHS, STEPS = 3, 24
SPEC: dict[str, Any] = {
    "network": {"hidden": [60, 50], "activation": "tanh"},
    "batch_size": 12,
    "epochs": EPOCHS,
    "mode": "async",
    "optimizer": {"learning_rate": 0.05},
}
WHOLE = [Step(epoch, number, number == STEPS - 1) for epoch in range(EPOCHS) for number in range(STEPS)]


class NotingGang(AsynchronousGang):
    """Notes which mini-batches have been used, in their order."""

    used: list[Step]

    def release(self, arrival: Arrival) -> None:
        self.used.append(arrival.step)
        super().release(arrival)


class Stopped(Exception):
    """The training ends between two steps."""


@dataclass
class Disturbing(Unobserved):
    """Keeps the rows of metrics, and does things after steps, by their number from 1."""

    after: Mapping[int, Callable[[], None]] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    steps: int = 0

    def after_step(self) -> None:
        self.steps += 1
        self.after.get(self.steps, lambda: None)()

    def after_epoch(self, row: dict[str, Any]) -> None:
        self.rows.append(row)


@dataclass
class Room:
    """A data set, and workers to train on it; `used` are the mini-batches that updated the weights."""

    data: DataRoom
    dataset: Dataset
    workers: Workers
    used: list[Step] = field(default_factory=list)
    gang: NotingGang | None = None

    def prepared(self, **changes: Any) -> tuple[Resolution, PreparedData]:
        spec = {**SPEC, **changes}
        resolution = resolve(JobSpec.model_validate({"dataset": self.dataset.name, **spec}), self.dataset)
        return resolution, self.data.prepare(self.dataset, spec)

    def begin(self, workers: int, **changes: Any) -> Training:
        def connect(assignment: Assignment, asynchronous: bool) -> Transport:
            if not asynchronous:
                return LocalTransport(ShardComputer(assignment))
            self.gang = self.workers.gang_of(NotingGang, assignment, workers)
            assert self.gang.workers == workers
            self.gang.used = self.used
            return self.gang

        return assemble(*self.prepared(**changes), connect)

    def train(self, workers: int, after: Mapping[int, Callable[[], None]] | None = None, **changes: Any) -> Disturbing:
        training, seen = self.begin(workers, **changes), Disturbing(after or {})
        training.run(seen)
        assert training.settled
        return seen


@pytest.fixture
def room(data_room: DataRoom, workers: Workers) -> Room:
    generator = philox(3, Purpose.ORDER)
    x = generator.standard_normal((360, 4))
    labels = ["abc"[number] for number in (x[:, 0] > 0).astype(int) + (x[:, 1] > 0.5)]
    columns: Mapping[str, Any] = {f"x{number}": x[:, number] for number in range(4)}
    return Room(data_room, data_room.add_table({**columns, "y": labels}), workers)


@pytest.mark.parametrize("changes", [{}, {"network": {"hidden": [9], "normalization": "batch", "dropout": 0.3}}])
def test_one_worker_alone_trains_as_in_mode_sync(room: Room, changes: dict[str, Any]) -> None:
    training, seen = room.begin(1, **changes), Disturbing()
    training.run(seen)
    assert [row["staleness"] for row in seen.rows] == [[STEPS]] * EPOCHS
    alone = room.begin(1, **changes, mode="sync", shards=1)
    alone.run(Unobserved())
    assert training.server.parameters.sha256() == alone.server.parameters.sha256()
    assert room.used == WHOLE


def test_each_mini_batch_is_one_update_and_the_loss_falls(room: Room) -> None:
    seen = room.train(3)
    assert sorted(room.used) == WHOLE
    assert [sum(row["staleness"]) for row in seen.rows] == [STEPS] * EPOCHS
    assert any(len(row["staleness"]) > 1 for row in seen.rows)
    assert seen.rows[-1]["train_loss"] < 0.8 * seen.rows[0]["train_loss"]
    assert len(seen.rows[-1]["layers"]) == 3
    assert room.gang is not None
    assert room.gang.most_workers == 3


@pytest.mark.parametrize("bound", [0, 1, 3])
def test_no_update_is_staler_than_the_bound(room: Room, bound: int) -> None:
    seen = room.train(4, mode="bounded_staleness", max_staleness=bound)
    assert sorted(room.used) == WHOLE
    assert max(len(row["staleness"]) for row in seen.rows) <= bound + 1


@pytest.mark.parametrize(("bound", "late"), [(None, range(10, STEPS)), (2, range(3))])
def test_a_worker_that_is_stopped_holds_the_others_up_only_under_a_bound(
    room: Room, bound: int | None, late: range
) -> None:
    """After the patience with it, its mini-batch is another's."""
    slow = room.workers.take(2)[0]
    mode = {} if bound is None else {"mode": "bounded_staleness", "max_staleness": bound}
    room.train(3, {5: lambda: slow.send(signal.SIGSTOP)}, **mode)
    assert sorted(room.used) == WHOLE
    assert max(place - WHOLE.index(step) for place, step in enumerate(room.used)) in late
    slow.wait()


def test_workers_are_killed_and_no_mini_batch_is_lost_or_used_twice(room: Room) -> None:
    chance = random.Random(7)
    victims = room.workers.take(3)
    kills = {chance.randrange(2, 60): (lambda victim=victim: victim.send(signal.SIGKILL)) for victim in victims}
    seen = room.train(4, kills)
    assert sorted(room.used) == WHOLE
    assert len(seen.rows) == EPOCHS
    assert room.gang is not None
    assert room.gang.workers == 1


def test_what_a_worker_that_goes_was_computing_is_computed_by_another(room: Room) -> None:
    def leave() -> None:
        assert room.gang is not None
        room.gang.change(room.workers.slots(1))

    def come_back() -> None:
        assert room.gang is not None
        room.gang.change(room.workers.slots(4))

    room.train(4, {3: leave, 20: come_back, 30: leave, 31: come_back, 50: leave})
    assert sorted(room.used) == WHOLE


def test_a_checkpoint_in_mid_epoch_has_whole_mini_batches_and_the_rest_follows(room: Room) -> None:
    def settle() -> None:
        training.settle()
        seen.after = dict.fromkeys(range(seen.steps + 1, seen.steps + 9), stop)

    def stop() -> None:
        if training.settled:
            raise Stopped

    training, seen = room.begin(4, optimizer={"name": "adam"}), Disturbing({5: settle})
    with pytest.raises(Stopped):
        training.run(seen)
    done = training.state.step
    assert 5 < done <= 9
    assert sorted(room.used) == WHOLE[:done]
    reference = Snapshot().take(training).write(Lease("job-" + "a" * 20, "1-aa"), room.data.artifacts, {})
    again, rest = room.begin(2, optimizer={"name": "adam"}), Disturbing()
    read_checkpoint(reference, room.data.artifacts).put_back(again)
    assert (again.state.step, again.state.staleness) == (done, training.state.staleness)
    again.run(rest)
    assert sorted(room.used) == WHOLE
    assert [sum(row["staleness"]) for row in rest.rows] == [STEPS] * EPOCHS


def test_a_mini_batch_is_computed_with_the_weights_as_they_were_when_it_was_given(room: Room) -> None:
    """The next ones are written at once, in the middle of the computing."""
    gang = room.begin(3, batch_size=250, network={"hidden": [300, 300]}).server.transport
    assert isinstance(gang, AsynchronousGang)
    first = gang.weights.flat.copy()
    gradient = Parameters(gang.weights.architecture)
    wanted = gang.gradient(Step(0, 0), gradient)
    for factor in (1.0, 7.0, 1e3):
        gang.weights.flat[...] = factor * first
        assert gang.start(Step(0, 0))
    gang.weights.flat[...] = np.nan
    assert not gang.start(Step(0, 0)), "all are at work"
    arrivals: list[Any] = []
    while len(arrivals) < 3:
        arrivals += gang.wait()
    assert all(np.isfinite(arrival.gradient.trained).all() for arrival in arrivals)
    assert len({arrival.sums.loss for arrival in arrivals}) == 3
    (of_first,) = (arrival for arrival in arrivals if arrival.sums.loss == wanted.loss)
    np.testing.assert_array_equal(of_first.gradient.trained, gradient.trained)


def test_a_loss_that_is_no_number_ends_the_training_and_names_the_layer(room: Room) -> None:
    with pytest.raises(Diverged, match=r"epoch \d, step \d+, layer \d"):
        room.train(4, optimizer={"learning_rate": 1e9}, network={"hidden": [8], "activation": "relu"})
