"""A population: trainings that go on together in one process, until each has its end.

Each is its own job's, with its own state, observer, checkpoints and end; what is computed is computed for all at once
(`service.stack`). Members join and leave between two steps, and no bit of any depends on who else is there. Knows
neither Redis nor leases: what is to be recorded is its members' observers'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from service.fusing import MOST_MEMBERS
from service.stack import Stack, release
from service.training import Observer, Training
from workers.evaluation import Evaluation


@dataclass(eq=False)
class Member:
    """A training in a population. `error` is why it left before its end.

    What its observer raises ends this member's part, and that of no other.
    """

    training: Training
    observer: Observer
    error: Exception | None = None


class Population:
    """Trains its members in lockstep: at the same step of their epochs, which may be different ones.

    A member that stands at another step waits until the others get there; who comes first begins at the earliest.
    """

    def __init__(self, members: Iterable[Member]) -> None:
        """Raises: ValueError when there are more than MOST_MEMBERS."""
        self._waiting: list[Member] = []
        self._members: list[Member] = []
        self._gone: list[Member] = []
        self._stack: Stack | None = None
        for member in members:
            self.join(member)

    @property
    def members(self) -> Sequence[Member]:
        """Those that have not left, in the order in which they came."""
        return (*self._members, *self._waiting)

    def join(self, member: Member) -> None:
        """Take in one more, from between two of the next steps on; its training stands where it began or was put back.

        Raises: ValueError when there are more than MOST_MEMBERS.
        """
        if len(self.members) == MOST_MEMBERS:
            raise ValueError(f"members: {MOST_MEMBERS + 1}; allowed: {MOST_MEMBERS}")
        self._waiting.append(member)

    def run(self) -> Iterator[Sequence[Member]]:
        """Train all to their ends; yields those that leave together, the others standing between two steps meanwhile.

        Each is then a training by itself, which has come to its end, or can go on alone or in another population; where
        it was told to leave, or diverged, `error` says so.
        Raises: ValueError where members cannot be computed together.
        """
        while self.members:
            self._admit()
            if not self._gone:
                self._advance()
            gone, self._gone = self._gone, []
            if gone:
                self._part_with(gone)
                yield gone

    def _admit(self) -> None:
        """Take in those that wait at the step where the others are."""
        if not self._waiting:
            return
        here = min(map(_step_of, self._members or self._waiting))
        joining = [member for member in self._waiting if _step_of(member) == here]
        if not joining:
            return
        self._waiting = [member for member in self._waiting if member not in joining]
        self._members += joining
        for member in joining:
            member.training.start_clocks()
        self._gone = [member for member in joining if member.training.over]
        self._stack_anew()

    def _advance(self) -> None:
        assert self._stack is not None
        here = self._members[0].training
        if here.state.step < here.steps:
            self._step(self._stack)
        else:
            self._close_epoch(self._stack)

    def _step(self, stack: Stack) -> None:
        for member, sums in zip(self._members, stack.step(), strict=True):
            self._have(member, member.training.take_step, sums)
        for member in self._members:
            self._have(member, member.observer.after_step)

    def _close_epoch(self, stack: Stack) -> None:
        rows: dict[Member, dict[str, Any]] = {}

        def report(member: Member, evaluation: Evaluation | None) -> None:
            rows[member] = member.training.close_epoch(evaluation)
            member.observer.after_epoch(rows[member])

        for member, evaluation in zip(self._members, stack.evaluate(), strict=True):
            self._have(member, report, member, evaluation)
        for member, row in rows.items():
            self._have(member, member.training.heed, member.observer, row)
        for member in self._members:
            self._have(member, member.observer.after_reports)
            if member.training.over and member not in self._gone:
                self._gone.append(member)

    def _have(self, member: Member, do: Callable[..., None], *arguments: Any) -> None:
        """Do something with a member, unless it is gone; what this raises is why it goes."""
        if self._gone and member in self._gone:
            return
        try:
            do(*arguments)
        except Exception as error:
            member.error = error
            self._gone.append(member)

    def _part_with(self, gone: Sequence[Member]) -> None:
        self._members = [member for member in self._members if member not in gone]
        for member in gone:
            release(member.training)
            member.training.count_seconds()
        self._stack_anew()

    def _stack_anew(self) -> None:
        trainings = [member.training for member in self._members if member not in self._gone]
        self._stack = Stack(trainings) if trainings else None


def _step_of(member: Member) -> int:
    return member.training.state.step
