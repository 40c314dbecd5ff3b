"""The transport over Ray: parameters go out as one object, each worker answers with the sums of complete subtrees.

A worker that dies is left behind within the step: its shards are computed by the others, and since the fixed tree
is over shard numbers the bits do not show who computed what.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError

from workers.gradient_worker import Assignment, Partial
from workers.mlp.parameters import Parameters
from workers.mlp.sums import BatchSums
from workers.summation import combine, combine_subtrees
from workers.transport.base import WorkersLost

FIRST_PATIENCE_S = 600.0  # for the first answer, of which nothing is known yet
LEAST_PATIENCE_S = 10.0
PATIENCE_FACTOR = 20.0


def connect(names: Sequence[str], token: str, assignment: Assignment, fingerprint: dict[str, str]) -> RayTransport:
    """Prepare the named workers for the job under `token`; those that are dead or compute with other kernels stay out.

    Raises: WorkersLost when none is left.
    """
    asked = [(worker, worker.prepare.remote(token, assignment)) for name in names for worker in _find(name)]
    gang, blocks = [], 0
    for worker, answer in asked:
        try:
            kernels, blocks = ray.get(answer, timeout=FIRST_PATIENCE_S)
        except (RayActorError, GetTimeoutError):
            continue
        if kernels == fingerprint:
            gang.append(worker)
    if not gang:
        raise WorkersLost(f"none of the workers {', '.join(names)} can serve the job")
    return RayTransport(gang, token, assignment.shards, blocks)


def _find(name: str) -> list[Any]:
    try:
        return [ray.get_actor(name)]
    except ValueError:  # it died and its name is free
        return []


class RayTransport:
    """Asks a gang of `GradientWorker` actors, all prepared for the job under `token`."""

    def __init__(self, gang: Sequence[Any], token: str, shards: int, blocks: int) -> None:
        self._gang = list(gang)
        self._token = token
        self._shards = shards
        self._blocks = blocks
        self._patience_s = FIRST_PATIENCE_S

    @property
    def workers(self) -> int:
        """How many workers are alive."""
        return len(self._gang)

    def gradient(self, parameters: Parameters, epoch: int, step: int, out: Parameters) -> BatchSums:
        """Sum one mini-batch's gradients into `out`."""
        sent = ray.put(parameters.flat)

        def ask(worker: Any, shards: Sequence[int]) -> Any:
            return worker.gradients.remote(self._token, sent, epoch, step, list(shards))

        partials: list[Partial] = self._gather(range(self._shards), ask)
        sums = {(partial.lo, partial.hi): partial for partial in partials}
        whole = combine_subtrees(sums, 0, self._shards, Partial.plus)
        assert whole is not None, "a mini-batch has at least one row"
        out.flat[...] = whole.gradient
        return whole.sums

    def evaluate(self, parameters: Parameters) -> BatchSums | None:
        """The validation part's sums."""
        sent = ray.put(parameters.flat)

        def ask(worker: Any, blocks: Sequence[int]) -> Any:
            return worker.evaluate.remote(self._token, sent, list(blocks))

        answers: list[tuple[int, BatchSums]] = self._gather(range(self._blocks), ask)
        return combine(dict(answers), 0, self._blocks, BatchSums.plus)

    def _gather(self, units: Sequence[int], ask: Callable[[Any, Sequence[int]], Any]) -> list[Any]:
        """Have every unit computed by somebody; what a worker that died was asked is asked of the rest."""
        answers: list[Any] = []
        missing = list(units)
        started = time.monotonic()
        while missing:
            if not self._gang:
                raise WorkersLost("no worker of the gang is alive")
            shares = zip(list(self._gang), _shares(missing, len(self._gang)), strict=True)
            asked = [(worker, share, ask(worker, share)) for worker, share in shares if share]
            missing = []
            deadline = time.monotonic() + self._patience_s
            for worker, share, answer in asked:
                try:
                    left_s = deadline - time.monotonic()  # none where this process itself was stopped meanwhile
                    answers.extend(ray.get(answer, timeout=max(1.0, left_s)))
                except (RayActorError, GetTimeoutError):
                    ray.kill(worker)  # one that is stopped, not dead, must not wake into a later step
                    self._gang.remove(worker)
                    missing.extend(share)
        self._learn_patience(time.monotonic() - started)
        return answers

    def _learn_patience(self, took_s: float) -> None:
        """Wait for no answer much longer than for those before it."""
        usual = max(LEAST_PATIENCE_S, PATIENCE_FACTOR * took_s)
        self._patience_s = usual if self._patience_s == FIRST_PATIENCE_S else max(self._patience_s, usual)


def _shares(units: Sequence[int], workers: int) -> list[Sequence[int]]:
    """Cut units into one run of neighbours for each worker, so that most are complete subtrees."""
    bounds = [len(units) * number // workers for number in range(workers + 1)]
    return [units[lo:hi] for lo, hi in pairwise(bounds)]
