"""Several hosts on one machine: network namespaces, each with an address of its own, joined by a switch.

A host has interfaces, ports and abstract sockets of its own, and a link that can be cut. Host name, processes, files,
/tmp and /dev/shm are the machine's, and so everybody's. Needs root and iproute2. Knows nothing of the service.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count

import psutil

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
END_S = 20.0
CLONE_NEWNET = 0x40000000  # of <sched.h>; Python has os.setns from 3.12 on
_networks = count()
_libc = ctypes.CDLL(None, use_errno=True)


def lacking() -> str | None:
    """What this machine lacks to have hosts within it, if anything."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip", path=PATH) is None:
        return "network namespaces need the command ip of iproute2"
    try:
        Network([]).close()
    except subprocess.CalledProcessError as refused:
        return f"network namespaces are refused here: {refused.stderr.strip()}"
    return None


@dataclass(frozen=True)
class Host:
    """One host: the network namespace `namespace`, plugged into the switch's port of the same name."""

    namespace: str
    address: str
    switch: str

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The calling thread is on this host, with the sockets that it opens and the processes that it starts."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.namespace}") as here:
            _enter(here.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def cut(self) -> None:
        """Cut its link: whoever talks over it is told nothing."""
        _ip("-n", self.switch, "link", "set", self.namespace, "down")

    def mend(self) -> None:
        """Bring the link back."""
        _ip("-n", self.switch, "link", "set", self.namespace, "up")

    def pids(self) -> list[int]:
        """The processes on this host, whoever started them; never this one."""
        inode = os.stat(f"/run/netns/{self.namespace}").st_ino
        return [pid for pid in psutil.pids() if pid != os.getpid() and _namespace_of(pid) == inode]

    def end(self) -> None:
        """Kill every process on this host and wait for their ends."""
        deadline = time.monotonic() + END_S
        while pids := self.pids():
            assert time.monotonic() < deadline, f"processes {pids} do not end"
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)


class Network:
    """Hosts of these names, all on one switch; `close` ends what runs on them."""

    def __init__(self, names: Sequence[str]) -> None:
        prefix = f"dq{os.getpid()}n{next(_networks)}"  # a port's name has 15 characters at most
        self.switch = f"{prefix}sw"
        self.hosts = {
            name: Host(f"{prefix}h{number}", f"10.83.0.{number}", self.switch)
            for number, name in enumerate(names, start=1)
        }
        try:
            self._lay_out()
        except subprocess.CalledProcessError:
            self.close()
            raise

    def _lay_out(self) -> None:
        _ip("netns", "add", self.switch)
        _ip("-n", self.switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self.switch, "link", "set", "bridge", "up")
        for host in self.hosts.values():
            _ip("netns", "add", host.namespace)
            there = ("peer", "name", "uplink", "netns", host.namespace)
            _ip("-n", self.switch, "link", "add", host.namespace, "type", "veth", *there)
            _ip("-n", self.switch, "link", "set", host.namespace, "master", "bridge", "up")
            _ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "uplink")
            for name in ("lo", "uplink"):
                _ip("-n", host.namespace, "link", "set", name, "up")

    def close(self) -> None:
        """End every process on the hosts, and the network."""
        for namespace in (*(host.namespace for host in self.hosts.values()), self.switch):
            if os.path.exists(f"/run/netns/{namespace}"):
                Host(namespace, "", self.switch).end()
                _ip("netns", "delete", namespace)


def _ip(*arguments: str) -> None:
    command = ["ip", *arguments]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=30, env={**os.environ, "PATH": PATH})


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"setns: {os.strerror(error)}")


def _namespace_of(pid: int) -> int | None:
    """The inode of a process's network namespace; None when it has ended."""
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return None
