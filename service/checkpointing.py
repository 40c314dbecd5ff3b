"""When one attempt at a job writes its checkpoints, and which of their files may go.

A file is written on the path of the step before it; it is the beat that records it, so that training goes on while
Redis is away. Knows neither Redis nor what a checkpoint holds.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from service.artifacts import Artifacts
from service.beat import Beat
from service.checkpoints import Checkpoint, CheckpointLost, read_checkpoint, save_checkpoint
from service.errors import StoreUnavailable
from service.jobs import CheckpointRef, Lease
from service.training import Training


class Checkpointing:
    """The checkpoints of one attempt; `newest` is on record, or will be with the next beat.

    Units: `every_s` in seconds, from the start of training and from each checkpoint.
    """

    def __init__(
        self,
        artifacts: Artifacts,
        beat: Beat,
        lease: Lease,
        fingerprint: dict[str, Any],
        every_s: float,
        newest: CheckpointRef | None,
    ) -> None:
        self.newest = newest
        self._artifacts = artifacts
        self._beat = beat
        self._lease = lease
        self._fingerprint = fingerprint
        self._every_s = every_s
        self._since = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether the last one is old enough."""
        return time.monotonic() - self._since >= self._every_s

    def read(self) -> Checkpoint | None:
        """The newest checkpoint, if there is one.

        Raises: CheckpointLost, also when other kernels wrote it: the bits would belong to neither.
        """
        if self.newest is None:
            return None
        if self.newest.fingerprint != self._fingerprint:
            raise CheckpointLost("The checkpoint was written with other numeric kernels than this worker's")
        return read_checkpoint(self.newest, self._artifacts)

    def begin(self) -> None:
        """Training begins now: the next one is due a while from here."""
        self._since = time.monotonic()

    def save(self, training: Training) -> None:
        """Write a checkpoint and have it recorded.

        Raises: StoreUnavailable when the artifact store cannot take it; the next one is due as if it had.
        """
        training.count_seconds()
        try:
            written = save_checkpoint(training, self._lease, self._artifacts, self._fingerprint)
        finally:
            self._since = time.monotonic()
        if written == self.newest:
            return
        self.newest = written
        replaced = self._beat.add_checkpoint(self.newest)
        if replaced is not None:
            self._discard(replaced)
        self.sweep()

    def sweep(self) -> None:
        """Delete the files of those that are on record no more."""
        while self._beat.superseded:
            self._discard(self._beat.superseded.popleft())

    def forget(self) -> None:
        """Delete the newest one's file: the record no longer names it."""
        if self.newest is not None:
            self._discard(self.newest)
            self.newest = None

    def _discard(self, reference: CheckpointRef) -> None:
        with suppress(StoreUnavailable):  # it is swept with the other leftovers
            self._artifacts.delete(reference.path)
