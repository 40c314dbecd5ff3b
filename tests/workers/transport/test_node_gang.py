"""A worker that is stopped, not dead, in the middle of writing: whatever becomes of it, the bits are one worker's."""

from __future__ import annotations

import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.service.families import until
from tests.worker_process import WorkerProcess
from tests.workers.transport.holdings import blocks_of, descriptors_of
from tests.workers.transport.made_job import SHARDS, assignment_in, train
from workers import kernels
from workers.batches import Step
from workers.datafiles import Part
from workers.evaluation import Evaluation
from workers.mlp.initializers import initialize
from workers.mlp.parameters import Parameters
from workers.mlp.sums import BatchSums
from workers.place import Slot
from workers.shard_computer import Assignment, Partial, ShardComputer
from workers.summation import combine_subtrees
from workers.transport.local import LocalTransport
from workers.transport.messages import Run
from workers.transport.node_gang import NodeGang
from workers.transport.patience import Patience
from workers.transport.peer import Peer
from workers.transport.tasks import SumGradients

STEPS, STOPPED_AT, JOIN_S, TRIES = 30, 3, 30.0, 20
OWN = Slot("own", "node")


class Disturbed(SumGradients):
    """A step in which something happens, once, before and after this process computes its own share.

    All workers have been told theirs by then.
    """

    before: Callable[[], None] | None
    after: Callable[[], None]

    def compute(self, units: Sequence[int]) -> None:
        before, self.before = self.before, None
        if before is not None:
            before()
        super().compute(units)
        self.after()


class OneNode:
    """A node's gang as a training needs it."""

    def __init__(self, gang: NodeGang) -> None:
        self.gang, self.weights = gang, gang.weights
        self.before: Callable[[], None] | None = None
        self.after: Callable[[], None] = lambda: None
        self.most_workers = 0

    @property
    def workers(self) -> int:
        return self.gang.workers

    def gradient(self, step: Step, out: Parameters) -> BatchSums:
        buffers = iter([out, *(Parameters(out.architecture) for _ in range(SHARDS))])
        task = Disturbed(self.gang.computer, self.weights, step, buffers)
        task.before, task.after = self.before, self.after
        self.gang.do(task, range(SHARDS))
        whole = combine_subtrees({(one.lo, one.hi): one for one in task.partials}, 0, SHARDS, Partial.plus)
        assert whole is not None
        out.flat[...] = whole.gradient
        return whole.sums

    def evaluate(self, part: Part = "validation") -> Evaluation | None:
        gathering = self.gang.gathering(part)
        self.gang.do(self.gang.evaluating(part, gathering), range(gathering.blocks))
        return gathering.whole()

    def change(self, slots: Sequence[Slot]) -> None:
        self.gang.change(slots)

    def close(self) -> None:
        self.gang.close()


@pytest.fixture
def assignment(made_rows: Path) -> Assignment:
    """Large enough for a stop in the middle of writing a gradient."""
    return assignment_in(made_rows, units=(700, 500))


@pytest.fixture
def undisturbed(assignment: Assignment) -> str:
    return train(LocalTransport(ShardComputer(assignment)), assignment, STEPS)


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    process = WorkerProcess("worker")
    yield process
    process.end()


def gang_of(worker: WorkerProcess, assignment: Assignment, token: str = "1-aa") -> NodeGang:
    gang = NodeGang([OWN, worker.slot], token, assignment, kernels.fingerprint())
    gang.admit(JOIN_S)
    assert gang.workers == 2
    return gang


def torn(peer: Peer) -> bool:
    """Whether the last layer's gradient is written in the worker's first slot, and the first layer's is not."""
    assert peer.answers is not None
    gradient = peer.answers.gradient(0)
    return bool(gradient.W[-1].any()) and not gradient.W[0].any()


