"""How this project starts Ray: the command lines of a head and of further nodes. Imports no ray, and waits for none."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.errors import Misconfigured

if TYPE_CHECKING:  # importing it takes a third of a second, and `deltaq up` gives all that a head needs
    from service.settings import Settings

HEAD_PORT = 6379
# Without the first, Ray quietly takes the host's own address for 127.0.0.1 and listens on every interface; drivers
# need it too. Without the second, a head that is told to end waits for its workers to drain.
LOOPBACK_ENVIRONMENT = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}

_RAY = (sys.executable, "-m", "ray.scripts.scripts")
_START = (*_RAY, "start", "--disable-usage-stats")


def head_command(
    slots: int, *, port: int = HEAD_PORT, loopback: bool = False, temp_dir: str | None = None
) -> list[str]:
    """A head without dashboard, log monitor and autoscaler; `slots` are its workers, one CPU each."""
    parts = ("--head", "--include-dashboard=false", "--include-log-monitor=false", "--no-monitor")
    command = [*_START, "--block", *parts, f"--port={port}", f"--num-cpus={slots}"]
    if loopback:
        command.append("--node-ip-address=127.0.0.1")
    if temp_dir:
        command.append(f"--temp-dir={temp_dir}")
    return command


def node_command(address: str, slots: int, *, block: bool = True) -> list[str]:
    """A node that joins the head at `address`."""
    return [*_START, *(["--block"] if block else []), f"--address={address}", f"--num-cpus={slots}"]


def health_command(settings: Settings) -> list[str]:
    """Asks the head whether it is well; exit code 0 says yes."""
    return [*_RAY, "health-check", f"--address={address_of_head(settings)}"]


def head_main(arguments: Sequence[str]) -> None:
    """`python -m service ray-head`: become a Ray head. Does not come back."""
    parser = argparse.ArgumentParser(prog="python -m service ray-head", description=head_command.__doc__)
    parser.add_argument("--port", type=int, default=HEAD_PORT, help="[%(default)s]")
    parser.add_argument("--loopback", action="store_true", help="listen on 127.0.0.1 alone")
    parser.add_argument("--temp-dir", help="a folder with a short path, for sockets and logs")
    parser.add_argument("--slots", type=int, help="workers on this node [DELTAQ_WORKERS]")
    given = parser.parse_args(arguments)
    slots = _settings().workers if given.slots is None else given.slots
    _become(head_command(slots, port=given.port, loopback=given.loopback, temp_dir=given.temp_dir))


def worker_main(arguments: Sequence[str]) -> None:
    """`python -m service ray-worker`: become a Ray node that offers slots. Does not come back."""
    parser = argparse.ArgumentParser(prog="python -m service ray-worker", description=node_command.__doc__)
    parser.add_argument("--slots", type=int, help="workers on this node [DELTAQ_WORKERS]")
    given = parser.parse_args(arguments)
    settings = _settings()
    slots = settings.workers if given.slots is None else given.slots
    _become(node_command(address_of_head(settings), slots))


def address_of_head(settings: Settings) -> str:
    """Raises: Misconfigured without DELTAQ_RAY_ADDRESS."""
    if not settings.ray_address:
        raise Misconfigured("DELTAQ_RAY_ADDRESS is not set; it says where the Ray head is, as host:port")
    return settings.ray_address


def _settings() -> Settings:
    from service.settings import load_settings

    return load_settings()


def _become(command: list[str]) -> None:
    """Take this process' place, so that whoever started it ends and waits for Ray itself."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}  # it would override
    os.execve(command[0], command, environment)
