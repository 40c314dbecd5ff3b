"""Blocks of shared memory: what their seals refuse, and what is not taken as one."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Iterator

import pytest

from tests.workers.transport.holdings import blocks_of
from workers.transport.shared_memory import Bytes, attach, create

SIZE = 3 * mmap.PAGESIZE

Block = tuple[int, Bytes]


@pytest.fixture
def weights() -> Iterator[Block]:
    """A block that only this process writes."""
    descriptor, memory = create("deltaq-weights", SIZE, sealed=True)
    yield descriptor, memory
    os.close(descriptor)


@pytest.fixture
def answers() -> Iterator[Block]:
    """A block that another process may write, too."""
    descriptor, memory = create("deltaq-answers", SIZE)
    yield descriptor, memory
    os.close(descriptor)


def test_a_reader_sees_what_the_owner_writes_afterwards_and_cannot_write(weights: Block) -> None:
    descriptor, memory = weights
    read = attach(descriptor, SIZE, writable=False)
    memory[SIZE - 1] = 7
    assert read[SIZE - 1] == 7
    with pytest.raises(ValueError, match="read-only"):
        read[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        read.flags.writeable = True


def test_what_only_its_owner_writes_is_refused_to_others_in_every_way(weights: Block) -> None:
    descriptor, memory = weights
    with pytest.raises(PermissionError):
        attach(descriptor, SIZE, writable=True)
    with pytest.raises(PermissionError):
        mmap.mmap(descriptor, SIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    with pytest.raises(PermissionError):
        os.pwrite(descriptor, b"x", 0)
    reopened = os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR)
    try:
        with pytest.raises(PermissionError):
            mmap.mmap(reopened, SIZE)
    finally:
        os.close(reopened)
    assert not memory.any()


def test_what_both_write_is_one_memory(answers: Block) -> None:
    descriptor, memory = answers
    attach(descriptor, SIZE, writable=True)[5] = 9
    assert memory[5] == 9


@pytest.mark.parametrize("size", [0, SIZE - mmap.PAGESIZE, SIZE + mmap.PAGESIZE])
@pytest.mark.parametrize("kind", ["weights", "answers"])
def test_nobody_cuts_or_grows_a_block(kind: str, size: int, request: pytest.FixtureRequest) -> None:
    descriptor, _ = request.getfixturevalue(kind)
    with pytest.raises(PermissionError) as refused:
        os.ftruncate(descriptor, size)
    assert refused.value.errno == errno.EPERM


def test_nobody_takes_a_seal_off_or_sets_another(answers: Block) -> None:
    with pytest.raises(PermissionError):
        fcntl.fcntl(answers[0], fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)


@pytest.mark.parametrize("size", [1, SIZE - 1, SIZE + 1])
def test_a_block_of_another_size_is_not_taken(answers: Block, size: int) -> None:
    with pytest.raises(ValueError, match=f"has {SIZE} bytes; allowed: {size}"):
        attach(answers[0], size, writable=True)


def test_a_block_is_gone_with_its_last_holder() -> None:
    before = blocks_of()
    descriptor, memory = create("deltaq-weights", SIZE, sealed=True)
    read = attach(descriptor, SIZE, writable=False)
    os.close(descriptor)
    (block,) = blocks_of() - before
    del memory
    assert block in blocks_of()
    del read
    assert block not in blocks_of()


def test_a_block_is_not_passed_on_to_programs_that_are_started(weights: Block) -> None:
    assert not os.get_inheritable(weights[0])
