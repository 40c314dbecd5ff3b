"""Shows a sweep while it runs: a live table on a terminal, a line a trial elsewhere; and says how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TextIO

from deltaq.console import end_quietly, printable, shown
from deltaq.events import Event
from deltaq.sweep import Sweep
from deltaq.sweep_records import Trial, TrialStatus
from deltaq.watching import EXIT_CODES

EVERY_S = 1.0  # how often trials are asked for while they come
ROWS = 15  # of the table
LIVING = (TrialStatus.QUEUED, TrialStatus.RUNNING, TrialStatus.PAUSED)


class Screen(Protocol):
    """What a watched sweep is shown on."""

    def show(self, sweep: Sweep, trials: Sequence[Trial]) -> None:
        """Show the sweep and its trials as they are now."""

    def close(self) -> None:
        """Nothing more comes."""


def follow(sweep: Sweep, out: TextIO, *, give_up_s: float, clock: Callable[[], float] = time.monotonic) -> int:
    """Show a sweep until it ends, and return the exit code that says how.

    Raises: Unreachable when the service was away for `give_up_s`.
    """
    screen: Screen = Table(out) if out.isatty() else Lines(out)
    try:
        shown_at = -EVERY_S
        for event in sweep.watch(give_up_s=give_up_s):
            if _is_news(event) and clock() - shown_at >= EVERY_S:
                screen.show(sweep.refresh(), sweep.trials())
                shown_at = clock()
        screen.show(sweep, sweep.trials())
    finally:
        screen.close()
    return EXIT_CODES[sweep.status]


def in_a_line(sweep: Sweep) -> str:
    """How far a sweep is, in words."""
    progress = sweep.progress
    counts = {name: getattr(progress, name) for name in ("succeeded", "pruned", "failed", "cancelled")}
    how = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    ended = f"{progress.asked - progress.open}{f'/{progress.trials}' if progress.trials else ''} trials ended"
    best = f"; best {_values(sweep.best[0])}" if sweep.best else ""
    return f"{sweep.id} {sweep.status.value}: {ended}{f' ({how})' if how else ''}{best}"


def cells(trial: Trial) -> tuple[str, str, str, str]:
    """A trial's number, status, values and point."""
    params = "  ".join(f"{path} {shown(value)}" for path, value in sorted(trial.params.items()))
    return str(trial.number), trial.status.value, _values(trial), printable(params)


def ranked(sweep: Sweep, trials: Sequence[Trial]) -> list[Trial]:
    """Those with a value by their first objective, the best first; then those that live; then the rest."""
    objective: dict[str, Any] = (sweep.spec.get("objectives") or [sweep.spec.get("objective") or {}])[0]
    sign = -1.0 if objective.get("direction") == "maximize" else 1.0

    def place(trial: Trial) -> tuple[int, float]:
        if trial.value is not None:
            return 0, sign * trial.value
        return (1 if trial.status in LIVING else 2), trial.number

    return sorted(trials, key=place)


class Lines:
    """A line a trial that has ended, as it ends."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._written: set[int] = set()

    def show(self, sweep: Sweep, trials: Sequence[Trial]) -> None:
        """Write the trials that have ended since."""
        for trial in trials:
            if trial.status not in LIVING and trial.number not in self._written:
                self._written.add(trial.number)
                number, status, values, params = cells(trial)
                why = f"  {printable(str(trial.error))}" if trial.error else ""
                self._write(f"trial {number} {status}  {values}  {params}{why}")
        if sweep.status.terminal:
            self._write(in_a_line(sweep))

    def close(self) -> None:
        """Nothing more comes."""

    def _write(self, text: str) -> None:
        try:
            print(text, file=self._out, flush=True)
        except BrokenPipeError:
            end_quietly()


class Table:
    """The best trials, and those that run, in a table that stays in its place."""

    def __init__(self, out: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(file=out), auto_refresh=False)
        self._live.start()

    def show(self, sweep: Sweep, trials: Sequence[Trial]) -> None:
        """Draw it anew."""
        from rich.markup import escape
        from rich.table import Table as Grid

        grid = Grid(title=escape(in_a_line(sweep)), title_justify="left", title_style="", box=None)
        for name in ("trial", "status", "value", "params"):
            grid.add_column(name, justify="right" if name in ("trial", "value") else "left", overflow="fold")
        for trial in ranked(sweep, trials)[:ROWS]:
            grid.add_row(*map(escape, cells(trial)))
        self._live.update(grid, refresh=True)

    def close(self) -> None:
        """Leave the last table where it is."""
        self._live.stop()


def _is_news(event: Event) -> bool:
    return event.name in ("sweep", "snapshot", "status")


def _values(trial: Trial) -> str:
    return ", ".join(map(shown, trial.values)) or shown(None)
