"""How this project starts Ray: the command lines of a head and of further nodes. Imports no ray, and waits for none."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from service.errors import Misconfigured

if TYPE_CHECKING:  # importing it takes a third of a second, and `deltaq up` gives all that a head needs
    from service.settings import Settings

HEAD_PORT = 6379
LOOPBACK = "127.0.0.1"
# Without the first, Ray quietly takes the host's own address for 127.0.0.1 and listens on every interface; drivers
# need it too. Without the second, a head that is told to end waits for its workers to drain.
LOOPBACK_ENVIRONMENT = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}

# How a head of several nodes finds out that one of them is dead or cut off. A step that waits for an answer from there,
# and a job whose runner was there, stand still until then. Ray's own pace (each 3 s, 10 s for an answer, 5 times) takes
# 15 s for a raylet that was killed and 65 s for one whose link is cut; this takes 3 and 7. It must not be much less: a
# raylet that was only stopped for a while, by a full machine or while its virtual machine moves, is ended with all its
# actors. It must be less than a lease (DELTAQ_LEASE_S, 10 s), so that what is gone is known to be gone before its jobs
# are taken for silent. A head on loopback keeps Ray's pace: it has no other node, and ends with its raylet.
HEALTH_CHECKS = {
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "4",
}

_RAY = (sys.executable, "-m", "ray.scripts.scripts")
_START = (*_RAY, "start", "--disable-usage-stats")


def head_command(
    slots: int, *, port: int = HEAD_PORT, node_ip: str | None = None, temp_dir: str | None = None
) -> list[str]:
    """A head without dashboard, log monitor and autoscaler; `slots` are its workers, one CPU each."""
    parts = ("--head", "--include-dashboard=false", "--include-log-monitor=false", "--no-monitor")
    return [*_START, "--block", *parts, f"--port={port}", f"--num-cpus={slots}", *_at(node_ip, temp_dir)]


def node_command(
    address: str, slots: int, *, node_ip: str | None = None, temp_dir: str | None = None, block: bool = True
) -> list[str]:
    """A node that joins the head at `address`, without a log monitor."""
    parts = [*(["--block"] if block else []), "--include-log-monitor=false"]
    return [*_START, *parts, f"--address={address}", f"--num-cpus={slots}", *_at(node_ip, temp_dir)]


def health_command(settings: Settings) -> list[str]:
    """Asks the head whether it is well; exit code 0 says yes."""
    return [*_RAY, "health-check", f"--address={address_of_head(settings)}"]


def head_main(arguments: Sequence[str]) -> None:
    """`python -m service ray-head`: become a Ray head. Does not come back."""
    parser = argparse.ArgumentParser(prog="python -m service ray-head", description=head_command.__doc__)
    parser.add_argument("--port", type=int, default=HEAD_PORT, help="[%(default)s]")
    _add_own_options(parser)
    given = parser.parse_args(arguments)
    slots = _settings().workers if given.slots is None else given.slots
    command = head_command(slots, port=given.port, node_ip=given.node_ip, temp_dir=given.temp_dir)
    _become(command, {} if given.node_ip == LOOPBACK else HEALTH_CHECKS)


def worker_main(arguments: Sequence[str]) -> None:
    """`python -m service ray-worker`: become a Ray node that offers slots. Does not come back."""
    parser = argparse.ArgumentParser(prog="python -m service ray-worker", description=node_command.__doc__)
    _add_own_options(parser)
    given = parser.parse_args(arguments)
    settings = _settings()
    slots = settings.workers if given.slots is None else given.slots
    _become(node_command(address_of_head(settings), slots, node_ip=given.node_ip, temp_dir=given.temp_dir))


def address_of_head(settings: Settings) -> str:
    """Raises: Misconfigured without DELTAQ_RAY_ADDRESS."""
    if not settings.ray_address:
        raise Misconfigured("DELTAQ_RAY_ADDRESS is not set; it says where the Ray head is, as host:port")
    return settings.ray_address


def _settings() -> Settings:
    from service.settings import load_settings

    return load_settings()


def _add_own_options(parser: argparse.ArgumentParser) -> None:
    """What a node may be told of its own machine."""
    parser.add_argument("--slots", type=int, help="workers on this node [DELTAQ_WORKERS]")
    parser.add_argument(
        "--node-ip", help="the address at which the other nodes reach this one [the one that Ray finds]"
    )
    parser.add_argument("--temp-dir", help="a folder with a short path, for sockets and logs")


def _at(node_ip: str | None, temp_dir: str | None) -> list[str]:
    options = {"--node-ip-address": node_ip, "--temp-dir": temp_dir}
    return [f"{name}={value}" for name, value in options.items() if value]


def _become(command: list[str], defaults: Mapping[str, str] | None = None) -> None:
    """Take this process' place, so that whoever started it ends and waits for Ray itself."""
    environment = {**(defaults or {}), **os.environ}
    environment.pop("RAY_ADDRESS", None)  # it would override the address of the command
    os.execve(command[0], command, environment)
