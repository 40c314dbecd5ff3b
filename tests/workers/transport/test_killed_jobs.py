"""Jobs whose workers are killed at random moments, by a seed: they have one worker's bits, and nothing of them is left.

Nor is anything left of a job that is killed with all its workers.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from itertools import product
from pathlib import Path

import pytest

from tests.service.families import until
from tests.worker_process import Workers
from tests.workers.transport.holdings import blocks_of, connections_of, holders_of, named_memory_of
from tests.workers.transport.made_job import Normalization, assignment_in, train
from workers.mlp.optimizers import OPTIMIZERS
from workers.shard_computer import ShardComputer
from workers.transport.gang import Gang
from workers.transport.local import LocalTransport

NORMALIZATIONS: tuple[tuple[Normalization, Normalization], ...] = (
    ("batch", "layer"),
    ("layer", "batch"),
    ("batch", "none"),
    ("none", "layer"),
)
KINDS = list(product(NORMALIZATIONS, OPTIMIZERS))
STEPS, KILLS, CHANGES = 120, 2, 8
LATER_S = 0.02  # some steps long


def seeds(check: int, chaos: int) -> list[object]:
    """The first of them in every run, the others in the long one."""
    return [*range(check), *(pytest.param(seed, marks=pytest.mark.chaos) for seed in range(check, check + chaos))]


class Storm:
    """What happens to a job's workers, before its steps and within them."""

    def __init__(self, workers: Workers, gang: Gang, chance: random.Random) -> None:
        self._workers, self._gang, self._chance = workers, gang, chance
        events = chance.sample(range(STEPS), KILLS + CHANGES)
        self._kills_at, self._changes_at = events[:KILLS], events[KILLS:]
        self._kills: list[threading.Timer] = []
        self.gang_sizes: set[int] = set()

    def __call__(self, number: int) -> None:
        self.gang_sizes.add(self._gang.workers)
        if number in self._kills_at:
            self._gang.change(self._workers.slots(3))
            victim = self._chance.choice(self._workers.take(2))
            kill = threading.Timer(self._chance.uniform(0, LATER_S), victim.send, [signal.SIGKILL])
            kill.start()
            self._kills.append(kill)
        elif number in self._changes_at:
            self._gang.change(self._workers.slots(self._chance.randint(1, 3)))

    def end(self) -> None:
        """Wait for what is still to come."""
        for kill in self._kills:
            kill.join()


def trained_in_a_storm(workers: Workers, folder: Path, seed: int) -> tuple[set[int], set[int]]:
    """Train a job to one worker's bits; answers its blocks of memory, and how many computed at a time."""
    normalizations, optimizer = KINDS[seed % len(KINDS)]
    assignment = assignment_in(folder, normalizations=normalizations)
    undisturbed = train(LocalTransport(ShardComputer(assignment)), assignment, STEPS, optimizer=optimizer)
    gang = workers.gang(assignment, 3)
    blocks = {block for pid in (os.getpid(), *workers.pids) for block in blocks_of(pid)}
    storm = Storm(workers, gang, random.Random(seed))
    assert train(gang, assignment, STEPS, storm, optimizer) == undisturbed
    storm.end()
    return blocks, storm.gang_sizes


@pytest.mark.parametrize("seed", seeds(10, 100))
def test_kills_and_changes_leave_no_trace_in_the_bits_or_behind(workers: Workers, made_rows: Path, seed: int) -> None:
    workers.close()  # what an earlier test had
    held, connected, named = blocks_of(), connections_of(), named_memory_of()
    blocks, gang_sizes = trained_in_a_storm(workers, made_rows, seed)
    assert 3 in gang_sizes
    assert gang_sizes & {1, 2}
    assert blocks - held
    assert not [line for pid in workers.pids for line in named_memory_of(pid)]
    workers.close()
    until(lambda: not holders_of(blocks - held), "nobody holds a block of the job")
    assert named_memory_of() == named
    assert sorted(connections_of()) == sorted(connected)


@pytest.mark.parametrize("seed", seeds(1, 9))
def test_nothing_is_left_where_all_are_killed(made_rows: Path, seed: int) -> None:
    command = [sys.executable, "-m", "tests.workers.transport.job_process", str(made_rows)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        pids = [job.pid, *map(int, job.stdout.readline().split())]
        assert len(pids) == 3
        blocks = {block for pid in pids for block in blocks_of(pid)}
        assert len(blocks) == 3, "the weights, and what each worker writes"
        assert not [line for pid in pids for line in named_memory_of(pid)]
        chance = random.Random(seed)
        chance.shuffle(pids)
        for pid in pids:
            time.sleep(chance.uniform(0, LATER_S))  # the killer's own rhythm; nothing is waited for
            os.kill(pid, signal.SIGKILL)
    until(lambda: not holders_of(blocks), "nobody holds a block of the job")
