"""Waiting for packets between steps: awake for a moment, then asleep. Knows not what is waited for.

To be woken takes long beside a step of a small network, above all on a virtual machine. There an idle core counts as
taken, so that Linux wakes a worker on the core of who wakes it, behind that one's own computing: two then take turns
while a core stands idle.
"""

from __future__ import annotations

import os
import select
import time

AWAKE_S = 2e-3  # longer than a parameter server adds and updates a small network


def ready(poll: select.poll, timeout_s: float | None = None) -> list[int]:
    """The descriptors that can be read, as soon as one can; none after `timeout_s`. Others of this core go first."""
    until = time.perf_counter() + AWAKE_S
    while not (found := poll.poll(0)) and time.perf_counter() < until:
        os.sched_yield()
    return [descriptor for descriptor, _ in found or poll.poll(None if timeout_s is None else 1000 * timeout_s)]
