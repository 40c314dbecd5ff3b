"""`deltaq demo`: a whole service, one network trained on handwritten digits through its API, and nothing left behind.

The result belongs to the spec, so that this prints the same weights' SHA-256 on every machine of one fingerprint.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any, TextIO

from deltaq import console
from deltaq.client import Client
from deltaq.errors import Unreachable
from deltaq.handwriting import DIGITS, pixels, shaded
from deltaq.job import Job
from deltaq.model import Model
from deltaq.service_child import ServiceChild
from deltaq.watching import MEASURES, display, follow

START_S = 90.0
LOST_S = 20.0
ACCURACY = 0.95
SPEC: Mapping[str, Any] = {
    "name": "demo",
    "dataset": "digits",
    "network": {"hidden": [128, 64]},
    "batch_size": 256,
    "epochs": 40,
    "optimizer": {"learning_rate": 0.1, "momentum": 0.9},
    "workers": {"min": 2, "max": 2},
}


def run(*, as_json: bool = False) -> int:
    """Run the whole demonstration; returns the exit code, 0 where everything went as promised.

    Raises: DeltaqClientError, with the end of the logs where the service failed.
    """
    out = sys.stderr if as_json else sys.stdout
    with (
        _signals_as_exits(),
        tempfile.TemporaryDirectory(prefix="deltaq-demo-") as folder,
        ServiceChild(Path(folder) / "data", workers=2) as child,
    ):
        begun = time.monotonic()
        with _spinner(out, "starting Redis, Ray, the scheduler and the API"):
            url = child.url(START_S)
        start_s = time.monotonic() - begun
        with Client(url) as client:
            job = _train(client, child, out)
            result = _result(job, start_s=start_s)
            drawings = _read_drawings(job.model())
    if as_json:
        console.json({**result, "drawings": drawings, "job": job.record.raw})
    else:
        _print(result, drawings)
    return _verdict(job)


def _train(client: Client, child: ServiceChild, out: TextIO) -> Job:
    try:
        job = client.submit(SPEC)
        code = follow(job, display(out), give_up_s=LOST_S)
    except Unreachable as error:
        raise child.failed(str(error)) from error
    if code:
        raise child.failed(f"the job has {job.status.value}: {job.error}")
    return job


def _verdict(job: Job) -> int:
    accuracy = job.result.get("validation_accuracy")
    if accuracy is not None and accuracy > ACCURACY:
        return 0
    console.say(f"validation accuracy is {console.shown(accuracy)}, and should be above {ACCURACY:g}")
    return 1


def _result(job: Job, *, start_s: float) -> dict[str, dict[str, Any]]:
    """What came out, what it was made of, and where the time went."""
    rows = job.metrics()
    last, speeds = rows[-1], [row.samples_per_s for row in rows if row.samples_per_s]
    record, setup_s = job.record, os.environ.get("DELTAQ_SETUP_S")
    return {
        "what came out": {
            **{name.replace("_", " "): job.result.get(name, last.raw.get(name)) for name in MEASURES},
            "weights' SHA-256": job.result.get("weights_sha256"),
            "fingerprint": short(job.result.get("fingerprint")),
        },
        "what it took": {
            "steps": record.progress.steps or record.progress.step,
            "epochs": last.epoch,
            "samples/s, the median of the epochs": median(speeds) if speeds else None,
            "workers": job.result.get("workers_used"),
        },
        "where the time went, in seconds": {
            **({"setting up the environment": round(float(setup_s), 2)} if setup_s else {}),
            "starting the service": round(start_s, 2),
            "waiting in the queue": seconds_between(record.created_at, record.started_at),
            "training": seconds_between(record.started_at, record.finished_at),
        },
    }


def short(fingerprint: Any) -> str:
    """A fingerprint in one line: by what the arithmetic was done."""
    if not isinstance(fingerprint, Mapping):
        return console.shown(fingerprint)
    names = ("numpy", "core", "kernels", "machine")
    return " · ".join(f"{name} {fingerprint[name]}" for name in names if name in fingerprint)


def seconds_between(start: str | None, end: str | None) -> float | None:
    """The seconds from one RFC 3339 time to another."""
    if start is None or end is None:
        return None
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 3)


def _read_drawings(model: Model) -> list[dict[str, Any]]:
    """What the model reads in three digits that are in no data set."""
    predictions = model.predict([pixels(drawing) for drawing in DIGITS.values()])
    return [
        {"drawn": drawn, "read": one.label, "probability": one.probabilities.get(one.label)}
        for drawn, one in zip(DIGITS, predictions, strict=True)
    ]


def _print(result: Mapping[str, Mapping[str, Any]], drawings: list[dict[str, Any]]) -> None:
    for title, values in result.items():
        console.write(f"\n{title}\n")
        console.facts({f"  {name}": value for name, value in values.items()})
    console.write("\nthree digits drawn by hand, and what the model reads in them\n\n")
    for lines in zip(*map(shaded, DIGITS.values()), strict=True):
        console.write("  " + "   ".join(lines).rstrip() + "\n")
    readings = (f"{one['read']} ({console.shown(one['probability'])})".center(16) for one in drawings)
    console.write("  " + "   ".join(readings).rstrip() + "\n")


@contextmanager
def _spinner(out: TextIO, text: str) -> Iterator[None]:
    if not out.isatty():
        print(text, file=out, flush=True)
        yield
        return
    from rich.console import Console

    with Console(file=out).status(text):
        yield


@contextmanager
def _signals_as_exits() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end this as Ctrl-C does: through every `finally`."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
