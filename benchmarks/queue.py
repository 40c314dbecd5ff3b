"""The queue: jobs accepted a second, tiny jobs finished a second, and the time of a claim; beside peers.

    python -m benchmarks.queue [--peer-python PYTHON] [--rounds 5] [--turn-s 3] [--jobs 300]
                               [--depths 10 1000 100000] [--claims 200]

Each Redis is of the service's kind: it flushes each change to disk before it answers. All take turns, on the clock; a
ratio is that of one turn.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks import accepting, claiming, finishing
from benchmarks.accepting import CONNECTIONS
from benchmarks.machine import described


def show(options: argparse.Namespace, folder: Path) -> None:
    """Print the tables, each with what it shows."""
    print("Medians, in brackets the least and the largest ratio. Each Redis flushes each change to disk.")
    print(f"Machine: {described()}.\n")
    print(
        f"Jobs accepted: iris, 4-8-3, by {CONNECTIONS} connections that stay open, with one process of the API and no"
    )
    print(f"scheduler; turns of {options.turn_s:g} s, {options.rounds} rounds.\n")
    print(accepting.compared(folder / "accepting", options.rounds, options.turn_s), "\n", flush=True)
    print(
        f"Jobs finished: the same spec, one epoch, {options.jobs} jobs a turn, {options.rounds} rounds. RQ's jobs are"
    )
    print(
        "the same training as a function of plain NumPy; deltaq's are posted over HTTP, and leave metrics, events and"
    )
    print("a model.\n")
    print(finishing.compared(folder / "finishing", options.peer_python, options.jobs, options.rounds), "\n", flush=True)
    print(
        f"A claim by the number of queued jobs, {options.claims} claims. deltaq's takes the first of several priorities"
    )
    print("and widths, with its lease, events and indexes; RQ's moves the head of a list and reads that job.\n")
    print(claiming.compared(folder / "claiming", options.peer_python, options.depths, options.claims))


def main() -> None:
    parser = argparse.ArgumentParser(description="the queue beside peers")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python that has the peers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turn-s", type=float, default=3.0, help="seconds of accepting at one's turn")
    parser.add_argument("--jobs", type=int, default=300, help="to finish in a turn")
    parser.add_argument("--depths", type=int, nargs="+", default=[10, 1000, 100_000], help="queued jobs")
    parser.add_argument("--claims", type=int, default=200, help="at each depth")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # a real disk, where /tmp may be memory
        show(options, Path(folder))


if __name__ == "__main__":
    main()
