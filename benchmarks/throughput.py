"""Training on two cores, beside the peers and the machine's own bound: samples a second on the same rows and network.

    python -m benchmarks.throughput [--peer-python PYTHON] [--rounds 5] [--turn-s 0.7]

784-256-128-10, ReLU, softmax with cross-entropy, float32, plain SGD. deltaq trains as its users have it, by jobs of two
shards on a running service. The others are warm processes that hold the rows in memory. All take turns; a ratio is that
of one round. The slow ones are compared apart, so that none of them is there beside the fast ones.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

from benchmarks import contestants
from benchmarks.contestants import Contestant, Entry, Served
from benchmarks.machine import described
from benchmarks.made_rows import PARAMETERS, ROWS
from benchmarks.sides import Absent
from benchmarks.tables import spread, table

BATCHES = (64, 256, 1024)
GOALS = {
    contestants.PORTABLE: {64: 0.50, 256: 0.70, 1024: 0.80},
    contestants.NATIVE: {64: 0.50, 256: 0.70, 1024: 0.80},
    contestants.PYTORCH: {64: 1.3, 256: 1.2, 1024: 1.0},
    contestants.DISTRIBUTED: {64: 5.0, 256: 3.5},
    contestants.H2O: {64: 25.0, 256: 25.0, 1024: 25.0},
}


class Budget(NamedTuple):
    """How long is measured: so many rounds, in each so many seconds at one's turn."""

    rounds: int
    turn_s: float


def speeds(all_of_them: Sequence[Contestant], batch: int, budget: Budget) -> dict[str, list[float]]:
    """Samples a second of each, in each round; who is first changes from round to round."""
    epochs = {one.name: enough_epochs(one, batch, budget.turn_s) for one in all_of_them}
    found: dict[str, list[float]] = {one.name: [] for one in all_of_them}
    for number in range(budget.rounds):
        first = number % len(all_of_them)
        for one in (*all_of_them[first:], *all_of_them[:first]):
            found[one.name].append(epochs[one.name] * ROWS / one.seconds(batch, epochs[one.name]))
    return found


def enough_epochs(one: Contestant, batch: int, turn_s: float) -> int:
    """How many fill a turn, once it is warm."""
    one.seconds(batch, 1)
    return max(1, round(turn_s / one.seconds(batch, 1)))


def compared(own: Contestant, others: Sequence[Contestant], batch: int, budget: Budget) -> Iterator[list[str]]:
    """Rows of the table for one batch size."""
    found = speeds([own, *others], batch, budget)
    yield [*named(own.name, batch, found[own.name]), "", ""]
    for one in others:
        ratios = [mine / theirs for mine, theirs in zip(found[own.name], found[one.name], strict=True)]
        goal = GOALS.get(one.name, {}).get(batch)
        yield [*named(one.name, batch, found[one.name]), spread(ratios), "" if goal is None else f"≥ {goal:.2f}"]


def named(name: str, batch: int, samples_per_s: list[float]) -> list[str]:
    speed = statistics.median(samples_per_s)
    return [name, str(batch), f"{speed:,.0f}", f"{1e3 * batch / speed:.3f}"]


def compare(client: Any, entries: Sequence[Entry], budget: Budget) -> None:
    """Print one table, and what could not be in it."""
    own, rows = Served(client), list[list[str]]()
    with ExitStack() as running:
        others, absent = list[Contestant](), list[str]()
        for entry in entries:
            try:
                others.append(running.enter_context(entry.started()))
            except Absent as missing:
                absent.append(f"{entry.name} is left out: {missing}.")
        for batch in BATCHES:
            rows += compared(own, others, batch, budget)
            print(f"batch {batch} is done", file=sys.stderr, flush=True)
    print(table(["", "batch", "samples/s", "ms a step", "deltaq / it", "goal"], rows), "", sep="\n")
    print("Versions:", ", ".join(dict.fromkeys(one.version for one in (own, *others))) + ".", *absent, "\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="training on two cores beside the peers")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python that has the peers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turn-s", type=float, default=0.7, help="seconds of each at its turn, at least an epoch")
    options = parser.parse_args()
    print(__doc__.split("\n\n")[2], f"{PARAMETERS:,} parameters, {ROWS:,} rows. Machine: {described()}.\n", sep="\n")
    print(f"Medians of {options.rounds} rounds, in brackets the least and the largest ratio.\n")
    with contestants.service_with_rows() as client:
        compare(client, contestants.fast(options.peer_python), Budget(options.rounds, options.turn_s))
        few = Budget(-(-options.rounds // 2), options.turn_s)
        compare(client, contestants.slow(options.peer_python), few)


if __name__ == "__main__":
    main()
