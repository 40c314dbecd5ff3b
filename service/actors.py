"""Ray's side of the pool: nodes with slots, named actors on them, and what their calls answer. Knows no job.

Actors are named, detached and never restarted by Ray: who replaces them knows what they served.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ray
import structlog
from ray.exceptions import ActorUnschedulableError, RayActorError, RayError
from ray.util import list_named_actors
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

log = structlog.get_logger()

GONE = (RayActorError, ActorUnschedulableError)  # it has died, or its node had before it stood


def nodes() -> list[dict[str, Any]]:
    """Every node that Ray knows."""
    return [
        {
            "id": node["NodeID"],
            "address": node["NodeManagerAddress"],
            "alive": node["Alive"],
            "slots": int(node["Resources"].get("CPU", 0)) if node["Alive"] else 0,
        }
        for node in ray.nodes()
    ]


def named(names_start: str) -> list[str]:
    """The actors whose names start so."""
    return sorted(name for name in list_named_actors() if name.startswith(names_start))


def find(name: str) -> Any | None:
    """The actor of this name, if it lives."""
    try:
        return ray.get_actor(name)
    except ValueError:
        return None


def make(kind: type, name: str, node: str, *arguments: Any, **options: Any) -> Any:
    """Start an actor on this very node."""
    where = NodeAffinitySchedulingStrategy(node, soft=False)
    options = {"name": name, "lifetime": "detached", "get_if_exists": True, "max_restarts": 0, **options}
    return ray.remote(kind).options(scheduling_strategy=where, **options).remote(*arguments)


def answered(calls: Iterable[Any], wait_s: float = 0.0, *, wait_for_all: bool = False) -> list[Any]:
    """Those of the calls that have an answer, after at most `wait_s` for the first of them (or for all)."""
    waiting = list(calls)
    if not waiting:
        return []
    if wait_s > 0:
        ray.wait(waiting, num_returns=len(waiting) if wait_for_all else 1, timeout=wait_s)
    ready: list[Any] = ray.wait(waiting, num_returns=len(waiting), timeout=0)[0]
    return ready


def reason_of(death: RayError) -> str:
    """Why an actor died, in one line: what Ray knows of its process, without advice; of a traceback, the last."""
    lines = [line.strip() for line in str(death).splitlines() if line.strip()]
    if any(line.startswith("File ") for line in lines):
        return lines[-1]
    known = next((line for line in lines if line.startswith("The actor is dead because")), lines[0])
    return known.partition(" Some common causes")[0]


def retire(names_start: str, but: str, epoch: int, timeout_s: float) -> list[str]:
    """Drain and end the actors whose names start so, but for those that start as `but` says; answers their names.

    They are of another version, and hold the slots that this one needs.
    """
    others = [name for name in named(names_start) if not name.startswith(but)]
    actors = {name: actor for name in others if (actor := find(name)) is not None}
    runners = [actor for name, actor in actors.items() if "-runner-" in name]
    for runner in runners:
        runner.drain.remote(epoch)
    answered([runner.join.remote(epoch) for runner in runners], timeout_s, wait_for_all=True)
    for name, actor in actors.items():
        log.info("ending an actor of another version", actor=name)
        ray.kill(actor)
    return sorted(actors)
