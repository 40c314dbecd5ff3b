"""Shows a job while it runs: a progress bar on a terminal, plain lines elsewhere; and says how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

from deltaq.console import end_quietly, printable, shown
from deltaq.events import Event
from deltaq.job import Job
from deltaq.records import Epoch, JobStatus, Progress

EXIT_CODES = {JobStatus.SUCCEEDED: 0, JobStatus.FAILED: 1, JobStatus.CANCELLED: 3}
MEASURES = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy")


class Display(Protocol):
    """What a watched job is shown on."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def say(self, text: str) -> None:
        """Show one line."""

    def progress(self, progress: Progress) -> None:
        """Show how far the job is."""

    def epoch(self, epoch: Epoch) -> None:
        """Show the metrics of an epoch."""


def display(out: TextIO) -> Display:
    """The display that fits where the output goes."""
    if out.isatty():
        from deltaq.bar import Bar

        return Bar(out)
    return Lines(out)


def follow(job: Job, shown_on: Display, *, give_up_s: float) -> int:
    """Show a job until it ends, and return the exit code that says how.

    Raises: Unreachable when the service was away for `give_up_s`.
    """
    with shown_on:
        shown_on.progress(job.progress)
        for event in job.watch(give_up_s=give_up_s):
            show(event, job.id, shown_on)
    return EXIT_CODES[job.status]


def show(event: Event, job_id: str, on: Display) -> None:
    """Show one event."""
    data = event.data if isinstance(event.data, dict) else {}
    if event.name in ("status", "snapshot"):
        on.say(status_line(job_id, data))
    if event.name == "snapshot":
        on.progress(Progress.read(data.get("progress")))
    elif event.name == "progress":
        on.progress(Progress.read(data))
    elif event.name == "metrics" and "epoch" in data:
        on.epoch(Epoch.read(data))
    elif event.name == "log":
        on.say(f"{data.get('level', 'info')}: {printable(str(data.get('message', '')))}")


def status_line(job_id: str, data: Mapping[str, Any]) -> str:
    """A status in words; what is asked for and not yet done stands beside it."""
    status, attempt = data.get("status"), data.get("attempt") or 0
    text = f"{job_id} {status}"
    if status == JobStatus.PAUSED:
        return f"{text}: waiting until somebody says `deltaq resume {job_id}`"
    if status == JobStatus.RUNNING and attempt > 1:
        text += f", attempt {attempt}"
    return f"{text} ({data['requested']} asked for)" if data.get("requested") else text


def measures(epoch: Epoch) -> str:
    """An epoch's losses and accuracies in a line; what the job does not measure is left out."""
    parts = [f"{name.replace('_', ' ')} {shown(getattr(epoch, name))}" for name in MEASURES if name in epoch.raw]
    return "  ".join(parts)


class Lines:
    """Plain lines, at most one a second for the epochs, so that a long job does not fill the log."""

    def __init__(self, out: TextIO, *, every_s: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._every_s = every_s
        self._clock = clock
        self._last = -every_s
        self._epochs: int | None = None
        self._waiting: Epoch | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        pass

    def say(self, text: str) -> None:
        """Write one line, after the epoch that was held back."""
        if self._waiting:
            self._write_epoch(self._waiting)
        self._write(text)

    def progress(self, progress: Progress) -> None:
        """Remember how many epochs there are."""
        self._epochs = progress.epochs or self._epochs

    def epoch(self, epoch: Epoch) -> None:
        """Write an epoch, or hold it back until a second has passed."""
        if self._clock() - self._last >= self._every_s:
            self._write_epoch(epoch)
        else:
            self._waiting = epoch

    def _write_epoch(self, epoch: Epoch) -> None:
        self._waiting = None
        self._last = self._clock()
        of = f"/{self._epochs}" if self._epochs else ""
        self._write(f"epoch {epoch.epoch}{of}  {measures(epoch)}  {shown(epoch.samples_per_s)} samples/s")

    def _write(self, text: str) -> None:
        try:
            print(text, file=self._out, flush=True)
        except BrokenPipeError:
            end_quietly()
