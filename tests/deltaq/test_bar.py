"""The progress bar as a terminal shows it."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
from typing import Any

import pytest

from deltaq.client import Client
from tests.deltaq.conftest import SPEC, Hand, until


class Terminal:
    """A process on a pseudo-terminal, and what it wrote there without the colours."""

    def __init__(self, *line: str, columns: int, **environment: str) -> None:
        self._descriptor, end = pty.openpty()
        environment = {**os.environ, **environment, "COLUMNS": str(columns), "TERM": "xterm"}
        self._process = subprocess.Popen(line, stdin=end, stdout=end, stderr=end, env=environment)
        os.close(end)
        self._written = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while piece := os.read(self._descriptor, 65536):
                self._written += piece
        except OSError:  # how a pseudo-terminal says that its other end is closed
            pass

    @property
    def lines(self) -> list[str]:
        """Every state of every line."""
        plain = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", self._written).decode("utf-8", "replace")
        return [line for line in re.split(r"[\r\n]+", plain) if line.strip()]

    def code(self) -> int:
        """Wait for the end."""
        code = self._process.wait(20)
        self._reader.join(10)
        os.close(self._descriptor)
        return code


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_shows_a_bar_on_one_line(columns: int, client: Client, points: str, hand: Hand) -> None:
    job = client.submit({**SPEC, "epochs": 2})
    lease = hand.claim()
    line = [sys.executable, "-m", "deltaq", "watch", job.id]
    terminal = Terminal(*line, columns=columns, DELTAQ_URL=client.url)

    def shows(words: str) -> Any:
        return any(words in line for line in terminal.lines)

    until(lambda: shows("running"), what="the status")
    hand.epoch(lease, 1, epochs=2, validation_loss=0.0, validation_accuracy=0.98765)
    until(lambda: shows("validation loss 0, accuracy 0.9877"), what="the epoch")
    hand.queue.log(lease, "warning", "[red]not a colour[/red]")
    hand.succeed(lease)
    assert terminal.code() == 0
    assert shows("warning: [red]not a colour[/red]")
    bars = [line for line in terminal.lines if "━" in line]
    assert any(line.startswith("epoch 1/2 ") and " 50%" in line for line in bars)
    assert shows("100 samples/s") is (columns == 120)
    assert all(len(line) <= columns for line in bars)
