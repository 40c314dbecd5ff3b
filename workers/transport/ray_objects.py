"""The transport over Ray: parameters go out as one object, each worker answers with the sums of complete subtrees.

A worker that dies, or says nothing for much longer than its like did before, is left behind within the step: its shards
are computed by the others, and since the fixed tree is over shard numbers the bits do not show who computed what. What
it may still answer is heard by nobody.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from workers.batches import Step
from workers.datafiles import Part
from workers.evaluation import Evaluation, Gathering
from workers.mlp.arrays import Array
from workers.mlp.parameters import Parameters
from workers.mlp.sums import BatchSums
from workers.place import Slot
from workers.shard_computer import Assignment, Partial
from workers.summation import combine_subtrees
from workers.transport.base import WorkersLost


class Patience:
    """How long to wait for one kind of answer: much longer than the longest so far.

    Units: `first_s` and `least_s` in seconds.
    """

    def __init__(self, *, first_s: float = 600.0, least_s: float = 10.0, factor: float = 20.0) -> None:
        self.seconds = first_s  # of the first answer nothing is known
        self._least_s = least_s
        self._factor = factor
        self._longest_s = 0.0

    def learn(self, took_s: float) -> None:
        """Take notice of how long an answer took."""
        self._longest_s = max(self._longest_s, took_s)
        self.seconds = max(self._least_s, self._factor * self._longest_s)


def connect(
    node: str, slots: Sequence[Slot], token: str, assignment: Assignment, fingerprint: dict[str, str]
) -> RayTransport:
    """Prepare the slots' workers for the job under `token`; those that are dead or compute with other kernels stay out.

    Raises: WorkersLost when none is left.
    """
    workers = [worker for slot in slots for worker in _find(slot.name)]
    answers = heard([worker.prepare.remote(token, assignment) for worker in workers], Patience())
    prepared = [(worker, answer) for worker, answer in zip(workers, answers, strict=True) if answer is not None]
    gang = [(worker, rows) for worker, (kernels, rows) in prepared if kernels == fingerprint]
    if not gang:
        raise WorkersLost(f"none of the workers {', '.join(slot.name for slot in slots)} can serve the job")
    return RayTransport([worker for worker, _ in gang], token, assignment, gang[0][1])


def _find(name: str) -> list[Any]:
    try:
        return [ray.get_actor(name)]
    except ValueError:  # it died and its name is free
        return []


def heard(calls: Sequence[Any], patience: Patience) -> list[Any | None]:
    """Each call's answer; None where its worker died, or said nothing in time.

    Raises: what the call itself raised.
    """
    started = time.monotonic()
    ready, _ = ray.wait(list(calls), num_returns=len(calls), timeout=patience.seconds)
    answers = [_answer(call) if call in ready else None for call in calls]
    if len(ready) == len(calls):
        patience.learn(time.monotonic() - started)
    return answers


def _answer(call: Any) -> Any | None:
    try:
        return ray.get(call)
    except RayTaskError:
        raise
    except RayError:  # the worker, its node, or the object that holds its answer
        return None


class RayTransport:
    """Asks a gang of `GradientWorker` actors, all prepared for the job under `token`."""

    def __init__(self, gang: Sequence[Any], token: str, assignment: Assignment, rows: Mapping[Part, int]) -> None:
        self.weights = Parameters(assignment.architecture)
        self._gang = list(gang)
        self._token = token
        self._shards = assignment.shards
        self._rows = rows
        self._gatherings: dict[Part, Gathering] = {}
        self._of_a_step = Patience()
        self._of_an_evaluation: dict[Part, Patience] = {"train": Patience(), "validation": Patience()}

    @property
    def workers(self) -> int:
        """How many workers are alive."""
        return len(self._gang)

    def gradient(self, step: Step, out: Parameters) -> BatchSums:
        """Sum one mini-batch's gradients into `out`."""
        sent = ray.put(self.weights.flat)

        def ask(worker: Any, shards: Sequence[int]) -> Any:
            return worker.gradients.remote(self._token, sent, step, list(shards))

        partials: list[Partial] = self._gather(range(self._shards), ask, self._of_a_step)
        sums = {(partial.lo, partial.hi): partial for partial in partials}
        whole = combine_subtrees(sums, 0, self._shards, Partial.plus)
        assert whole is not None, "a mini-batch has at least one row"
        out.flat[...] = whole.gradient
        return whole.sums

    def evaluate(self, part: Part = "validation") -> Evaluation | None:
        """A part's sums and outputs."""
        if part not in self._gatherings:
            architecture = self.weights.architecture
            self._gatherings[part] = Gathering(self._rows[part], architecture.outputs, architecture.dtype)
        gathering, sent = self._gatherings[part], ray.put(self.weights.flat)

        def ask(worker: Any, blocks: Sequence[int]) -> Any:
            return worker.evaluate.remote(self._token, sent, part, list(blocks))

        answers: list[tuple[int, BatchSums, Array]] = self._gather(
            range(gathering.blocks), ask, self._of_an_evaluation[part]
        )
        for block, sums, outputs in answers:
            gathering.rows_of(block)[...] = outputs
            gathering.add(block, sums)
        return gathering.whole()

    def _gather(self, units: Sequence[int], ask: Callable[[Any, Sequence[int]], Any], patience: Patience) -> list[Any]:
        """Have every unit computed by somebody; what a worker that was lost was asked is asked of the rest."""
        gathered: list[Any] = []
        missing = list(units)
        while missing:
            if not self._gang:
                raise WorkersLost("no worker of the gang is alive")
            shares = zip(list(self._gang), _shares(missing, len(self._gang)), strict=True)
            asked = [(worker, share, ask(worker, share)) for worker, share in shares if share]
            missing = []
            answers = heard([call for _, _, call in asked], patience)
            for (worker, share, _), answer in zip(asked, answers, strict=True):
                if answer is None:
                    self._gang.remove(worker)
                    missing.extend(share)
                else:
                    gathered.extend(answer)
        return gathered


def _shares(units: Sequence[int], workers: int) -> list[Sequence[int]]:
    """Cut units into one run of neighbours for each worker, so that most are complete subtrees."""
    bounds = [len(units) * number // workers for number in range(workers + 1)]
    return [units[lo:hi] for lo, hi in pairwise(bounds)]
