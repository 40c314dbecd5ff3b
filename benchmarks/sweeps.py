"""Trials a second of a search on a warm service, beside searches by peers; and what ASHA saves.

    python -m benchmarks.sweeps [--peer-python PYTHON] [--rounds 5] [--slow-rounds 1] [--trials 32] [--asha-trials 200]

The service runs as users run it (`deltaq up`, two workers, Redis flushing each change to disk), and a sweep is posted
over HTTP: each trial of it is a job with metrics, events and a record. The peers' trials are calls of a function of
plain NumPy, or fits of scikit-learn. All take turns, on the clock; a ratio is that of one turn.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.machine import described
from benchmarks.peers.digits import BATCH, EPOCHS, HIDDEN
from benchmarks.peers.search import HIGHEST, LOWEST
from benchmarks.service import ONE_THREAD, running_service
from benchmarks.sides import Absent, Side
from benchmarks.tables import spread, table

GOAL_TRIALS_S, GOAL_SHARE = 10, 0.25
SPEC: dict[str, Any] = {
    "base": {"dataset": "digits", "network": {"hidden": [HIDDEN]}, "epochs": EPOCHS, "batch_size": BATCH},
    "space": {"optimizer.learning_rate": {"log_uniform": [LOWEST, HIGHEST]}},
    "sampler": "random",
}


class Peer(NamedTuple):
    """A search by others: its module with its arguments, and how many times faster deltaq is meant to be."""

    name: str
    command: Sequence[str]
    goal: float | None
    slow: bool = False


PEERS = (
    Peer("Ray Tune, a new actor a trial", ["benchmarks.peers.ray_tune", "new"], None, slow=True),
    Peer("Ray Tune, actors reused, one step a trial", ["benchmarks.peers.ray_tune", "reused"], 50),
    Peer("Optuna, n_jobs=2 in one process", ["benchmarks.peers.optuna_threads"], 3),
    Peer("scikit-learn, RandomizedSearchCV(n_jobs=2)", ["benchmarks.peers.randomized_search"], 5),
)


class Served:
    """deltaq: sweeps that are posted, and watched to their end."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._seed = 0

    def seconds(self, trials: int) -> float:
        """From before the POST until the sweep has succeeded; no two draw the same rates."""
        self._seed += 1
        begun = time.perf_counter()
        sweep = self._client.sweep({**SPEC, "trials": trials, "seed": self._seed}).wait()
        took = time.perf_counter() - begun
        if sweep.progress.succeeded + sweep.progress.failed != trials or sweep.status != "succeeded":
            sys.exit(f"{sweep.progress.succeeded} of {trials} trials succeeded: {sweep.status}")
        return took

    def search(self, trials: int, **fields: Any) -> tuple[float, int]:
        """The best loss, and how many epochs all trials have trained for."""
        sweep = self._client.sweep({**SPEC, "trials": trials, "seed": 0, **fields}).wait()
        lines = sweep.figure("intermediate_values")["lines"]
        return sweep.best[0].values[0], sum(max(line["epochs"]) for line in lines)


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """A service of two workers."""
    from deltaq import Client

    with running_service(folder) as url, Client(url) as client:
        yield Served(client)


def compared(own: Served, options: argparse.Namespace) -> str:
    """The table of trials a second, and who could not be in it."""
    rows, versions, absent, mine = list[list[str]](), list[str](), list[str](), list[float]()
    own.seconds(options.trials)  # warm
    for peer in PEERS:
        if peer.slow and not options.slow_rounds:
            continue
        with ExitStack() as running:
            try:
                side = Side([options.peer_python, "-m", *peer.command], ONE_THREAD)
            except Absent as missing:
                absent.append(f"{peer.name}, is left out: {str(missing).rstrip('.')}.")
                continue
            running.callback(side.close)
            versions.append(side.version)
            if not peer.slow:
                side.ask(options.trials)
            pairs = [
                (options.trials / own.seconds(options.trials), options.trials / float(side.ask(options.trials)))
                for _ in range(options.slow_rounds if peer.slow else options.rounds)
            ]
        mine += [speed for speed, _ in pairs]
        speed = statistics.median(theirs for _, theirs in pairs)
        goal = "" if peer.goal is None else f"≥ {peer.goal:.2f}"
        rows.append([peer.name, f"{speed:,.2f}", spread([ours / theirs for ours, theirs in pairs]), goal])
    mine = mine or [options.trials / own.seconds(options.trials)]
    first = [
        "deltaq, a sweep over HTTP, 2 workers",
        f"{statistics.median(mine):,.2f}",
        "",
        f"≥ {GOAL_TRIALS_S} trials/s",
    ]
    said = [f"Versions: {', '.join(dict.fromkeys(versions))}."] if versions else []
    return "\n".join([table(["", "trials/s", "deltaq / it", "goal"], [first, *rows]), "", *said, *absent])


def halved(own: Served, trials: int) -> str:
    """The table of what ASHA saves, on the same points as without it."""
    space = {**SPEC["space"], "network.hidden": {"categorical": [[16], [64], [64, 64]]}}
    full, every = own.search(trials, space=space)
    best, used = own.search(trials, space=space, pruner="asha")
    rows = [
        ["random", f"{full:.4f}", f"{every:,}", "", ""],
        ["random with ASHA", f"{best:.4f}", f"{used:,}", f"{used / every:.2f}", f"≤ {GOAL_SHARE:.2f}"],
    ]
    return table(["", "best validation loss", "epochs", "share", "goal"], rows)


def show(own: Served, options: argparse.Namespace) -> None:
    """Print the tables, each with what it shows."""
    print(f"{options.trials} trials of digits, 64-{HIDDEN}-10, {EPOCHS} epochs, batch {BATCH}, float32, SGD, at random")
    print("learning rates: trials a second, from the call to the last one's end, medians. The peers' training is one")
    print(f"function of plain NumPy, or scikit-learn's own; two at a time. Machine: {described()}.\n")
    print(compared(own, options), "\n", flush=True)
    print(f"{options.asha_trials} trials by chance, of learning rate and widths, and the same with those stopped early")
    print("that successive halving stops.\n")
    print(halved(own, options.asha_trials))


def main() -> None:
    parser = argparse.ArgumentParser(description="sweeps beside peers")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python that has the peers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slow-rounds", type=int, default=1, help="of Ray Tune with a new actor a trial")
    parser.add_argument("--trials", type=int, default=32, help="of each search")
    parser.add_argument("--asha-trials", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder, served(Path(folder, "data")) as own:
        show(own, options)


if __name__ == "__main__":
    main()
