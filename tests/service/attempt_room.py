"""Attempts at jobs without Ray: real Redis, real files, built-in data; and a way to disturb one at a certain place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from service.acceptance import Acceptance
from service.artifacts import Artifacts, Content
from service.attempt import Attempt
from service.beat import Beat
from service.builtin import install_builtins
from service.dataset_records import DatasetRecords
from service.datasets import Dataset
from service.job_inputs import JobInputs
from service.jobs import Job, Lease
from service.model_records import ModelRecords
from service.models import ModelStore
from service.queue import ClaimedJob
from service.requests import Requests
from service.resolution import resolve
from service.settings import Settings
from service.spec import JobSpec
from service.store import Store
from service.warm_start import as_start, find_start
from service.work import Equipment, Work
from tests.service.rooms import Rooms
from workers.place import Slot
from workers.shard_computer import Assignment, ShardComputer
from workers.transport import Transport
from workers.transport.asynchronous_gang import AsynchronousGang
from workers.transport.local import LocalTransport

FINGERPRINT = {"numpy": "as here"}
SPEC: dict[str, Any] = {
    "dataset": "iris",
    "network": {"hidden": [5]},
    "epochs": 4,
    "shards": 2,
    "optimizer": {"momentum": 0.9},
    "early_stopping": {"patience": 1000},
}
STEPS = 16  # 4 epochs of 120 rows in mini-batches of 32

Disturb = Callable[["ObservedAttempt"], None]


def ended(beat: Beat) -> bool:
    """Whether it says that it goes on no more."""
    try:
        beat.check()
    except Exception:
        return True
    return False


class ObservedArtifacts(Artifacts):
    """Says before a file is written that it will be."""

    before_write: Callable[[str], None] = staticmethod(lambda path: None)

    def write(self, path: str, content: Content) -> str:
        self.before_write(path)
        return super().write(path, content)


class ObservedAttempt(Attempt):
    """An attempt that is disturbed at its places: `begun`, `prepared`, `connected`, or after a step, by its number.

    It counts its steps, and remembers which of its places it came by.
    """

    def __init__(self, room: AttemptRoom, claimed: ClaimedJob, disturb: Mapping[str | int, Disturb]) -> None:
        self.room = room
        self.passed: list[str | int] = []
        self.lease_at_work = claimed.lease
        self._disturb = disturb
        artifacts = ObservedArtifacts(room.settings.artifacts_url, room.settings.min_free)
        artifacts.before_write = self._before_write
        given = Equipment(
            room.settings,
            room.rooms.queue,
            room.records,
            room.models,
            artifacts,
            self._connected_by,
            dict(room.fingerprint),
        )
        slots = [Slot("one", "node"), Slot("two", "node")]
        super().__init__(given, Work(claimed.job, claimed.lease, slots), Requests(slots))

    def _inputs(self) -> JobInputs:
        self._pass("begun")
        return super()._inputs()

    def after_step(self) -> None:
        assert self.training is not None
        self._pass(self.training.steps_done)
        super().after_step()

    def _before_write(self, path: str) -> None:
        if "/prepared/" in path:
            self._pass("prepared")

    def _connected_by(
        self, slots: list[Slot], token: str, given: Assignment, kernels: dict[str, str], asynchronous: bool
    ) -> Transport:
        self._pass("connected")
        if asynchronous:
            return AsynchronousGang(slots[:1], token, given, kernels)
        return LocalTransport(ShardComputer(given))

    def _pass(self, place: str | int) -> None:
        first = place not in self.passed
        self.passed.append(place)
        if first and place in self._disturb:
            self._disturb[place](self)


class AttemptRoom:
    """Submits and attempts jobs of one tenant."""

    def __init__(self, store: Store, folder: Path, **settings: Any) -> None:
        self.rooms = Rooms(store)
        self.records = DatasetRecords(store)
        self.settings = Settings(data_dir=folder, **{"beat_s": 0.01, "checkpoint_s": 3600.0, **settings})
        self.artifacts = Artifacts(self.settings.artifacts_url)
        self.models = ModelStore(ModelRecords(store), self.artifacts)
        self.fingerprint = FINGERPRINT
        install_builtins(self.records, self.artifacts)

    def submit(self, **fields: Any) -> Job:
        spec = JobSpec.model_validate({**SPEC, **fields})
        dataset = Dataset.from_document(self.records.find(self.rooms.tenant, spec.dataset))
        start = as_start(find_start(self.models, self.rooms.tenant, spec))
        found = resolve(spec, dataset, None, start)
        return self.rooms.jobs.accept(Acceptance(self.rooms.tenant, found.spec, dataset, warnings=found.warnings))[0]

    def attempt(self, disturb: Mapping[str | int, Disturb] | None = None) -> ObservedAttempt:
        """An attempt at the next job in the queue."""
        return ObservedAttempt(self, self.rooms.claim(), disturb or {})

    def run(self, disturb: Mapping[str | int, Disturb] | None = None) -> Job:
        """Attempt the next job in the queue; answers what became of it."""
        attempt = self.attempt(disturb)
        attempt.run()
        assert set(disturb or ()) <= set(attempt.passed)
        return self.rooms.job(attempt.lease_at_work.job_id)

    def take_away(self, lease: Lease) -> None:
        """Have another runner get the job."""
        self.rooms.queue.expire(lease, 1, beat=None, reason="taken away")
        assert self.rooms.claim().job.id == lease.job_id

    def epochs(self, job: Job) -> list[int]:
        return [row["epoch"] for row in self.rooms.jobs.metrics(self.rooms.tenant, job.id).items]

    def logged(self, job: Job) -> str:
        return "\n".join(line["message"] for line in self.rooms.jobs.logs(self.rooms.tenant, job.id, limit=500).items)

    def files(self, folder: str) -> list[str]:
        """The files of a folder of artifacts."""
        root = self.artifacts.local_path(folder)
        assert root is not None
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
