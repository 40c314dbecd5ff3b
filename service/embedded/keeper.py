"""The keeper: starts the parts of a plan, starts again what dies alone, and ends all with the foreground process.

Knows command lines and nothing of what the parts do. It is joined to the foreground process by a pipe whose write end
only that one holds: the pipe's end means that it is gone, however it went.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from service import processes
from service.disk_room import free_bytes, in_words
from service.embedded.directories import remove
from service.embedded.plan import DRAIN_S, Part, Plan
from service.embedded.signal_pipe import SignalPipe

# What keeps ending has something in its way, such as a full disk. It is waited for in peace, about as long as it has
# lasted, but not so long that clients, who ask again for 30 s, give up when it is gone.
FIRST_DELAY_S, LONGEST_DELAY_S = 0.05, 10.0
SETTLED_S = 10.0  # a part that has lived so long starts anew with the first delay
LEAVE_S = 0.2  # for the scheduler to end once it has drained
FAREWELL_S = 0.4  # for the rest, which nothing depends on
LITTLE_BYTES = 1 << 20  # with less room on its disk, a log may lack what matters
QUOTED_LINES = 2  # of what a part said before it ended at once again


class Kept:
    """One part under the keeper's hand."""

    def __init__(self, part: Part, log: Path) -> None:
        self.part = part
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self.due = 0.0  # when it is to be started, on the monotonic clock
        self.again = False  # it has ended at once, for the second time or more
        self._started = 0.0
        self._logged_bytes = 0
        self._delay_s = FIRST_DELAY_S
        if log.exists():
            log.replace(log.with_suffix(".log.1"))  # that of the run before is kept, and no other

    def start(self, folder: Path) -> None:
        """Start it as a child that is killed with the keeper; what it prints goes to its log."""
        self._started = time.monotonic()
        with self.log.open("ab") as log:
            self._logged_bytes = log.seek(0, os.SEEK_END)
            self.process = subprocess.Popen(
                self.part.command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=processes.die_with_parent(),
            )

    def ended(self, code: int) -> float:
        """Note the end; answers in how many seconds it is started again."""
        if self.process is not None:
            self.process.returncode = code  # it was reaped with the rest
        self.process = None
        now = time.monotonic()
        settled = now - self._started > SETTLED_S
        delay = FIRST_DELAY_S if settled else self._delay_s
        self.again = delay > FIRST_DELAY_S
        self._delay_s = min(2 * delay, LONGEST_DELAY_S)
        self.due = now + delay
        return delay

    def last_words(self) -> str:
        """The last lines of what it has printed since its start, and how much room there is where that is little."""
        lines: list[str] = []
        with suppress(FileNotFoundError), self.log.open("rb") as log:
            log.seek(self._logged_bytes)
            lines = log.read().decode(errors="replace").strip().splitlines()[-QUOTED_LINES:]
        free = free_bytes(self.log.parent)
        if free < LITTLE_BYTES:
            lines.append(f"(its disk has {in_words(free)} free)")
        return "\n".join(f"  {line[:500]}" for line in lines or ["nothing"])


class Keeper:
    """Runs a plan until it is told to stop, its foreground process is gone, or a part cannot work as it is set up."""

    def __init__(self, plan: Plan, signals: SignalPipe) -> None:
        self._signals = signals
        self._folder = Path(plan.log_dir).parent
        Path(plan.log_dir).mkdir(mode=0o700, exist_ok=True)
        self._kept = [Kept(part, Path(plan.log_dir) / f"{part.name}.log") for part in plan.parts]

    def run(self) -> int:
        """Keep the parts; answers the exit code. What is left running is for the caller to end."""
        while True:
            for kept in self._kept:
                if kept.process is None and kept.due <= time.monotonic():
                    kept.start(self._folder)
            came, whole = self._signals.wait(self._until_next())
            if not whole:
                return 0
            if signal.SIGTERM in came:
                self._drain()
                return 0
            for pid, code in processes.reap():
                if self._ended(pid, code):
                    return os.EX_CONFIG

    def _until_next(self) -> float | None:
        due = [kept.due for kept in self._kept if kept.process is None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _ended(self, pid: int, code: int) -> bool:
        """Whether this end is for good: the part has refused its settings."""
        kept = next((kept for kept in self._kept if kept.process is not None and kept.process.pid == pid), None)
        if kept is None:
            return False
        delay = kept.ended(code)
        processes.kill(processes.orphans(keep=self._pids()))  # what the part had started is of no use without it
        if code == os.EX_CONFIG:
            say(f"the {kept.part.name} refuses to start:\n{tail(kept.log)}")
            return True
        how = f"the {kept.part.name} ended{' again' if kept.again else ''} ({meaning(code)})"
        where = f"its log {kept.log} says:\n{kept.last_words()}" if kept.again else f"its log is {kept.log}"
        say(f"{how}; it starts again in {delay:g} s; {where}")
        return False

    def _pids(self) -> set[int]:
        return {kept.process.pid for kept in self._kept if kept.process is not None}

    def _drain(self) -> None:
        """Ask first those to end who need the others for it, then the others."""
        for drains, patience_s in ((True, DRAIN_S + LEAVE_S), (False, FAREWELL_S)):
            asked = [kept for kept in self._kept if kept.part.drains is drains and kept.process is not None]
            processes.kill((kept.process.pid for kept in asked if kept.process is not None), signal.SIGTERM)
            self._await_end(asked, patience_s)

    def _await_end(self, asked: list[Kept], patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while any(kept.process for kept in asked) and (left := deadline - time.monotonic()) > 0:
            _, whole = self._signals.wait(left)
            if not whole:
                return
            ended = dict(processes.reap())
            for kept in self._kept:
                if kept.process is not None and kept.process.pid in ended:
                    kept.ended(ended[kept.process.pid])


def say(message: str) -> None:
    """A line for who typed `deltaq up`; whether anybody still reads it does not matter."""
    try:
        print(f"deltaq: {message}", file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for the rest of the process


def meaning(code: int) -> str:
    """An exit code in words."""
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def tail(log: Path, size_bytes: int = 2000) -> str:
    """The last lines of a log."""
    return log.read_bytes()[-size_bytes:].decode(errors="replace").strip()


def main(arguments: Sequence[str]) -> int:
    """`python -m service keeper`: started by the foreground process, never by hand."""
    parser = argparse.ArgumentParser(prog="python -m service keeper")
    parser.add_argument("--lifeline", type=int, required=True)
    parser.add_argument("--plan", type=Path, required=True)
    given = parser.parse_args(arguments)
    plan = Plan.read(given.plan)
    processes.adopt_orphans()
    with SignalPipe(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, lifeline=given.lifeline) as signals:
        try:
            return Keeper(plan, signals).run()
        finally:
            processes.end_descendants()
            Path(plan.service_file).unlink(missing_ok=True)
            remove(Path(plan.runtime_dir))
