"""Into how many shards a mini-batch is cut, and how many workers may serve a job."""

from __future__ import annotations

from typing import Final

from service.resolution.refusal import refuse
from service.spec import JobSpec, WorkersSpec
from workers.mlp.architecture import Architecture

MAX_SHARDS: Final = 16
ROWS_PER_SHARD: Final = 128


def resolve_shards(spec: JobSpec, batch_rows: int) -> int:
    """How many shards a mini-batch has.

    Raises: InvalidSpec.
    """
    if spec.mode != "sync":
        return 1
    if spec.shards == "auto":
        parts = min(MAX_SHARDS, batch_rows // ROWS_PER_SHARD)
        return 1 << (parts.bit_length() - 1) if parts else 1
    if spec.shards > batch_rows:
        refuse("/shards", spec.shards, f"a mini-batch has {batch_rows} row(s)", f"auto, or 1 to {batch_rows}")
    return spec.shards


def least_rows(architecture: Architecture, shards: int) -> int:
    """How many rows a mini-batch must have: one, or two a shard where each takes statistics of its own rows."""
    return 2 * shards if any(layer.normalization == "batch" for layer in architecture.layers) else 1


def check_rows(spec: JobSpec, shards: int, batch_rows: int, least: int) -> None:
    """Hold the size of a mini-batch against what batch normalisation needs.

    Raises: InvalidSpec.
    """
    if batch_rows >= least:
        return
    detail = f"batch normalisation needs 2 rows a shard; a mini-batch has {batch_rows} row(s) in {shards} shard(s)"
    if shards > 1:
        refuse("/shards", shards, detail, f"auto, or 1 to {max(batch_rows // 2, 1)}")
    refuse("/batch_size", spec.batch_size, detail, "2 or more, of as many training rows")


def rows_left_out(train_rows: int, batch_rows: int, least: int) -> str | None:
    """A warning where the last mini-batch of an epoch is too short for batch normalisation."""
    last = train_rows % batch_rows
    if not 0 < last < least:
        return None
    return (
        f"batch normalisation needs {least} rows in a mini-batch: the last one of each epoch has {last} and is left out"
    )


def resolve_workers(spec: JobSpec, shards: int, staleness: int | None) -> tuple[WorkersSpec, str | None]:
    """How many workers may serve the job, and a warning where fewer can than were asked for.

    In mode async that is as many as there are: its `workers.max` stays open. `staleness` is the bound of its mode.
    Raises: InvalidSpec.
    """
    given = spec.workers
    if given.max is not None and given.max < given.min:
        refuse("/workers/max", given.max, f"it is less than workers.min, {given.min}", f"{given.min} or more")
    if spec.mode == "async":
        return given, None
    if staleness is None:
        busy, why = shards, f"a mini-batch has {shards} shard(s), each the work of one worker"
        more = f"as many shards: by shards, or by a larger batch_size ({ROWS_PER_SHARD} rows a shard)"
    else:
        busy, why = (
            staleness + 1,
            f"max_staleness {staleness} lets {staleness + 1} mini-batch(es) be computed at a time",
        )
        more = "a larger max_staleness"
    if given.min > busy:
        refuse("/workers/min", given.min, why, f"{'1' if busy == 1 else f'1 to {busy}'}, or {more}")
    if given.max is None or given.max <= busy:
        return given.model_copy(update={"max": given.max or busy}), None
    return given.model_copy(update={"max": busy}), f"workers.max: {why}; {given.max} were asked for"
