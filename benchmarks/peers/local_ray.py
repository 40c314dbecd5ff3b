"""A Ray of a side's own, on loopback alone, ended with the side."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

CPUS = 4  # more than there are workers, so that none waits for what Ray itself books


@contextmanager
def local_ray() -> Iterator[str]:
    """Ray, initialised; gives a folder for its files."""
    os.environ.pop("RAY_ADDRESS", None)
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # else it takes the host's own address for 127.0.0.1
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    import ray

    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:
        ray.init(
            num_cpus=CPUS,
            include_dashboard=False,
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=folder,
        )
        try:
            yield folder
        finally:
            ray.shutdown()
