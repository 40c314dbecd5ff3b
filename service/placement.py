"""Which slots a job gets: at its start, when some are idle, and when others wait for what it can do without.

Pure: what is running, what is free and what waits come in, and the slots that are to serve go out. A job grows only
while nobody waits, and shrinks only for one that then starts, so that no slot goes to and fro. Knows neither Ray nor
Redis.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from service.gang_size import GangSize
from service.jobs import Lease
from workers.place import Slot


@dataclass(frozen=True)
class Served:
    """A running job, and the slots that serve it; the first one is on its runner's node."""

    lease: Lease
    size: GangSize
    slots: Sequence[Slot]

    @property
    def spare(self) -> int:
        """How many it can give up."""
        return max(0, len(self.slots) - self.size.least)


Change = tuple[Lease, list[Slot]]  # a job, and what is to serve it from now on


def first_slots(size: GangSize, free: Sequence[Slot]) -> list[Slot]:
    """What a job that starts is given: on the node where it is fastest, of those the one that has least to spare."""
    nodes = _by_node(free)
    gangs = [best_slots(size, slots, free) for slots in nodes.values()]
    return min(gangs, key=lambda gang: (_step_s(size, gang), -_near(gang), len(nodes[gang[0].node])))


def best_slots(size: GangSize, own: Sequence[Slot], available: Iterable[Slot]) -> list[Slot]:
    """The fastest gang around the first of its `own` slots, which it always has, of these and what else there is."""
    first = own[0]
    others = [slot for slot in dict.fromkeys([*own[1:], *available]) if slot.name != first.name]
    nodes = _by_node(others)
    near = [first, *nodes.pop(first.node, [])]
    far = [slot for slots in sorted(nodes.values(), key=len, reverse=True) for slot in slots]
    total = len(near) + len(far)
    counts = range(min(size.least, total), min(size.most, total) + 1)
    return min((_first_of(near, far, count) for count in counts), key=lambda gang: _step_s(size, gang))


def regain(jobs: Iterable[Served], free: Sequence[Slot]) -> list[Change]:
    """Bring jobs that lost workers back to their least, before others start."""
    lacking = [job for job in jobs if len(job.slots) < job.size.least]
    return _enlarge([replace(job, size=replace(job.size, most=job.size.least)) for job in lacking], free)


def grow(jobs: Iterable[Served], free: Sequence[Slot]) -> list[Change]:
    """Give the idle slots to jobs that they make faster, those with the fewest first, each its share."""
    growing = [job for job in jobs if len(job.slots) < job.size.most]
    return _enlarge(sorted(growing, key=lambda job: len(job.slots)), free)


def give_up(jobs: Iterable[Served], free: int, waiting: Sequence[int]) -> list[Change]:
    """Take from running jobs, down to their least, what lets waiting ones start.

    `free` counts what is free or soon will be; `waiting` has the slots that each waiting job needs, in their order.
    """
    slots = {job.lease: list(job.slots) for job in jobs}
    spare = {job.lease: job.spare for job in jobs}
    missing = _needed(waiting, free + sum(spare.values())) - free
    giving = set()
    for _ in range(missing):
        lease = max(spare, key=spare.__getitem__)
        spare[lease] -= 1
        slots[lease].remove(_least_of_use(slots[lease]))
        giving.add(lease)
    return [(lease, slots[lease]) for lease in slots if lease in giving]


def _needed(waiting: Sequence[int], most: int) -> int:
    """How many slots those take, in their order, that can start within so many; who needs more is passed by."""
    taken = 0
    for least in waiting:
        if taken + least <= most:
            taken += least
    return taken


def _enlarge(jobs: Sequence[Served], free: Sequence[Slot]) -> list[Change]:
    left, changes = list(free), []
    for number, job in enumerate(jobs):
        share = -(-len(left) // (len(jobs) - number))
        size = replace(job.size, most=min(job.size.most, len(job.slots) + share))
        gang = best_slots(size, job.slots, left)
        regained = len(job.slots) < min(size.least, len(gang))
        if regained or _step_s(size, gang) < _step_s(size, job.slots):
            changes.append((job.lease, gang))
            left = [slot for slot in left if slot not in gang]
    return changes


def _step_s(size: GangSize, gang: Sequence[Slot]) -> float:
    return size.step_s(_near(gang), len(gang) - _near(gang))


def _near(gang: Sequence[Slot]) -> int:
    """How many are on the runner's node."""
    return sum(slot.node == gang[0].node for slot in gang)


def _first_of(near: Sequence[Slot], far: Sequence[Slot], count: int) -> list[Slot]:
    return [*near[:count], *far[: max(0, count - len(near))]]


def _least_of_use(gang: Sequence[Slot]) -> Slot:
    """The one to give up: of another node where there is one, never the runner's own."""
    far = [slot for slot in gang if slot.node != gang[0].node]
    return (far or gang)[-1]


def _by_node(slots: Iterable[Slot]) -> dict[str, list[Slot]]:
    nodes: dict[str, list[Slot]] = {}
    for slot in slots:
        nodes.setdefault(slot.node, []).append(slot)
    return nodes
