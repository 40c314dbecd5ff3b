"""The service on several hosts, as it is deployed: Redis, Ray's head and `deltaq up` on one, a Ray node on each other.

All parts start by their own command lines. What only one machine can share stands in for what a cluster shares: the
artifacts lie in a folder, and every host reaches it.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service.private_files import write_private
from service.processes import die_with_parent
from tests.hosts.namespaces import Host, Network
from tests.integration.live import LiveService, until

REDIS_PORT, RAY_PORT = 6379, 6380
START_S = 90.0


class Cluster:
    """The service on the first host of a network, whose others offer so many slots each; use it on the first host."""

    def __init__(self, network: Network, slots: Mapping[str, int], folder: Path) -> None:
        self.hosts, self._slots, self._folder = network.hosts, slots, folder
        self._parts: list[subprocess.Popen[bytes]] = []
        self._log = (folder / "parts.log").open("ab")
        self._head, *_ = network.hosts.values()
        password, token = secrets.token_hex(16), folder / "ray-token"
        write_private(token, secrets.token_hex(32))
        address = self._head.address
        self._environment = {
            "DELTAQ_REDIS_URL": f"redis://:{password}@{address}:{REDIS_PORT}/0",
            "DELTAQ_RAY_ADDRESS": f"{address}:{RAY_PORT}",
            "DELTAQ_ARTIFACTS": (folder / "artifacts").as_uri(),
            "DELTAQ_DATA_DIR": str(folder / "data"),
            "DELTAQ_CHECKPOINT_S": "0.4",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
        }
        self._start(self._head, "redis", f"--bind={address}")
        self._start(self._head, "ray-head", *self._of_host("head"), f"--port={RAY_PORT}", "--slots=0")
        until(self._head_listens, START_S, "Ray's head listens")
        self._start_nodes()
        self.live = LiveService(folder / "data", 1, **self._environment)
        self._await_slots()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The calling thread is on the service's host."""
        with self._head.inside():
            yield

    def complete(self) -> None:
        """Wait until every slot is idle, with all links and with the Ray nodes that have ended started again."""
        for host in self.hosts.values():
            host.mend()
        self._await_slots()

    def serving(self, kind: str, job_id: str) -> list[str]:
        """The names of the hosts whose workers (or runners) serve a job."""
        cluster = self._picture()
        addresses = {node["id"]: node["address"] for node in cluster["nodes"]}
        names = {host.address: name for name, host in self.hosts.items()}
        return sorted(names[addresses[one["node"]]] for one in cluster[kind] if one["job"] == job_id)

    def alive(self, host: Host) -> bool:
        """Whether Ray takes the node of a host for alive."""
        return any(node["alive"] and node["address"] == host.address for node in self._picture()["nodes"])

    def stop(self) -> None:
        """End the service, and all that runs on the hosts."""
        self.live.stop()
        for host in self.hosts.values():
            host.end()
        for part in self._parts:
            part.wait()
        self._log.close()

    def _picture(self) -> dict[str, Any]:
        return dict(self.live.call("GET", "/v1/cluster").json())

    def _start_nodes(self) -> None:
        for name, slots in self._slots.items():
            if not self.hosts[name].pids():
                self._start(self.hosts[name], "ray-worker", *self._of_host(name), f"--slots={slots}")

    def _await_slots(self) -> None:
        def idle() -> bool:
            self._start_nodes()
            cluster = self._picture()
            states = [[one["state"] for one in cluster[kind]] for kind in ("workers", "runners")]
            return all(found.count("idle") == sum(self._slots.values()) for found in states)

        until(idle, START_S, "every slot is idle")

    def _of_host(self, name: str) -> list[str]:
        """What only a Ray node on this host is told: /tmp is one for all of them."""
        return [f"--node-ip={self.hosts[name].address}", f"--temp-dir={self._folder / name}"]

    def _head_listens(self) -> bool:
        try:
            socket.create_connection((self._head.address, RAY_PORT), 1.0).close()
        except OSError:
            return False
        return True

    def _start(self, host: Host, *command: str) -> None:
        """Start a part on a host; it ends with this process at the latest."""
        with host.inside():
            part = subprocess.Popen(
                [sys.executable, "-m", "service", *command],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env={**os.environ, **self._environment},
                preexec_fn=die_with_parent(),
            )
        self._parts.append(part)
