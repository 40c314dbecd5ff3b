"""A watched job on a terminal: one progress bar with the newest loss and accuracy, log lines above it."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from deltaq.console import shown
from deltaq.records import Epoch
from deltaq.records import Progress as JobProgress

_WIDE = 100  # columns, from which on there is room for the speed


class Bar:
    """A progress bar from 0 to 1, and what the last epoch measured."""

    def __init__(self, out: TextIO) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            TaskProgressColumn(),
            TextColumn("{task.fields[measures]}"),
            TimeRemainingColumn(compact=True),
            console=Console(file=out),
        )
        self._task = self._bar.add_task("waiting", total=1.0, measures="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """Write one line above the bar."""
        self._bar.console.print(escape(text), highlight=False)

    def progress(self, progress: JobProgress) -> None:
        """Move the bar."""
        self._bar.update(
            self._task,
            completed=progress.fraction or 0.0,
            description=f"epoch {shown(progress.epoch)}/{shown(progress.epochs)}",
        )

    def epoch(self, epoch: Epoch) -> None:
        """Show the newest metrics beside the bar."""
        part = "validation" if epoch.validation_loss is not None else "train"
        loss, accuracy = (getattr(epoch, f"{part}_{measure}") for measure in ("loss", "accuracy"))
        accuracy = f", accuracy {shown(accuracy)}" if accuracy is not None else ""
        speed = f", {shown(epoch.samples_per_s)} samples/s" if self._bar.console.width >= _WIDE else ""
        self._bar.update(self._task, measures=f"{part} loss {shown(loss)}{accuracy}{speed}")
