"""How many workers a job is worth: beyond `workers.min`, only as many as make its steps shorter. Changes no bit.

A worker more shortens the computing of a step, and the exchange of parameters and gradients lengthens it: little on one
node, where they lie in shared memory, and much between nodes. All are estimates, good enough to tell a small network
from a large one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.resolution import Resolution
from service.spec import JobSpec

# Measured on two cores (AMD Zen 4): what a second worker costs a step, in shared memory (`benchmarks/exchange.py`, with
# all that one process does alone) and by Ray's messages between two nodes.
NEAR_S, NEAR_S_PER_BYTE = 3e-4, 3e-10
FAR_S, FAR_S_PER_BYTE = 5e-3, 1.1e-8
# One core: products of matrices, and everything that is done once for each activation.
FLOPS_PER_S = 100e9
ELEMENT_S = 1.5e-9

ALL = 1024  # more slots than a job can ask for


@dataclass(frozen=True)
class GangSize:
    """How many slots a job takes: `least` of them, or it does not start; `most` where so many are free on one node."""

    least: int
    most: int
    compute_s: float = 1.0  # about how long one worker computes for a step
    size_bytes: int = 0  # of the parameters

    @classmethod
    def of_spec(cls, spec: JobSpec) -> GangSize:
        """All that the spec allows, whether it pays or not."""
        return cls(spec.workers.min, max(_most(spec), spec.workers.min))

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> GangSize:
        """As a job's record has it; those of an earlier version do not have all."""
        compute_s, size_bytes = fields.get("compute_s", "1"), fields.get("size_bytes", "0")
        return cls(int(fields["width"]), int(fields["max_slots"]), float(compute_s), int(size_bytes))

    def step_s(self, near: int, far: int = 0) -> float:
        """About how long a step takes, in seconds, on so many slots of the runner's node and so many of others."""
        if near + far == 1:
            return self.compute_s
        wait_s, byte_s = (FAR_S, FAR_S_PER_BYTE) if far else (NEAR_S, NEAR_S_PER_BYTE)
        return self.compute_s / (near + far) + wait_s + self.size_bytes * byte_s


def gang_size(resolution: Resolution) -> GangSize:
    """What the job is worth: from `workers.min` to `workers.max` slots."""
    workers = resolution.spec.workers
    architecture = resolution.architecture
    rows = min(resolution.train_rows, resolution.batch_size)
    elements = architecture.inputs + 3 * sum(layer.units for layer in architecture.layers)
    compute_s = rows * (6 * architecture.parameter_count / FLOPS_PER_S + elements * ELEMENT_S)
    size_bytes = architecture.parameter_count * architecture.dtype.itemsize
    whole = GangSize(workers.min, max(_most(resolution.spec), workers.min), compute_s, size_bytes)
    pays = min(range(whole.least, whole.most + 1), key=whole.step_s)
    return GangSize(workers.min, pays, compute_s, size_bytes)


def _most(spec: JobSpec) -> int:
    if spec.workers.max is not None:
        return spec.workers.max
    if spec.mode == "async":
        return ALL
    return spec.shards if isinstance(spec.shards, int) else spec.workers.min
