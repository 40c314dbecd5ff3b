"""A worker's side of shared memory: it serves one gang of its node at a time, in a thread of its process.

The gang of a later lease takes the place of an earlier one's; an earlier one's is refused. When its gang goes, all that
the worker had for it goes: the computer, its buffers, and the block of its answers. Knows neither Ray nor Redis.
"""

from __future__ import annotations

import os
import secrets
import select
import socket
import threading
import time
from contextlib import suppress

import structlog

from workers.shard_computer import ShardComputer
from workers.tokens import StaleToken, TokenGuard
from workers.transport import messages, shared_memory, waiting
from workers.transport.blocks import AnswerBlock, AnswerLayout, weights_in, weights_size
from workers.transport.messages import Hello, Order

log = structlog.get_logger()

HELLO_S = 5.0  # who connects and says nothing keeps the next one waiting for so long at most


class OtherKernels(Exception):
    """This process's products would have other bits than the gang's."""


class GangServer:
    """Listens at `address`, a name in Linux's abstract namespace, empty where shared memory cannot be had."""

    def __init__(self, guard: TokenGuard, fingerprint: dict[str, str]) -> None:
        self._guard, self._fingerprint = guard, fingerprint
        self.address = ""
        self._served: ServedGang | None = None
        if not shared_memory.AVAILABLE:
            return
        self.address = f"\0deltaq-{os.getpid()}-{secrets.token_hex(8)}"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(self.address)
        self._listener.listen()
        threading.Thread(target=self._serve, name="gang server", daemon=True).start()

    def _serve(self) -> None:
        while True:
            poll = select.poll()
            poll.register(self._listener, select.POLLIN)
            if self._served is not None:
                poll.register(self._served.connection, select.POLLIN)
            if self._listener.fileno() in waiting.ready(poll):
                self._welcome()
            elif self._served is not None and not self._served.answer(self._guard):
                self._served.close()
                self._served = None

    def _welcome(self) -> None:
        """Serve who has come, if its lease is the latest."""
        connection, _ = self._listener.accept()
        try:
            messages.peer_of(connection)
            connection.settimeout(HELLO_S)
            hello, weights = messages.read_hello(connection)
            connection.settimeout(None)
        except Exception as error:
            log.warning("a gang was not welcome", reason=str(error))
            connection.close()
            return
        try:
            self._take(hello)
            self._served = ServedGang(connection, hello, weights)
        except Exception as error:
            if not isinstance(error, StaleToken | OtherKernels):
                log.exception("a gang cannot be served")
            with suppress(OSError):
                connection.send(messages.said(messages.REFUSED, f"{type(error).__name__}: {error}"))
            connection.close()
        finally:
            os.close(weights)

    def _take(self, hello: Hello) -> None:
        if hello.fingerprint != self._fingerprint:
            raise OtherKernels("this worker computes with other numeric kernels than the job's")
        self._guard.take(hello.token)
        if self._served is not None:
            self._served.close()
            self._served = None


class ServedGang:
    """One gang's connection, and what is computed for it."""

    def __init__(self, connection: socket.socket, hello: Hello, weights: int) -> None:
        architecture = hello.assignment.architecture
        memory = shared_memory.attach(weights, weights_size(architecture), writable=False)
        self.connection, self._token = connection, hello.token
        self._weights = weights_in(memory, architecture)
        self._computer = ShardComputer(hello.assignment)
        layout = AnswerLayout(architecture, hello.assignment.shards, self._computer.rows_by_part)
        descriptor, own = shared_memory.create("deltaq-answers", layout.size)
        self._answers = AnswerBlock(own, layout)
        try:
            with suppress(ConnectionError):  # it is gone already, and its end is read next
                socket.send_fds(connection, [bytes([messages.READY])], [descriptor])
        finally:
            os.close(descriptor)

    def answer(self, guard: TokenGuard) -> bool:
        """Do what the gang asks; whether it is to be served further."""
        try:
            packet = self.connection.recv(messages.LARGEST)
            if not packet or guard.token != self._token:
                return False
            self.connection.send(self._compute(Order.unpacked(packet)))
        except OSError:  # it is gone
            return False
        return True

    def close(self) -> None:
        """Have nothing of it any more."""
        self.connection.close()

    def _compute(self, order: Order) -> bytes:
        started = time.perf_counter()
        try:
            if order.part is None:
                self._sum_gradients(order)
            else:
                self._evaluate(order)
        except Exception as error:
            log.exception("a worker cannot compute")
            return messages.said(messages.FAILED, f"{type(error).__name__}: {error}")
        return messages.done(order.serial, time.perf_counter() - started)

    def _sum_gradients(self, order: Order) -> None:
        weights, answers = self._weights, self._answers
        for lo, hi, slot in order.runs:
            answers.put_sums(slot, self._computer.subtree(weights, order.step, lo, hi, answers.gradient(slot)))

    def _evaluate(self, order: Order) -> None:
        assert order.part is not None
        weights, answers = self._weights, self._answers
        for lo, hi, _ in order.runs:
            for block in range(lo, hi):
                outputs = answers.outputs[self._computer.rows_of_block(order.part, block)]
                answers.put_sums(block, self._computer.evaluate(weights, order.part, block, outputs))
