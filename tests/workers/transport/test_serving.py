"""Whom a worker serves: the gang of the latest lease, of its own user, with the same kernels; and what it keeps."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from tests.service.families import until
from tests.worker_process import WorkerProcess
from tests.workers.transport.holdings import blocks_of, descriptors_of
from tests.workers.transport.made_job import train
from workers import kernels
from workers.place import Slot
from workers.shard_computer import Assignment, ShardComputer
from workers.tokens import TokenGuard
from workers.transport import messages, serving, shared_memory
from workers.transport.gang import Gang
from workers.transport.local import LocalTransport
from workers.transport.messages import Hello
from workers.transport.node_gang import NodeGang

STEPS, JOIN_S = 7, 20.0
OWN, OTHER_USER = Slot("own", "node"), 65534

# It has imported all that it needs before it is another user, who may not read this one's Python.
STRANGER = """
import os, socket, sys
os.setgroups([])
os.setuid(int(sys.argv[1]))
own = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
"""
KNOCKS = """
own.connect("\\0" + sys.argv[2])
try:
    socket.send_fds(own, [b"hello"], [os.memfd_create("own")])
except OSError:
    pass
try:
    print("heard", own.recv(100))
except OSError:
    print("heard", b"")
"""
LISTENS = """
own.bind("\\0" + sys.argv[2])
own.listen()
print("listens", flush=True)
own.accept()
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def worker() -> Iterator[WorkerProcess]:
    """A worker that has served nobody else."""
    process = WorkerProcess("worker")
    yield process
    process.end()


@pytest.fixture(scope="module")
def tokens() -> Iterator[str]:
    """Tokens of leases, each later than those before."""
    return (f"{number}-aa" for number in range(10, 1000, 10))


def gang_of(worker: WorkerProcess, token: str, assignment: Assignment, **fingerprint: str) -> NodeGang:
    gang = NodeGang([OWN, worker.slot], token, assignment, kernels.fingerprint() | fingerprint)
    gang.admit(JOIN_S)
    return gang


def test_a_later_gang_takes_the_place_of_an_earlier_one_which_is_not_served_again(
    worker: WorkerProcess, tokens: Iterator[str], assignment: Assignment
) -> None:
    token, later = next(tokens), next(tokens)
    slots = [OWN, worker.slot]
    first = Gang(slots, token, assignment, kernels.fingerprint())
    assert first.workers == 2
    held = blocks_of(worker.pid)
    assert len(held) == 2
    second = Gang(slots, later, assignment, kernels.fingerprint())
    assert second.workers == 2
    assert len(blocks_of(worker.pid)) == 2
    assert not blocks_of(worker.pid) & held
    undisturbed = train(LocalTransport(ShardComputer(assignment)), assignment, STEPS)
    assert train(first, assignment, STEPS) == undisturbed  # alone: the worker has closed its connection
    assert (first.workers, second.workers) == (1, 2)
    with capture_logs() as said:
        again = gang_of(worker, token, assignment)
    assert again.workers == 1
    assert f"StaleToken: lease {token} is over; this worker serves {later}" in said[0]["reason"]
    assert train(second, assignment, STEPS) == undisturbed
    assert (second.workers, second.most_workers) == (2, 2)
    for gang in (first, second, again):
        gang.close()


def test_when_its_gang_goes_a_worker_keeps_nothing_of_it(
    worker: WorkerProcess, tokens: Iterator[str], assignment: Assignment
) -> None:
    def idle() -> bool:
        return not blocks_of(worker.pid) and descriptors_of(worker.pid) == descriptors

    gang_of(worker, next(tokens), assignment).close()
    until(lambda: not blocks_of(worker.pid), "the worker is idle")
    descriptors = descriptors_of(worker.pid)
    for _ in range(3):
        gang = Gang([OWN, worker.slot], next(tokens), assignment, kernels.fingerprint())
        train(gang, assignment, STEPS)
        assert gang.workers == 2
        assert len(blocks_of(worker.pid)) == 2
        gang.close()
        until(idle, "the worker is idle")


def test_a_worker_with_other_kernels_refuses(
    worker: WorkerProcess, tokens: Iterator[str], assignment: Assignment
) -> None:
    with capture_logs() as said:
        gang = gang_of(worker, next(tokens), assignment, openblas="0.0.1")
    assert gang.workers == 1
    assert "OtherKernels: this worker computes with other numeric kernels" in said[0]["reason"]
    until(lambda: not blocks_of(worker.pid), "it has let go of the weights that it was handed")
    gang.close()


def test_weights_of_another_size_are_refused(
    worker: WorkerProcess, tokens: Iterator[str], assignment: Assignment
) -> None:
    block, _ = shared_memory.create("deltaq-weights", 4096, sealed=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(JOIN_S)
        connection.connect(worker.slot.address)
        messages.send_hello(connection, Hello(next(tokens), assignment, kernels.fingerprint()), block)
        answer = connection.recv(messages.LARGEST)
    os.close(block)
    assert answer[0] == messages.REFUSED
    assert "ValueError: a shared block has 4096 bytes; allowed: " in messages.text_of(answer)


def test_who_says_nothing_or_nonsense_keeps_nobody_waiting(
    assignment: Assignment, tokens: Iterator[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "HELLO_S", 0.2)
    server = serving.GangServer(TokenGuard(), kernels.fingerprint())
    held = blocks_of()
    block = shared_memory.create("deltaq-weights", 4096)[0]
    with capture_logs() as said, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
        silent.connect(server.address)
        for packet, blocks in ((b"", []), (b"hello", []), (b"hello", [block])):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
                other.connect(server.address)
                socket.send_fds(other, [packet], blocks)
        os.close(block)
        gang = NodeGang([OWN, Slot("served", "node", server.address)], next(tokens), assignment, kernels.fingerprint())
        gang.admit(JOIN_S)
        assert gang.workers == 2
        gang.close()
    assert [one["event"] for one in said] == ["a gang was not welcome"] * 4
    del gang
    until(lambda: blocks_of() <= held, "nothing is left")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user")
def test_another_users_gang_is_turned_away_unread(
    worker: WorkerProcess, tokens: Iterator[str], assignment: Assignment
) -> None:
    command = [sys.executable, "-c", STRANGER + KNOCKS, str(OTHER_USER), worker.slot.address[1:]]
    assert subprocess.check_output(command, text=True) == "heard b''\n"
    gang = gang_of(worker, next(tokens), assignment)
    assert gang.workers == 2
    gang.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user")
def test_weights_are_not_handed_to_another_users_process(tokens: Iterator[str], assignment: Assignment) -> None:
    name = f"deltaq-test-{os.getpid()}"
    command = [sys.executable, "-c", STRANGER + LISTENS, str(OTHER_USER), name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stranger:
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == "listens\n"
        with capture_logs() as said:
            gang = NodeGang([OWN, Slot("stranger", "node", "\0" + name)], next(tokens), assignment, {})
        assert f"is user {OTHER_USER}'s; allowed: 0" in said[0]["reason"]
        gang.close()
        stranger.communicate()
