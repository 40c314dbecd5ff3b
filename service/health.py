"""`python -m service healthy PART`: whether a part that runs alone is alive, as container engines ask it."""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Sequence

from service.settings import Settings, load_settings


def main(arguments: Sequence[str]) -> int:
    """Answer 0 when the part is alive, 1 when it is not."""
    parser = argparse.ArgumentParser(prog="python -m service healthy", description=__doc__)
    parser.add_argument("part", choices=sorted(CHECKS))
    settings = load_settings()
    return 0 if CHECKS[parser.parse_args(arguments).part](settings) else 1


def redis_answers(settings: Settings) -> bool:
    """Whether the Redis of DELTAQ_REDIS_URL answers."""
    from service.redis_server import answers

    return answers(settings.redis_url or "")


def ray_answers(settings: Settings) -> bool:
    """Whether the head of DELTAQ_RAY_ADDRESS answers, with the token of this part."""
    from service.ray_nodes import health_command

    return subprocess.run(health_command(settings), check=False, timeout=30).returncode == 0


def scheduler_leads(settings: Settings) -> bool:
    """Whether a scheduler has lately said what it sees."""
    from service.queue import STALE_S, Queue
    from service.store import Store

    cluster = Queue(Store(settings.redis_url or "")).cluster()
    return cluster is not None and float(cluster["age_s"]) < STALE_S


def sweeper_works(settings: Settings) -> bool:
    """Whether a sweeper has lately said that it is at work."""
    from service.store import Store
    from service.sweeps.records import Sweeps

    return Sweeps(Store(settings.redis_url or "")).sweeper_silent_s() is not None


def api_answers(settings: Settings) -> bool:
    """Whether the API of this machine answers."""
    from service.embedded.readiness import answers

    return answers(f"http://127.0.0.1:{settings.port}", "/healthz")


CHECKS = {
    "redis": redis_answers,
    "ray": ray_answers,
    "scheduler": scheduler_leads,
    "sweeper": sweeper_works,
    "api": api_answers,
}
