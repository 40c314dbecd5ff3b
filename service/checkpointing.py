"""When one attempt at a job writes its checkpoints, and which of their files may go.

A step waits for a copy; a thread writes it, and the beat records it, so that training goes on while the disk is slow
and while Redis is away. Knows neither Redis nor what a checkpoint holds.
"""

from __future__ import annotations

import time
from contextlib import suppress
from types import TracebackType
from typing import Any

from service.artifacts import Artifacts
from service.beat import Beat
from service.checkpoints import Checkpoint, CheckpointLost, Snapshot, read_checkpoint
from service.errors import StoreUnavailable
from service.jobs import CheckpointRef, Lease
from service.snapshot_writer import SnapshotWriter
from service.training import Training


class Checkpointing:
    """The checkpoints of one attempt, as a context; `newest` is on record, or will be at once.

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
        self._without_room = False
        self._writer = SnapshotWriter(self._write, f"checkpoints-{lease.job_id}")

    def __enter__(self) -> Checkpointing:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)

    @property
    def due(self) -> bool:
        """Whether the last one is old enough."""
        return time.monotonic() - self._since >= self._every_s

    def read(self, reference: CheckpointRef) -> Checkpoint:
        """Read a checkpoint.

        Raises: CheckpointLost, also when other kernels wrote it: the bits would belong to neither.
        """
        if reference.fingerprint != self._fingerprint:
            raise CheckpointLost("The checkpoint was written with other numeric kernels than this worker's")
        return read_checkpoint(reference, self._artifacts)

    def begin(self) -> None:
        """Training begins now: the next one is due a while from here."""
        self._since = time.monotonic()

    def check(self) -> None:
        """Return while checkpoints can be written, or the artifact store alone is in their way.

        Raises: what else is.
        """
        self._writer.check()

    def save(self, training: Training) -> None:
        """Copy the training as it stands, and have it written and recorded.

        Where that fails training goes on; the job's log says so when it begins to fail, and when it works again.

        Raises: as `check`.
        """
        training.count_seconds()
        self._writer.take(training)
        self._since = time.monotonic()

    def flush(self) -> None:
        """Wait until what was saved is on disk, for the beat to record.

        Raises: as `check`.
        """
        self._writer.flush()

    def sweep(self) -> None:
        """Delete the files of those that are on record no more."""
        while self._beat.superseded:
            self._discard(self._beat.superseded.popleft())

    def forget(self) -> None:
        """Delete the newest one's file: the record no longer names it."""
        if self.newest is not None:
            self._discard(self.newest)
            self.newest = None

    def _write(self, snapshot: Snapshot) -> None:
        try:
            self._artifacts.check_room()
            self.newest = snapshot.write(self._lease, self._artifacts, self._fingerprint)
        except StoreUnavailable as full:
            if not self._without_room:
                since = f"No checkpoint at step {snapshot.step}, nor later while this lasts"
                self._beat.add_line("warning", f"{since}: {full.detail}")
            self._without_room = True
            return
        if self._without_room:
            self._beat.add_line("info", f"Checkpoints are written again, from step {snapshot.step}.")
        self._without_room = False
        replaced = self._beat.add_checkpoint(self.newest)
        if replaced is not None:
            self._discard(replaced)
        self.sweep()

    def _discard(self, reference: CheckpointRef) -> None:
        with suppress(StoreUnavailable):  # it is swept with the other leftovers
            self._artifacts.delete(reference.path)
