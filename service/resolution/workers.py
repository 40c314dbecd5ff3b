"""Into how many shards a mini-batch is cut, and how many workers may serve a job."""

from __future__ import annotations

from typing import Final

from service.resolution.refusal import refuse
from service.spec import JobSpec, WorkersSpec

MAX_SHARDS: Final = 16
ROWS_PER_SHARD: Final = 128


def resolve_shards(spec: JobSpec, batch_rows: int) -> int:
    """How many shards a mini-batch has.

    Raises: InvalidSpec.
    """
    if spec.shards == "auto":
        parts = min(MAX_SHARDS, batch_rows // ROWS_PER_SHARD)
        return 1 << (parts.bit_length() - 1) if parts else 1
    if spec.shards > batch_rows:
        refuse("/shards", spec.shards, f"a mini-batch has {batch_rows} row(s)", f"auto, or 1 to {batch_rows}")
    return spec.shards


def resolve_workers(given: WorkersSpec, shards: int) -> tuple[WorkersSpec, str | None]:
    """How many workers may serve the job, and a warning where fewer can than were asked for.

    Raises: InvalidSpec.
    """
    if given.min > shards:
        refuse(
            "/workers/min",
            given.min,
            f"a mini-batch has {shards} shard(s), each the work of one worker",
            f"1 to {shards}",
        )
    if given.max is None:
        return given.model_copy(update={"max": shards}), None
    if given.max < given.min:
        refuse("/workers/max", given.max, f"it is less than workers.min, {given.min}", f"{given.min} or more")
    if given.max > shards:
        warning = f"workers.max: {shards} shard(s) keep {shards} worker(s) busy; {given.max} were asked for"
        return given.model_copy(update={"max": shards}), warning
    return given, None
