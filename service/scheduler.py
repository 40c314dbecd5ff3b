"""The scheduler: a reconcile loop between what Redis says should run and what runs on Ray.

It keeps nothing that is not in Redis or in the actors themselves: killed and started again, it finds its actors by
name and asks them what they serve. One scheduler leads; another waits until the leader's beat stands still. Knows no
mathematics and no HTTP.
"""

from __future__ import annotations

import math
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import FrameType

import ray
import structlog

from service import placement
from service.errors import LeaseLost, StoreUnavailable
from service.fusing import MOST_MEMBERS
from service.jobs import Lease
from service.lease_watch import LeaseWatch
from service.line import Line, Running, preempted
from service.placement import Served
from service.pool import Pool
from service.queue import ClaimedJob, Queue, RunningJob
from service.settings import Settings
from service.store import Store
from service.work import Work
from workers.place import Slot

log = structlog.get_logger()

NAMESPACE = "deltaq"
LEAD_S = 3.0  # how long a leader's beat must stand still before another may lead
LEAD_BEAT_S = 0.5  # how often a leader says that it leads; its epoch is compared with each step anyway
TICK_S = 0.5  # how long to sleep when nothing wakes the loop: deaths of idle actors are noticed in this time
SOON_S = 0.05  # the same while a job is giving up slots, which wakes nobody
INNOCENT_S = 15.0  # after Redis was away, a runner's death says nothing about its job
CONNECT_S = 60.0  # a wrong token or address makes Ray try for ever
PUBLISH_S = 1.0


class Woken(BaseException):
    """A signal ends the wait for work; a BaseException, so that nothing on the way takes it for an error of its own."""