def stop_while_it_writes(worker: WorkerProcess, peer: Peer) -> bool:
    """Stop a worker that has been told a step, in the middle of writing; False where it was too fast, and goes on."""
    assert peer.answers is not None
    last_layer, deadline = peer.answers.gradient(0).W[-1], time.monotonic() + JOIN_S
    while not last_layer.any():
        assert time.monotonic() < deadline, "it writes nothing"
    worker.send(signal.SIGSTOP)
    until(lambda: Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", "it is stopped")
    if torn(peer):
        return True
    worker.send(signal.SIGCONT)
    return False


def forget(peer: Peer) -> None:
    """Have nothing written in the worker's first slot."""
    assert peer.answers is not None
    peer.answers.gradient(0).flat[...] = 0


def test_a_worker_that_stays_stopped_is_ended_and_its_shards_are_computed_by_the_rest(
    worker: WorkerProcess, assignment: Assignment, undisturbed: str
) -> None:
    descriptors, held = descriptors_of(), blocks_of()
    gang = gang_of(worker, assignment)
    (peer,), node = gang.ready, OneNode(gang)
    stopped: list[int] = []

    def stop(number: int) -> None:
        if stop_while_it_writes(worker, peer):
            stopped.append(number)

    def before_step(number: int) -> None:
        node.before = None
        if number >= STOPPED_AT and not stopped:
            forget(peer)
            node.before = partial(stop, number)

    assert train(node, assignment, STEPS, before_step) == undisturbed
    assert stopped, "it was always too fast"
    assert gang.workers == 1
    until(lambda: not worker.alive, "it is ended")
    node.close()
    assert len(blocks_of() - held) == 1  # the weights, as long as their owner has them
    assert descriptors_of() == descriptors + 1  # a mapping has a descriptor of its own


def test_a_worker_that_wakes_before_it_is_given_up_goes_on(
    worker: WorkerProcess, assignment: Assignment, undisturbed: str
) -> None:
    gang = gang_of(worker, assignment)
    (peer,), node = gang.ready, OneNode(gang)
    peer.patience = Patience(least_s=3600.0)
    stops: list[bool] = []

    def before_step(number: int) -> None:
        forget(peer)
        node.before = lambda: stops.append(stop_while_it_writes(worker, peer))
        node.after = lambda: worker.send(signal.SIGCONT)  # this process has computed its share in the meantime

    assert train(node, assignment, STEPS, before_step) == undisturbed
    assert any(stops)
    assert gang.workers == 2
    gang.close()


@pytest.mark.parametrize("later", ["1-aa", "2-aa"])
def test_a_worker_that_wakes_ten_steps_after_it_was_let_go_writes_into_nothing_and_joins_again(
    worker: WorkerProcess, assignment: Assignment, undisturbed: str, later: str
) -> None:
    """In the gang that it is let go by, or in one of a later lease."""
    first = gang_of(worker, assignment)
    initialize(first.weights, seed=1)
    for number in range(TRIES):
        (peer,) = first.ready
        forget(peer)
        asked = first.tell(peer, [0, 1], None, Step(0, number % 2), (Run(0, 1, 0), Run(1, 2, 1)))
        if stop_while_it_writes(worker, peer):
            break
        assert select.select([peer.connection], [], [], JOIN_S)[0]
        assert first.hear(asked)
    else:
        pytest.fail("it was always too fast")
    first.change([OWN])
    gang = first if later == "1-aa" else NodeGang([OWN], later, assignment, kernels.fingerprint())
    gang.change([OWN, worker.slot])
    workers: list[int] = []

    def before_step(number: int) -> None:
        workers.append(gang.workers)
        if number == STOPPED_AT + 10:
            worker.send(signal.SIGCONT)
            gang.admit(JOIN_S)

    assert train(OneNode(gang), assignment, STEPS, before_step) == undisturbed
    assert workers == [1] * (STOPPED_AT + 11) + [2] * (STEPS - STOPPED_AT - 11)
    first.close()
    gang.close()
