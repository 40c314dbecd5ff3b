"""Workers without Ray: `python -m tests.worker_process NAME` is one, and serves gangs until its input ends."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from types import TracebackType
from typing import TypeVar

from workers import kernels

if __name__ == "__main__":
    kernels.pin()

from workers.place import Slot
from workers.shard_computer import Assignment
from workers.tokens import TokenGuard
from workers.transport.gang import Gang
from workers.transport.serving import GangServer

AnyGang = TypeVar("AnyGang", bound=Gang)


class WorkerProcess:
    """One worker; `slot` is what a job is given of it."""

    def __init__(self, name: str) -> None:
        command = [sys.executable, "-m", __spec__.name, name]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.name, self.pid = name, self._process.pid
        self._slot: Slot | None = None

    @property
    def slot(self) -> Slot:
        """Waits for it to listen."""
        if self._slot is None:
            assert self._process.stdout is not None
            self._slot = Slot(self.name, "node", "\0" + self._process.stdout.readline().strip())
        return self._slot

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Stop it, wake it, end it."""
        os.kill(self.pid, number)

    def wait(self) -> None:
        """Wait for it to have ended."""
        self._process.wait()

    def end(self) -> None:
        """End it, whatever state it is in."""
        self._process.kill()
        self._process.communicate()


class Workers:
    """Workers that are replaced when they died, and gangs with them, each under a later lease."""

    def __init__(self) -> None:
        self._numbers, self._tokens = itertools.count(), itertools.count(1)
        self.processes: list[WorkerProcess] = []
        self._gang: Gang | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
        for process in self.processes:
            process.end()

    @property
    def pids(self) -> list[int]:
        """The numbers of the processes."""
        return [process.pid for process in self.processes]

    def take(self, count: int) -> list[WorkerProcess]:
        """So many that are alive."""
        self._bury()
        while len(self.processes) < count:
            self.processes.append(WorkerProcess(f"worker-{next(self._numbers)}"))
        return self.processes[:count]

    def slots(self, count: int) -> list[Slot]:
        """So many slots, the first of them this process's own."""
        return [Slot("own", "node"), *(process.slot for process in self.take(count - 1))]

    def gang(self, assignment: Assignment, count: int) -> Gang:
        """So many workers, this process among them, under a lease of its own; the gang before is closed."""
        return self.gang_of(Gang, assignment, count)

    def gang_of(self, kind: type[AnyGang], assignment: Assignment, count: int) -> AnyGang:
        """The same, of this kind."""
        self.close()
        gang = kind(self.slots(count), f"{next(self._tokens)}-aa", assignment, kernels.fingerprint())
        self._gang = gang
        return gang

    def close(self) -> None:
        """Have the gang let its workers go; those that died in it stay nobody's zombies."""
        if self._gang is not None:
            self._gang.close()
            self._gang = None
        self._bury()

    def _bury(self) -> None:
        for dead in [process for process in self.processes if not process.alive]:
            self.processes.remove(dead)
            dead.end()


if __name__ == "__main__":
    print(GangServer(TokenGuard(), kernels.fingerprint()).address[1:], flush=True)
    sys.stdin.read()