class Scheduler:
    """Leads, or waits to lead. Nothing connects at construction."""

    def __init__(self, settings: Settings, queue: Queue, make_pool: Callable[[Settings, int], Pool] = Pool) -> None:
        self._settings = settings
        self._queue = queue
        self._make_pool = make_pool
        self.waiting = False  # nothing is half done: it may be interrupted
        self._token = secrets.token_hex(16)
        self._claim_token = secrets.token_hex(16)
        self._watch = LeaseWatch(settings.lease_s)
        self._line = Line(settings.reserve_s, settings.preempt_s)
        self._leaving: set[Lease] = set()  # running jobs that were asked to make room
        self._redis_away = -math.inf  # when Redis was last seen not to answer, on the monotonic clock
        self._due_s = TICK_S  # until the time of the next job that waits for its time
        self._epoch: int | None = None
        self._led = -math.inf  # when it last said so, on the monotonic clock
        self.pool: Pool | None = None
        self._published = 0.0

    def tick(self) -> None:
        """One look at everything; sleeps until there is something to do, or a little while.

        Raises: StoreUnavailable.
        """
        try:
            self._look()
        except StoreUnavailable:
            self._redis_away = time.monotonic()
            raise

    def _look(self) -> None:
        epoch = self._lead()
        if epoch is None:
            self._epoch = self.pool = None
            time.sleep(TICK_S / 2)
            return
        if epoch != self._epoch or self.pool is None:
            log.info("leading", epoch=epoch)
            self._epoch, self.pool = epoch, self._make_pool(self._settings, epoch)
        try:
            self._reconcile(self.pool, epoch)
        except LeaseLost as lost:
            log.warning("no longer leading", detail=lost.detail)
            self._epoch = self.pool = None
            self._led = -math.inf
            return
        self.waiting = True
        try:
            self._queue.wait_for_work(SOON_S if self.pool.returning else min(TICK_S, self._due_s))
        finally:
            self.waiting = False

    def _lead(self) -> int | None:
        if self._epoch is None or time.monotonic() - self._led >= LEAD_BEAT_S:
            self._led = time.monotonic()
            return self._queue.lead(self._token, LEAD_S)
        return self._epoch

    def stop(self) -> None:
        """Have running jobs go back into the queue with a checkpoint, and give up the lead."""
        if self.pool is not None:
            self.pool.drain(self._settings.drain_s)
            self._queue.resign(self._token)

    def _reconcile(self, pool: Pool, epoch: int) -> None:
        pool.refresh()
        due_s = self._queue.promote(epoch)
        self._due_s = TICK_S if due_s is None else due_s
        running = {entry.lease: entry for entry in self._queue.running()}
        if any(running.keys().isdisjoint(runner.leases) for runner in pool.busy):
            pool.refresh(wait_s=0.2)  # a job has ended: its runner is free in a moment
        if pool.settled:
            self._change(pool, placement.regain(_served(pool, running), pool.free()))
            self._claim(pool, epoch)  # first: a claim whose answer was lost is given its runner, not taken back
            self._rescue(pool, epoch, running.values())
            self._balance(pool, running)
        self._publish(pool, epoch)

    def _balance(self, pool: Pool, running: Mapping[Lease, RunningJob]) -> None:
        """Have running jobs make room for those that wait, or else take what is idle."""
        waiting = self._queue.waiting(pool.capacity)  # the others wait for a larger cluster
        pool.want(sum(job.most for job in waiting) + sum(_most_slots(running.values())))
        self._line.look([job for job in waiting if job.least <= pool.standing])
        self._leaving &= running.keys()
        jobs, free = _served(pool, running), pool.free()
        if not waiting:
            self._change(pool, placement.grow(jobs, free))
            return
        coming = len(free) + pool.returning + sum(len(job.slots) for job in jobs if job.lease in self._leaving)
        staying = [job for job in jobs if job.lease not in self._leaving]
        coming += self._preempt(pool, running, staying, coming)
        staying = [job for job in staying if job.lease not in self._leaving]
        held = self._line.held
        self._change(pool, placement.give_up(staying, coming, [job.least for job in ([held] if held else waiting)]))

    def _preempt(self, pool: Pool, running: Mapping[Lease, RunningJob], jobs: Sequence[Served], coming: int) -> int:
        """Send jobs of lower priority back into the queue where that lets another start; answers what they leave."""
        job = self._line.preempting
        if job is None:
            return 0
        others = [
            Running(one, _priority(pool, running, one.lease)) for one in jobs if _goes_on(pool, running, one.lease)
        ]
        leaving = preempted(job, others, coming)
        for lease in leaving:
            log.info("pre-empting", job=lease.job_id, by=job.job_id)
            pool.send_back(lease, f"pre-empted by a job of priority {job.priority}")
            self._leaving |= set(pool.serving()[lease].leases)
            self._line.take(job.job_id)
        return sum(len(one.slots) for one in jobs if one.lease in leaving)

    def _change(self, pool: Pool, changes: Iterable[placement.Change]) -> None:
        for lease, slots in changes:
            log.info("changing", job=lease.job_id, slots=len(slots))
            pool.resize(lease, slots)
            self._published = 0.0

    def _rescue(self, pool: Pool, epoch: int, running: Iterable[RunningJob]) -> None:
        """Take back the jobs whose runner is gone, or silent for longer than a lease.

        With one member of a population all are: their runner is ended, whatever has been heard of the others.
        """
        entries, serving = list(running), pool.serving()
        silent: set[Lease] = set()
        for entry in entries:
            runner = serving.get(entry.lease)
            if runner is not None and self._watch.stale(entry.lease, entry.beat) and entry.lease not in silent:
                pool.kill(runner)
                silent.update(runner.leases)
        for entry in entries:
            death = pool.deaths.get(entry.lease)
            if entry.lease in silent:
                reason = f"The job's runner was silent for {self._settings.lease_s:g} s."
                self._expire(entry, epoch, entry.beat, reason, suspect=death is not None)
            elif entry.lease not in serving:
                reason = "The job's runner died." if death is None else f"The job's runner died: {death}"
                self._expire(entry, epoch, None, reason, suspect=death is not None)
        self._watch.forget_all_but(serving)
        pool.deaths.clear()

    def _expire(self, entry: RunningJob, epoch: int, beat: int | None, reason: str, *, suspect: bool) -> None:
        suspect = suspect and time.monotonic() - self._redis_away > INNOCENT_S
        status = self._queue.expire(entry.lease, epoch, beat=beat, reason=reason, suspect=suspect)
        log.warning("job taken back", job=entry.lease.job_id, reason=reason, status=status)

    def _claim(self, pool: Pool, epoch: int) -> None:
        while free := pool.free():
            held = self._line.held
            hold = held.job_id if held else None
            claimed = self._queue.claim(epoch, len(free), self._claim_token, hold=hold, population=MOST_MEMBERS)
            self._claim_token = secrets.token_hex(16)  # only now: a claim whose answer was lost is asked for again
            if claimed is None:
                return
            self._start(pool, claimed, free)

    def _start(self, pool: Pool, claimed: ClaimedJob, free: list[Slot]) -> None:
        slots = placement.first_slots(claimed.size, free)
        others = tuple((other.job, other.lease) for other in claimed.others)
        slots = slots[:1] if others else slots
        log.info("starting", job=claimed.job.id, others=len(others), slots=len(slots), attempt=claimed.job.attempt)
        pool.lend(Work(claimed.job, claimed.lease, slots, others))
        self._published = 0.0

    def _publish(self, pool: Pool, epoch: int) -> None:
        if time.monotonic() - self._published >= PUBLISH_S:
            self._queue.publish_cluster(epoch, pool.picture())
            self._published = time.monotonic()


