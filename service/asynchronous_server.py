"""The parameter server of the asynchronous modes: each mini-batch's gradient is an update of its own, as it comes.

Workers take whole mini-batches, started in the epoch's order, and compute each with the weights as they are at that
time. An epoch is complete before the next one begins. What a lost worker had is given to another, so each mini-batch
is one update. Knows not who the workers are.
"""

from __future__ import annotations

import heapq
import math

from service.parameter_server import ParameterServer
from service.staleness import Reads
from workers.batches import Epoch, Step
from workers.mlp.architecture import Architecture
from workers.mlp.choices import Choice
from workers.mlp.optimizers import Optimizer
from workers.mlp.sums import BatchSums
from workers.transport.asynchronous_gang import Arrival, AsynchronousGang


class AsynchronousServer(ParameterServer):
    """Weights v, and a gradient at weights v − staleness → optimizer step → weights v + 1."""

    def __init__(
        self,
        architecture: Architecture,
        optimizer: Optimizer,
        gang: AsynchronousGang,
        seed: int,
        initializer: Choice = "glorot_uniform",
        *,
        steps: int,  # of an epoch
        observed: int,  # the mini-batch whose layers' figures are kept
        max_staleness: int | None = None,
    ) -> None:
        super().__init__(architecture, optimizer, gang, seed, initializer)
        self._gang = gang
        self._steps, self._observed = steps, observed
        self._reads = Reads(max_staleness)
        self._next = 0  # the mini-batch that is to start
        self._lost: list[int] = []  # those that are to start again, a heap
        self._arrived: list[Arrival] = []
        self._settling = False
        self._broken: Step | None = None  # the mini-batch whose sums are no numbers

    @property
    def settled(self) -> bool:
        """Whether the weights have every mini-batch that was started."""
        return not (self._reads or self._lost)

    def settle(self) -> None:
        """Start no other mini-batch until the weights have every one that was."""
        self._settling = True

    def step(self, step: Step, rate: float | None = None) -> BatchSums:
        """Do the update of the next gradient that may be used, whichever mini-batch's it is; answers its sums.

        `step` counts the epoch's updates; where the weights are settled, it is the mini-batch that starts next, too.
        """
        if self.settled:
            self._next, self._settling = step.number, False
        self._start(step.epoch)
        while (arrival := self._usable()) is None:
            self._hear()
            self._start(step.epoch)
        self._arrived.remove(arrival)
        self.staleness = self._reads.end(arrival.step.number, self.version)
        self._update(arrival.gradient, arrival.sums, rate, observe=arrival.step.observe)
        self._gang.release(arrival)
        if not math.isfinite(arrival.sums.loss):
            self._broken = arrival.step
        return arrival.sums

    def first_broken_layer(self, step: Step) -> int | None:
        """As of any parameter server; the mini-batch is the one that broke, with the weights as they are by now."""
        self._lost.clear()
        while len(self._reads) > len(self._arrived):
            self._hear()
        return super().first_broken_layer(self._broken or step)

    def _start(self, epoch: Epoch) -> None:
        """Keep the workers busy."""
        while (number := self._due()) is not None and self._reads.may_start(number):
            if not self._gang.start(Step(epoch, number, observe=number == self._observed)):
                return
            self._reads.start(number, self.version)
            if self._lost:
                heapq.heappop(self._lost)
            else:
                self._next += 1

    def _due(self) -> int | None:
        """The mini-batch that is to start next."""
        if self._lost:
            return self._lost[0]
        return None if self._settling or self._next == self._steps else self._next

    def _hear(self) -> None:
        for news in self._gang.wait():
            if isinstance(news, Arrival):
                self._arrived.append(news)
            else:
                self._reads.end(news.step.number, self.version)
                heapq.heappush(self._lost, news.step.number)

    def _usable(self) -> Arrival | None:
        """The first of those that came whose update lets all others be in time."""
        return next((one for one in self._arrived if self._reads.may_update(one.step.number, self.version)), None)
