"""What a parameter server and a worker of its node say to each other: packets of a SOCK_SEQPACKET socket, and fds.

The weights and what is computed from them never travel here: they lie in shared memory. Knows no gang and no job.
"""

from __future__ import annotations

import os
import pickle
import socket
import struct
from dataclasses import dataclass
from typing import NamedTuple

from workers.batches import Step
from workers.datafiles import Part
from workers.shard_computer import Assignment

LARGEST = 1 << 17  # bytes of a packet; a socket's buffer takes more

READY, REFUSED, DONE, FAILED = range(4)  # the first byte of what a worker says

_ORDER = struct.Struct("<QBQQ?")
_RUN = struct.Struct("<III")
_DONE = struct.Struct("<BQd")
_CREDENTIALS = struct.Struct("3i")
_PARTS: tuple[Part | None, ...] = (None, "train", "validation")


@dataclass(frozen=True)
class Hello:
    """What a worker is told first, together with the weights' block."""

    token: str
    assignment: Assignment
    fingerprint: dict[str, str]


class Run(NamedTuple):
    """A complete subtree [lo, hi) of shards, and the slot for its sums; or the blocks lo … hi − 1 of a part."""

    lo: int
    hi: int
    slot: int = 0


class Order(NamedTuple):
    """What a worker is to compute with the weights as they are now: a step's subtrees, or blocks of a part."""

    serial: int
    part: Part | None  # None: a step
    step: Step
    runs: tuple[Run, ...]

    def packed(self) -> bytes:
        """The packet."""
        head = _ORDER.pack(self.serial, _PARTS.index(self.part), *self.step)
        return head + b"".join(_RUN.pack(*run) for run in self.runs)

    @classmethod
    def unpacked(cls, packet: bytes) -> Order:
        """An order from its packet."""
        serial, part, *step = _ORDER.unpack_from(packet)
        runs = tuple(Run(*found) for found in _RUN.iter_unpack(packet[_ORDER.size :]))
        return cls(serial, _PARTS[part], Step(*step), runs)


def send_hello(connection: socket.socket, hello: Hello, block: int) -> None:
    """Say hello, and hand over the weights' block."""
    socket.send_fds(connection, [pickle.dumps(hello)], [block])


def read_hello(connection: socket.socket) -> tuple[Hello, int]:
    """What was said, of a peer whose user is known to be one's own, and the weights' block.

    Raises: OSError when there is none.
    """
    packet, descriptors, _, _ = socket.recv_fds(connection, LARGEST, 1)
    if not descriptors:
        raise ConnectionError("the gang is gone before its hello")
    try:
        return pickle.loads(packet), descriptors[0]
    except Exception:  # of another version
        os.close(descriptors[0])
        raise


def done(serial: int, seconds: float) -> bytes:
    """A worker's answer to an order that it has fulfilled."""
    return _DONE.pack(DONE, serial, seconds)


def read_done(packet: bytes) -> tuple[int, float]:
    """The serial of the order, and how long it took in seconds."""
    _, serial, seconds = _DONE.unpack(packet)
    return serial, seconds


def said(kind: int, text: str) -> bytes:
    """A worker's answer that says why."""
    return bytes([kind]) + text.encode()[: LARGEST - 1]


def text_of(packet: bytes) -> str:
    """Why, out of such an answer."""
    return packet[1:].decode(errors="replace")


def peer_of(connection: socket.socket) -> int:
    """The process at the other end.

    Raises: PermissionError when it is another user's.
    """
    pid, user, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    if user != os.geteuid():
        raise PermissionError(f"the process at the other end is user {user}'s; allowed: {os.geteuid()}")
    return int(pid)