def _served(pool: Pool, running: Mapping[Lease, RunningJob]) -> list[Served]:
    """The running jobs that can be changed now; a population is one, by a lease of those that still run."""
    found = []
    for runner in pool.busy:
        running_here = [lease for lease in runner.leases if lease in running]
        if running_here and not runner.changing:
            size = running[running_here[0]].size
            if len(runner.leases) > 1:
                size = replace(size, most=1)
            found.append(Served(running_here[0], size, runner.slots))
    return found


def _most_slots(running: Iterable[RunningJob]) -> Iterator[int]:
    """How many slots all can use: a population uses one."""
    yield from (entry.size.most for entry in running if not entry.population)
    yield from (1 for _ in {entry.population for entry in running if entry.population})


def _goes_on(pool: Pool, running: Mapping[Lease, RunningJob], lease: Lease) -> bool:
    """Whether its runner will be busy, though nothing is asked of it: of a population, with any member."""
    return any(running[one].requested is None for one in pool.serving()[lease].leases if one in running)


def _priority(pool: Pool, running: Mapping[Lease, RunningJob], lease: Lease) -> int:
    """That of a job, and of a population the highest of its members'."""
    leases = pool.serving()[lease].leases
    return max(running[one].priority for one in leases if one in running)


def run(settings: Settings) -> None:
    """Schedule until SIGTERM, then drain."""
    stopping = threading.Event()
    connect_ray(settings)
    store = Store(settings.redis_url or "")
    queue = Queue(store, max_running=settings.max_running_tenant, max_deaths=settings.max_deaths)
    scheduler = Scheduler(settings, queue)

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()
        if scheduler.waiting:
            raise Woken

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while not stopping.is_set():
        try:
            scheduler.tick()
        except Woken:
            break
        except StoreUnavailable as away:
            log.warning("waiting for Redis", detail=away.detail)
            stopping.wait(TICK_S)
    try:
        scheduler.stop()
    except StoreUnavailable as away:
        log.warning("stopped without Redis", detail=away.detail)


def connect_ray(settings: Settings) -> None:
    """Attach to the Ray of `settings.ray_address`; ends the process after CONNECT_S without an answer.

    Whoever started this process starts it again.
    """

    def give_up() -> None:
        log.error("Ray does not answer; is its token right?", address=settings.ray_address, after_s=CONNECT_S)
        os._exit(1)  # ray.init waits in native code, which no exception ends

    deadline = threading.Timer(CONNECT_S, give_up)
    deadline.daemon = True
    deadline.start()
    ray.init(address=settings.ray_address, namespace=NAMESPACE, log_to_driver=False, logging_level="error")
    deadline.cancel()
