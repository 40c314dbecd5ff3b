"""For whom slots are held, and who makes room for more important jobs."""

from __future__ import annotations

from service.gang_size import GangSize
from service.jobs import Lease
from service.line import Line, Running, preempted
from service.placement import Served
from service.queue import WaitingJob
from workers.place import Slot


def waiting(job_id: str, least: int = 1, priority: int = 0) -> WaitingJob:
    return WaitingJob(job_id, priority, least, least)


def running(name: str, generation: int, priority: int, slots: int = 1, least: int | None = None) -> Running:
    gang = [Slot(f"{name}-{number}", "node") for number in range(slots)]
    return Running(Served(Lease(name, f"{generation}-0"), GangSize(least or slots, slots), gang), priority)


def test_slots_are_held_for_the_first_in_line_once_it_has_waited_long_enough() -> None:
    now = [0.0]
    line = Line(10.0, 1.0, clock=lambda: now[0])

    def seen() -> tuple[str | None, bool]:
        held = line.held
        return held.job_id if held else None, line.preempting is not None

    wide, small = waiting("wide", 4), waiting("small")
    line.look([wide, small])
    assert seen() == (None, False)
    now[0] = 1.0
    line.look([wide, small])
    assert seen() == (None, True)
    now[0] = 10.0
    line.look([wide, small])
    assert seen() == ("wide", True)
    line.look([waiting("new"), wide, small])
    assert seen() == (None, False)
    line.take("wide")  # it is held for while others come and go before it
    line.look([waiting("newest"), wide, small])
    assert seen() == ("wide", True)
    line.look([waiting("newest"), small])
    line.look([waiting("newest"), wide, small])
    assert seen() == (None, False)  # it has been away
    line.look([small])
    assert seen() == ("small", True)  # it has waited as long as the first did
    line.look([wide])
    assert seen() == (None, False)  # it has been away
    line.look([])
    assert seen() == (None, False)


def test_the_least_important_and_youngest_make_room_and_no_more_than_needed() -> None:
    jobs = [running("old", 1, 0), running("young", 2, 0), running("least", 1, -1), running("equal", 3, 5)]
    chosen = preempted(waiting("urgent", 2, 5), jobs, 0)
    assert [lease.job_id for lease in chosen] == ["least", "young"]
    assert preempted(waiting("urgent", 1, 5), jobs, 1) == []


def test_what_others_can_do_without_is_counted() -> None:
    jobs = [running("equal", 1, 5, 3, least=1), running("below", 2, 0, 1)]
    assert [lease.job_id for lease in preempted(waiting("urgent", 3, 5), jobs, 0)] == ["below"]
    assert preempted(waiting("urgent", 2, 5), jobs, 0) == []  # it need not
    assert preempted(waiting("urgent", 4, 5), jobs, 0) == []  # it would not be enough
    grown = [running("grown", 1, 0, 4, least=1), running("other", 2, 0, 1)]
    assert preempted(waiting("urgent", 3, 5), grown, 0) == []  # who shrinks need not leave


def test_nobody_makes_room_where_it_would_not_be_enough_or_nobody_is_less_important() -> None:
    jobs = [running("a", 1, 0, 2), running("b", 2, 1, 4)]
    assert preempted(waiting("urgent", 3, 1), jobs, 0) == []
    assert preempted(waiting("equal", 1, 0), jobs, 0) == []
    assert [lease.job_id for lease in preempted(waiting("urgent", 3, 1), jobs, 1)] == ["a"]
