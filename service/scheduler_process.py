"""`python -m service scheduler`: becomes the scheduler, where needed on a Ray node of its own."""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Sequence

from service.errors import Misconfigured
from service.ray_nodes import address_of_head, node_command
from service.settings import load_settings
from workers import kernels


def main(arguments: Sequence[str]) -> None:
    """Schedule until SIGTERM.

    Raises: Misconfigured when Redis or Ray is not named.
    """
    parser = argparse.ArgumentParser(prog="python -m service scheduler", description=__doc__)
    parser.add_argument(
        "--join-ray",
        action="store_true",
        help="first start a Ray node without slots here: a driver needs one on its own machine or container",
    )
    given = parser.parse_args(arguments)
    settings = load_settings()
    address = address_of_head(settings)
    if not settings.redis_url:
        raise Misconfigured("DELTAQ_REDIS_URL is not set; it says where Redis is, as redis://:password@host:port/0")
    if given.join_ray:
        # Not watched: when it dies, Ray ends this process too, and whoever started it starts both again.
        subprocess.run(node_command(address, slots=0, block=False), check=True)
    from service.scheduler import run  # imports ray, which takes more than a second

    kernels.check()
    run(settings)
