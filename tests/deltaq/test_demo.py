"""`deltaq demo` as it is typed, and its ends by force: nothing of it may stay."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deltaq.handwriting import DIGITS, pixels, shaded
from tests.deltaq.conftest import until


def demo(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the command with a folder of its own for what is temporary."""
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "deltaq", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder), "DELTAQ_SETUP_S": "1.5", "DELTAQ_PORT": "1"},
    )


def family(process: subprocess.Popen[str], at_least: int) -> list[psutil.Process]:
    """Everything that a process has started, once it is so many."""

    def found() -> list[psutil.Process] | None:
        children = psutil.Process(process.pid).children(recursive=True)
        return children if len(children) >= at_least else None

    return until(found, 60, f"{at_least} processes of the demo")


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.timeout(240)
def test_the_demo_trains_shows_and_leaves_nothing(runtime_dir: Path) -> None:
    process = demo(runtime_dir / "demo", "--json")
    started = family(process, 4)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    result = json.loads(out)
    assert result["what came out"]["validation accuracy"] > 0.95
    assert len(result["what came out"]["weights' SHA-256"]) == 64
    assert result["what it took"]["workers"] == 2
    assert result["where the time went, in seconds"]["setting up the environment"] == 1.5
    assert [drawing["read"] for drawing in result["drawings"]] == list(DIGITS)
    assert result["job"]["status"] == "succeeded"
    until(lambda: all(map(gone, started)), what="the end of every process")
    assert list((runtime_dir / "demo").iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_demo_that_is_interrupted_stops_everything(number: signal.Signals, code: int, runtime_dir: Path) -> None:
    process = demo(runtime_dir / "interrupted")
    started = family(process, 4)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in err
    until(lambda: all(map(gone, started)), what="the end of every process")
    assert list((runtime_dir / "interrupted").iterdir()) == []


def test_a_demo_that_is_killed_takes_everything_with_it(runtime_dir: Path) -> None:
    process = demo(runtime_dir / "killed")
    started = family(process, 4)
    process.kill()
    process.communicate(timeout=30)
    until(lambda: all(map(gone, started)), what="the end of every process")


def test_a_service_that_cannot_start_is_shown_with_its_log(runtime_dir: Path) -> None:
    folder = runtime_dir / "failing"
    folder.mkdir()
    line = [sys.executable, "-m", "deltaq", "demo"]
    environment = {**os.environ, "TMPDIR": str(folder), "DELTAQ_KERNELS": "wrong"}
    ended = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "the service ended with code 78" in ended.stderr
    assert "DELTAQ_KERNELS" in ended.stderr
    assert list(folder.iterdir()) == []


def test_drawings_are_rows_of_the_data_set() -> None:
    for drawing in DIGITS.values():
        assert len(pixels(drawing)) == 64
        assert {len(line) for line in shaded(drawing)} == {16}
