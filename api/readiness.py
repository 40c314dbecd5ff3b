"""Whether each part of the service serves, as the API can tell: from Redis and from what the scheduler writes there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from service.errors import StoreUnavailable
from service.queue import STALE_S, Queue
from service.sweeps.records import SWEEPER_KEPT_S, Sweeps


@dataclass(frozen=True)
class Part:
    """One part: whether it serves, and what is wrong."""

    ready: bool
    detail: str


def readiness(queue: Queue, sweeps: Sweeps) -> dict[str, Part]:
    """Look at Redis, the scheduler, Ray and the sweeper."""
    try:
        picture, silent_s = queue.cluster(), sweeps.sweeper_silent_s()
    except StoreUnavailable as error:
        unknown = Part(False, "not known while Redis does not answer")
        return {"redis": Part(False, error.detail), "scheduler": unknown, "ray": unknown, "sweeper": unknown}
    return {
        "redis": Part(True, "answers"),
        "scheduler": _scheduler(picture),
        "ray": _ray(picture),
        "sweeper": _sweeper(silent_s),
    }


def parts_json(parts: dict[str, Part]) -> dict[str, Any]:
    """Write the parts by name."""
    return {name: asdict(part) for name, part in parts.items()}


def _scheduler(picture: dict[str, Any] | None) -> Part:
    if picture is None:
        return Part(False, "no scheduler has led within the last minute")
    if picture["age_s"] > STALE_S:
        return Part(False, f"the scheduler has been silent for {picture['age_s']:.0f} s")
    return Part(True, "leads")


def _ray(picture: dict[str, Any] | None) -> Part:
    if picture is None or picture["age_s"] > STALE_S:
        return Part(False, "not known while no scheduler leads")
    alive = sum(1 for node in picture.get("nodes", ()) if node.get("alive"))
    return Part(alive > 0, f"{alive} nodes alive")


def _sweeper(silent_s: float | None) -> Part:
    if silent_s is None:
        return Part(False, f"no sweeper has been at work within the last {SWEEPER_KEPT_S:g} s")
    return Part(True, "at work")
