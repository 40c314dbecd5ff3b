"""Every figure of docs/performance.md, measured in one run and written there.

    python -m benchmarks.performance [--peer-python PYTHON] [--brief] [--write docs/performance.md]

`--brief` runs all of it in little time, to see that it runs: its figures say nothing. The other scripts (`accuracy`,
`demo`, `exchange`) run by themselves.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.machine import described
from benchmarks.sides import ROOT

INTRODUCTION = """# How fast deltaq is

Written by `make bench`; each table names the script that measured it, and a peer stands beside deltaq in the same run.
What another machine gives differs, and so do two runs on this one, by a few per cent.
"""


class Section(NamedTuple):
    """One part of the page: the script that prints it, and its options when there is little time."""

    title: str
    script: str
    peers: bool
    brief: str = ""


SECTIONS = (
    Section("Training on two cores", "throughput", True, "--rounds 1 --turn-s 0.1"),
    Section("What a step costs beyond its computing", "gang", False, "--steps 50"),
    Section("Between two hosts", "hosts", False, "--rounds 1"),
    Section("By the number of shards", "shards", False, "--rounds 1 --turn-s 0.1"),
    Section("One process, one thread", "step", True, "--rounds 1"),
    Section("Whole jobs", "service", True, "--rounds 2 --slow-rounds 1"),
    Section("The queue", "queue", True, "--rounds 1 --turn-s 0.3 --jobs 20 --depths 10 100 --claims 10"),
    Section("Sweeps", "sweeps", True, "--rounds 1 --trials 4 --asha-trials 8"),
    Section("The API beside a long sweep", "answering", False, "--queued 100 --seconds 1"),
    Section("After a kill", "recovery", False, "--kills 2"),
    Section("Checkpoints", "checkpoints", False, "--rounds 1 --interval-s 0.5"),
    Section("Memory", "memory", False),
)


def measured(section: Section, peer_python: str, brief: bool) -> str | None:
    """What a script prints; None where it fails."""
    # What the service warns of is for users, and would stand among the lines that say how far this is.
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        f"benchmarks.{section.script}",
        *(section.brief.split() if brief else []),
    ]
    if section.peers:
        command += ["--peer-python", peer_python]
    begun = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    print(f"{section.script}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return None if done.returncode else done.stdout.strip()


def commit() -> str:
    """The source that was measured, as git names it."""
    asked = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(asked, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False).stdout.strip()


def page(peer_python: str, brief: bool) -> tuple[str, list[str]]:
    """The page, and the scripts that failed."""
    parts, failed = [INTRODUCTION], []
    today = datetime.datetime.now(datetime.UTC).date()
    parts.append(f"{described()}; {today}, source {commit()}.\n")
    for section in SECTIONS:
        text = measured(section, peer_python, brief)
        if text is None:
            failed.append(section.script)
        parts.append(f"## {section.title}\n\n`python -m benchmarks.{section.script}`\n\n{text or 'Not measured.'}\n")
    return "\n".join(parts), failed


def main() -> None:
    parser = argparse.ArgumentParser(description="every figure of docs/performance.md")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python that has the peers")
    parser.add_argument("--brief", action="store_true", help="to see that it runs")
    parser.add_argument("--write", type=Path, help="the file to write; else it is printed alone")
    options = parser.parse_args()
    text, failed = page(options.peer_python, options.brief)
    print(text)
    if options.write:
        options.write.write_text(text)
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


if __name__ == "__main__":
    main()
