"""What a process says of its own memory: its heap, and not what it maps; and that it gives back what is not used."""

from __future__ import annotations

import mmap
import tempfile

from workers.own_memory import give_back, own_bytes

SIZE = 1 << 26


class Loop:
    """What only a collection frees."""

    def __init__(self) -> None:
        self.itself = self
        self.content = b"x" * SIZE


def test_what_is_held_counts_and_what_is_mapped_does_not() -> None:
    give_back()
    before = own_bytes()
    with tempfile.TemporaryFile() as file:
        file.truncate(SIZE)
        with mmap.mmap(file.fileno(), SIZE, access=mmap.ACCESS_READ) as mapped:
            assert mapped[:] == bytes(SIZE)
            give_back()
            assert own_bytes() < before + SIZE // 2
    loop = Loop()
    assert own_bytes() > before + SIZE // 2
    del loop
    give_back()
    assert own_bytes() < before + SIZE // 2
