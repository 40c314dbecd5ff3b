"""A whole service started as a user starts it, with its processes in reach of a test that kills them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from service.errors import StoreUnavailable
from service.jobs import Job, Lease
from service.queue import Queue
from service.store import Store

T = TypeVar("T")

START_S = 90.0
JOB_S = 120.0


def until(ask: Callable[[], T | None], timeout_s: float, what: str) -> T:
    """Ask until the answer is true."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:g} s"
        time.sleep(0.05)


class LiveService:
    """`deltaq up` with a data directory of its own."""

    def __init__(self, data_dir: Path, workers: int = 2, **environment: str) -> None:
        self.data_dir = data_dir
        self._log = (data_dir.parent / f"{data_dir.name}.log").open("ab")
        command = [
            sys.executable,
            "-m",
            "service",
            "up",
            "--port",
            "0",
            "--data-dir",
            str(data_dir),
            "--workers",
            str(workers),
        ]
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log, env={**os.environ, **environment})
        self.description: dict[str, Any] = until(self._ready, START_S, "the service is ready")
        self.http = httpx.Client(base_url=self.description["url"], timeout=10.0, trust_env=False)

    def _ready(self) -> dict[str, Any] | None:
        assert self.process.poll() is None, f"the service ended by itself; see {self._log.name}"
        try:
            found: dict[str, Any] = json.loads((self.data_dir / "service.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return found if found["pid"] in (self.process.pid, *self.pids()) else None

    # Over HTTP, as a user

    def call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """One call, made again while the service says that it cannot serve now."""

        def ask() -> httpx.Response | None:
            try:
                answer = self.http.request(method, path, **arguments)
            except httpx.TransportError:
                return None
            return None if answer.status_code == 503 else answer

        return until(ask, START_S, f"{method} {path}")

    def submit(self, spec: dict[str, Any]) -> str:
        """Submit a job; answers its id."""
        answer = self.call("POST", "/v1/jobs", json=spec)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """The job as it is."""
        answer = self.call("GET", f"/v1/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def reach(self, job_id: str, step: int) -> dict[str, Any]:
        """Wait until the job runs and has done so many steps (a queued one shows those of the run before)."""

        def there() -> dict[str, Any] | None:
            job = self.job(job_id)
            assert job["status"] in ("queued", "running"), job
            return job if job["status"] == "running" and (job["progress"].get("step") or 0) >= step else None

        return until(there, JOB_S, f"step {step}")

    def finish(self, job_id: str, status: str = "succeeded", timeout_s: float = JOB_S) -> dict[str, Any]:
        """Wait until the job has ended."""

        def ended() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["status"] in ("succeeded", "failed", "cancelled") else None

        job = until(ended, timeout_s, "the job's end")
        assert job["status"] == status, job
        return job

    def metrics(self, job_id: str) -> list[dict[str, Any]]:
        """Every row of the job's metrics."""
        rows: list[dict[str, Any]] = []
        query: dict[str, Any] = {"limit": 500}
        while True:
            page = self.call("GET", f"/v1/jobs/{job_id}/metrics", params=query).json()
            rows += page["items"]
            if page["next_cursor"] is None:
                return rows
            query["cursor"] = page["next_cursor"]

    def pid(self, kind: str, busy: bool = True) -> int:
        """The process of a worker or runner that serves a job (or of any)."""

        def find() -> int | None:
            members = self.call("GET", "/v1/cluster").json()[kind]
            return next(
                (int(one["pid"]) for one in members if one["pid"] and (one["state"] == "busy" or not busy)), None
            )

        return until(find, 30.0, f"a {kind} process")

    def pid_of(self, job_id: str) -> int:
        """The process of the runner that runs a job."""

        def find() -> int | None:
            members = self.call("GET", "/v1/cluster").json()["runners"]
            return next((int(one["pid"]) for one in members if one["pid"] and one["job"] == job_id), None)

        return until(find, 30.0, f"the runner of {job_id}")

    def idle_slots(self) -> list[str]:
        """The workers that serve nothing."""
        members = self.call("GET", "/v1/cluster").json()["workers"]
        return [one["name"] for one in members if one["state"] == "idle"]

    # Behind the API

    @cached_property
    def queue(self) -> Queue:
        """The queue in its Redis."""
        return Queue(self._store)

    @cached_property
    def _store(self) -> Store:
        return Store(self.description["redis_url"])

    def redis(self, *words: str) -> Any:
        """The answer of its Redis to a command."""
        return self._store.command(*words)

    def record(self, job_id: str) -> Job:
        """The job as Redis has it, as soon as Redis answers: it may just be starting again."""
        return until(lambda: self._asked(lambda: self.queue.job(job_id)), 30.0, "an answer of Redis")

    def lease(self, job_id: str, after: Lease | None = None) -> Lease:
        """The lease under which a job runs, as soon as it runs (under another one than `after`)."""

        def find() -> Lease | None:
            leases = [entry.lease for entry in self._asked(self.queue.running) or []]
            return next((lease for lease in leases if lease.job_id == job_id and lease != after), None)

        return until(find, JOB_S, "a lease")

    @staticmethod
    def _asked(ask: Callable[[], T]) -> T | None:
        try:
            return ask()
        except StoreUnavailable:
            return None

    # Its processes

    def pids(self) -> list[int]:
        """Every process below it."""
        try:
            return [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def part(self, *words: str) -> int:
        """The process whose command line has all these words."""

        def find() -> int | None:
            for pid in self.pids():
                try:
                    line = " ".join(psutil.Process(pid).cmdline())
                except psutil.Error:
                    continue
                if all(word in line for word in words):
                    return pid
            return None

        return until(find, 30.0, f"a process {words}")

    def kill(self, pid: int) -> None:
        """SIGKILL, and make sure that it took effect."""
        os.kill(pid, signal.SIGKILL)
        until(lambda: not running(pid), 10.0, f"the end of process {pid}")

    def shared_memory(self) -> set[str]:
        """The files of shared memory that its processes have mapped, whether they still have their names or not."""
        return {name for pid in self.pids() for name in mapped(pid)}

    def forgotten(self, names: set[str]) -> set[str]:
        """Those of the files of shared memory that still lie there, and that no process of the service has mapped."""
        return {name for name in names - self.shared_memory() if Path(name).exists()}

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it, by SIGKILL of its foreground process if that is asked, and see that nothing is left of it."""
        family, names = [self.process.pid, *self.pids()], self.shared_memory()
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(30)
        self.http.close()
        self._store.close()
        self._log.close()
        until(lambda: not any(map(running, family)), 10.0, f"the end of {family}")
        assert self.forgotten(names) == set()


def running(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def mapped(pid: int) -> set[str]:
    """The files below /dev/shm that a process has mapped."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text()
    except OSError:  # it has ended
        return set()
    return set(re.findall(r"(/dev/shm/.+?)(?: \(deleted\))?$", lines, re.MULTILINE))
