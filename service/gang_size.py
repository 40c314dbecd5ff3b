"""How many workers a job is worth: beyond `workers.min`, only as many as make its steps shorter. Changes no bit.

A worker more shortens the computing of a step, and the exchange of parameters and gradients lengthens it. Both are
estimates, good enough to tell a small network from a large one.
"""

from __future__ import annotations

from service.resolution import Resolution

# Measured with two workers on two cores (AMD Zen 4), gradients travelling as plain Ray objects.
EXCHANGE_S = 5e-3
EXCHANGE_S_PER_BYTE = 6.6e-9
# One core: products of matrices, and everything that is done once for each activation.
FLOPS_PER_S = 60e9
ELEMENT_S = 4e-9


def gang_size(resolution: Resolution) -> int:
    """How many slots the job takes where so many are free: from `workers.min` to `workers.max`."""
    workers = resolution.spec.workers
    most = workers.max or workers.min
    return min(range(workers.min, most + 1), key=lambda count: step_s(resolution, count))


def step_s(resolution: Resolution, workers: int) -> float:
    """About how long a step takes, in seconds."""
    architecture, spec = resolution.architecture, resolution.spec
    rows = resolution.train_rows
    if spec.batch_size != "full":
        rows = min(rows, spec.batch_size)
    elements = architecture.inputs + 3 * sum(layer.units for layer in architecture.layers)
    compute_s = rows * (6 * architecture.parameter_count / FLOPS_PER_S + elements * ELEMENT_S)
    if workers == 1:
        return compute_s
    size_bytes = architecture.parameter_count * architecture.dtype.itemsize
    return compute_s / workers + EXCHANGE_S + size_bytes * EXCHANGE_S_PER_BYTE
