"""`python -m service scheduler`: becomes the scheduler, where needed on a Ray node of its own."""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Sequence

from service.artifacts import Artifacts
from service.builtin import install_builtins
from service.dataset_records import DatasetRecords
from service.errors import Misconfigured, StoreUnavailable
from service.housekeeping import start_housekeeping
from service.migrations import check_schema
from service.ray_nodes import address_of_head, node_command
from service.redis_server import await_suitable
from service.settings import load_settings
from service.store import Store
from workers import kernels, logs


def main(arguments: Sequence[str]) -> None:
    """Schedule until SIGTERM.

    Raises: Misconfigured when Redis or Ray is not named, or Redis could lose jobs; StoreUnavailable without Redis.
    """
    parser = argparse.ArgumentParser(prog="python -m service scheduler", description=__doc__)
    parser.add_argument(
        "--join-ray",
        action="store_true",
        help="first start a Ray node without slots here: a driver needs one on its own machine or container",
    )
    given = parser.parse_args(arguments)
    settings = load_settings()
    logs.configure(settings.log_level)
    address = address_of_head(settings)
    if not settings.redis_url:
        raise Misconfigured("DELTAQ_REDIS_URL is not set; it says where Redis is, as redis://:password@host:port/0")
    if given.join_ray:
        # Not watched: when it dies, Ray ends this process too, and whoever started it starts both again.
        subprocess.run(node_command(address, slots=0, block=False), check=True)
    await_suitable(settings.redis_url)
    store, artifacts = Store(settings.redis_url), Artifacts(settings.artifacts_url)
    _settle(store, artifacts)  # while Ray, started at the same moment, is not ready yet
    start_housekeeping(settings, store, artifacts)
    from service.scheduler import run  # imports ray, which takes more than a second

    kernels.check()
    run(settings)


def _settle(store: Store, artifacts: Artifacts) -> None:
    """Bring the keys to this version, and put the built-in data sets in their place.

    Raises: Misconfigured for keys of a newer version.
    """
    while True:
        try:
            check_schema(store)
            install_builtins(DatasetRecords(store), artifacts)
        except StoreUnavailable:
            time.sleep(0.2)
        else:
            return
