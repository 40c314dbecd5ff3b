"""When gradients are used: all of a step together, or each as it comes, and what the asynchronous modes rule out."""

from __future__ import annotations

from typing import Final

from service.resolution.refusal import refuse
from service.spec import JobSpec

MAX_STALENESS: Final = 4  # of bounded_staleness, where the spec has none


def resolve_staleness(spec: JobSpec) -> int | None:
    """How many updates stale a gradient may be at most; None where that is no question, or has no bound.

    Raises: InvalidSpec.
    """
    if spec.mode != "sync":
        _check_asynchronous(spec)
    if spec.mode == "bounded_staleness":
        return MAX_STALENESS if spec.max_staleness is None else spec.max_staleness
    if spec.max_staleness is not None:
        detail = f"mode {spec.mode!r} has no such bound"
        refuse("/max_staleness", spec.max_staleness, detail, "null, or a number in mode 'bounded_staleness'")
    return None


def _check_asynchronous(spec: JobSpec) -> None:
    if spec.batch_size == "full":
        detail = "with batch_size 'full' an epoch is one mini-batch, and nothing is computed beside it"
        refuse("/mode", spec.mode, detail, "sync, or a batch_size that is a number")
    if spec.shards not in ("auto", 1):
        detail = f"in mode {spec.mode!r} a worker takes whole mini-batches"
        refuse("/shards", spec.shards, detail, "auto or 1, or mode 'sync'")


def one_batch_warning(spec: JobSpec, steps: int) -> str | None:
    """A warning where an epoch of so many steps is one mini-batch: no other is computed beside it."""
    if spec.mode == "sync" or steps > 1:
        return None
    return f"mode {spec.mode!r} has no effect: an epoch is one mini-batch of batch_size {spec.batch_size}"
