"""A worker of one's own node, as the parameter server sees it: told by packets, its answers read in shared memory.

A worker that dies is an end of file at once. One that is stopped is none: who waits for it decides how long, and ends
it by its pidfd, which never names another process. Knows no shares and no sums.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
from contextlib import suppress

from workers.mlp.parameters import Parameters
from workers.place import Slot
from workers.transport import messages, shared_memory
from workers.transport.blocks import AnswerBlock, AnswerLayout
from workers.transport.messages import Hello, Order
from workers.transport.patience import Patience


class PeerLost(Exception):
    """It is dead, or does not want to serve: the rest goes on without it."""


class PeerFailed(Exception):
    """What it was to compute cannot be computed, there or elsewhere."""


class Peer:
    """One worker: joining until its block is here, then ready.

    Raises at construction: PeerLost when nobody listens at its address.
    """

    def __init__(self, slot: Slot, hello: Hello, block: int, weights: Parameters, layout: AnswerLayout) -> None:
        self.slot = slot
        self.weights = weights  # those that it reads: they lie in the block
        self.answers: AnswerBlock | None = None
        self.patience = Patience()
        self._layout = layout
        self._pidfd = -1
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self.connection.setblocking(False)
            self.connection.connect(slot.address)
            self._pidfd = os.pidfd_open(messages.peer_of(self.connection))
            messages.send_hello(self.connection, hello, block)
        except OSError as error:  # also when the process ended before its pidfd was here: the hello finds nobody
            self.close()
            raise PeerLost(f"{slot.name} cannot be reached: {error}") from error

    @property
    def ready(self) -> bool:
        """Whether it has joined; looks whether it has by now.

        Raises: PeerLost when it died, or refuses to serve.
        """
        if self.answers is None:
            self._look()
        return self.answers is not None

    def tell(self, order: Order) -> None:
        """Have it compute; that it is dead is heard, not told."""
        with suppress(OSError):
            self.connection.send(order.packed())

    def hear(self) -> tuple[int, float]:
        """The serial of the order that it has done, and the seconds it took; to be called when there is a packet.

        Raises: PeerLost; PeerFailed.
        """
        try:
            packet = self.connection.recv(messages.LARGEST)
        except OSError as error:
            raise PeerLost(f"{self.slot.name} died") from error
        if not packet:
            raise PeerLost(f"{self.slot.name} died")
        if packet[0] == messages.FAILED:
            raise PeerFailed(f"{self.slot.name} cannot compute: {messages.text_of(packet)}")
        return messages.read_done(packet)

    def kill(self) -> None:
        """End its process."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Let go of it: it reads an end of file, and drops what it had for the job."""
        self.connection.close()
        self.answers = None
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def _look(self) -> None:
        try:
            packet, descriptors, _, _ = socket.recv_fds(self.connection, messages.LARGEST, 1)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EINTR):
                return
            raise PeerLost(f"{self.slot.name} died") from error
        if not descriptors:
            raise PeerLost(f"{self.slot.name}: {messages.text_of(packet)}" if packet else f"{self.slot.name} died")
        try:
            memory = shared_memory.attach(descriptors[0], self._layout.size, writable=True)
        except ValueError as other:
            raise PeerLost(f"{self.slot.name}: {other}") from other
        finally:
            os.close(descriptors[0])
        self.answers = AnswerBlock(memory, self._layout)
