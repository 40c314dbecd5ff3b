"""The transport of a job that may have several workers: the slots of the parameter server's own node, and other nodes.

Within the node everything lies in shared memory; another node is asked through Ray, and adds up the complete subtrees
that it holds. The tree over shards is fixed, so the bits do not show who served. A job goes on as long as its parameter
server lives: that computes, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from workers.batches import Step
from workers.datafiles import Part
from workers.evaluation import Evaluation, Gathering
from workers.mlp.parameters import Parameters
from workers.mlp.sums import BatchSums
from workers.place import Slot
from workers.shard_computer import Assignment, Partial
from workers.summation import combine_subtrees
from workers.transport.node_gang import NodeGang, shares
from workers.transport.ray_nodes import RayNodes
from workers.transport.tasks import Task

START_S = 2.0  # how long the first step waits for the workers of its node


class Gang:
    """Serves one job under the lease `token`; `slots[0]` is this process's own.

    Workers that are to be `apart` need not compute with the same weights: each has a copy of its own.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        token: str,
        assignment: Assignment,
        fingerprint: dict[str, str],
        *,
        apart: bool = False,
    ) -> None:
        self._shards = assignment.shards
        self._apart = apart
        self._gatherings: dict[Part, Gathering] = {}
        near, *far = by_node(slots, apart=apart)
        self._near = NodeGang(near, token, assignment, fingerprint, apart=apart)
        self._far = RayNodes(far, token, assignment, fingerprint)
        self._near.admit(START_S)
        self.weights = self._near.weights
        self.most_workers = self.workers

    @property
    def workers(self) -> int:
        """How many compute."""
        return self._near.workers + self._far.workers

    def change(self, slots: Sequence[Slot]) -> None:
        """Be served by these slots from now on; who is new joins when it is ready, and nothing waits for that."""
        near, *far = by_node(slots, apart=self._apart)
        self._near.change(near)
        self._far.change(far)

    def gradient(self, step: Step, out: Parameters) -> BatchSums:
        """Sum one mini-batch's gradients into `out`."""
        task = self._near.summing(step, out)
        self._do(task, range(self._shards))
        sums = {(partial.lo, partial.hi): partial for partial in task.partials}
        whole = combine_subtrees(sums, 0, self._shards, Partial.plus)
        assert whole is not None, "a mini-batch has at least one row"
        if whole.gradient is not out.flat:  # the first shards have no row, or this process did not compute them
            out.flat[...] = whole.gradient
        return whole.sums

    def evaluate(self, part: Part = "validation") -> Evaluation | None:
        """A part's sums and outputs."""
        if part not in self._gatherings:
            self._gatherings[part] = self._near.gathering(part)
        gathering = self._gatherings[part]
        self._do(self._near.evaluating(part, gathering), range(gathering.blocks))
        return gathering.whole()

    def close(self) -> None:
        """Let all go."""
        self._near.close()
        self._far.close()

    def _do(self, task: Task, units: Sequence[int]) -> None:
        """Have every unit computed, once; what a node that was lost owed is spread over the rest."""
        self._far.admit()
        while units:
            mine, *theirs = shares(units, [self._near.workers, *self._far.counts])
            asked = self._far.ask(task, self.weights, theirs)
            self._near.do(task, mine)
            units = self._far.hear(asked, task)
        self.most_workers = max(self.most_workers, self.workers)


def by_node(slots: Sequence[Slot], *, apart: bool = False) -> list[list[Slot]]:
    """The slots of each node, the first slot's node first; a slot that serves no gang of its node is one by itself.

    Of other nodes' slots that are to be `apart`, each is one by itself.
    """
    nodes: dict[str, list[Slot]] = {}
    for number, slot in enumerate(slots):
        alone = number > 0 and (not slot.address or (apart and slot.node != slots[0].node))
        nodes.setdefault(slot.name if alone else slot.node, []).append(slot)
    return list(nodes.values())
