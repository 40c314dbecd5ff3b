"""Checkpoints: a training's arrays and state as one safetensors file, written between two steps.

A file is written under a name that only its writer can use (job, token, SHA-256, step) and exists once the job's
record names it; what is read back is compared with the SHA-256 that the record holds. Knows files, not when to write
one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from safetensors.numpy import load, save

from service.artifacts import Artifacts
from service.jobs import CheckpointRef, Lease
from service.training import Training
from service.training_state import TrainingState

FORMAT = 2  # 1 had another state


class CheckpointLost(Exception):
    """The file that the record names is gone, or is not the one that was recorded."""


def save_checkpoint(
    training: Training, lease: Lease, artifacts: Artifacts, fingerprint: dict[str, Any]
) -> CheckpointRef:
    """Write the training as it stands; the answer is what the record must name for it to exist.

    Raises: StoreUnavailable.
    """
    server = training.server
    arrays = {"parameters": server.parameters.flat}
    arrays |= {f"optimizer.{number}": array for number, array in enumerate(server.optimizer_state)}
    if training.best is not None:
        arrays["best"] = training.best
    state = {"format": FORMAT, "version": server.version, "state": asdict(training.state)}
    content = save(arrays, metadata={"deltaq": orjson.dumps(state).decode()})
    step, digest = training.steps_done, hashlib.sha256(content).hexdigest()[:16]  # two may be of one step
    path = f"checkpoints/{lease.job_id}/{lease.token}-{digest}-{step}.safetensors"
    return CheckpointRef(path=path, sha256=artifacts.write(path, content), step=step, fingerprint=fingerprint)


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds: which of the job's trainings it is of, its state says."""

    state: TrainingState
    version: int
    arrays: Mapping[str, NDArray[Any]]

    def put_back(self, training: Training) -> None:
        """Put a training back to where the checkpoint was written."""
        server = training.server
        server.parameters.flat[...] = self.arrays["parameters"]
        for number, array in enumerate(server.optimizer_state):
            array[...] = self.arrays[f"optimizer.{number}"]
        best: NDArray[np.floating] | None = self.arrays.get("best")
        training.best = None if best is None else best.copy()
        server.version = self.version
        training.state = self.state


def read_checkpoint(reference: CheckpointRef, artifacts: Artifacts) -> Checkpoint:
    """Read what the record names.

    Raises: CheckpointLost; StoreUnavailable.
    """
    try:
        content = artifacts.read(reference.path)
    except FileNotFoundError:
        raise CheckpointLost(f"The checkpoint at step {reference.step} is gone") from None
    if hashlib.sha256(content).hexdigest() != reference.sha256:
        raise CheckpointLost(f"The checkpoint at step {reference.step} is not the recorded one (its SHA-256 differs)")
    head = read_metadata(content)
    if head["format"] != FORMAT:
        raise CheckpointLost(f"The checkpoint at step {reference.step} was written by another version of deltaq")
    return Checkpoint(TrainingState(**head["state"]), head["version"], load(content))


def read_metadata(content: bytes) -> dict[str, Any]:
    """The `deltaq` part of a safetensors file's header, which `safetensors.numpy.load` leaves out.

    Source: the safetensors format: 8 bytes little-endian length, then a JSON header with `__metadata__`.
    """
    length = int.from_bytes(content[:8], "little")
    header = orjson.loads(content[8 : 8 + length])
    found: dict[str, Any] = orjson.loads(header["__metadata__"]["deltaq"])
    return found
