"""Which transport a job gets. Knows not what comes over it."""

from __future__ import annotations

from collections.abc import Sequence

from workers.place import Slot
from workers.shard_computer import Assignment, ShardComputer
from workers.transport.asynchronous_gang import AsynchronousGang
from workers.transport.base import Transport
from workers.transport.gang import Gang
from workers.transport.local import LocalTransport


def connect(
    slots: Sequence[Slot], token: str, assignment: Assignment, fingerprint: dict[str, str], asynchronous: bool
) -> Transport:
    """A job's transport to these slots, the first of them this process's own; for the asynchronous modes where asked.

    One shard is computed here, and nothing is exchanged.
    """
    if asynchronous:
        return AsynchronousGang(slots, token, assignment, fingerprint)
    if assignment.shards == 1:
        return LocalTransport(ShardComputer(assignment))
    return Gang(slots, token, assignment, fingerprint)
