"""Checkpoints: a training's arrays and state as one safetensors file.

A training is copied between two of its steps, and written from the copy. A file is written under a name that only its
writer can use (job, token, a random number, step) and exists once the job's record names it; what is read back is
compared with the SHA-256 that the record holds. Knows files, not when to write one.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from safetensors.numpy import load

from service.artifacts import Artifacts, Chunk
from service.errors import NewerFormat
from service.jobs import CheckpointRef, Lease
from service.training import Training
from service.training_state import TrainingState

FORMAT = 2  # 1 had another state
_TYPES = {"float32": "F32", "float64": "F64"}


class CheckpointLost(Exception):
    """The file that the record names is gone, or is not the one that was recorded."""


class Snapshot:
    """A training as it stood between two steps, in memory of its own that each copy uses again."""

    def __init__(self) -> None:
        self.step = 0  # steps done since the job began
        self._state: dict[str, Any] = {}
        self._arrays: dict[str, NDArray[Any]] = {}

    def take(self, training: Training) -> Snapshot:
        """Copy the training as it stands, over what was copied before; answers itself."""
        arrays = _arrays(training)
        for name in self._arrays.keys() - arrays.keys():
            del self._arrays[name]
        for name, array in arrays.items():
            if name in self._arrays:
                np.copyto(self._arrays[name], array)
            else:
                self._arrays[name] = array.copy()
        self.step = training.steps_done
        self._state = {"format": FORMAT, "version": training.server.version, "state": asdict(training.state)}
        return self

    def write(self, lease: Lease, artifacts: Artifacts, fingerprint: dict[str, Any]) -> CheckpointRef:
        """Write what was copied; the answer is what the record must name for it to exist.

        Raises: StoreUnavailable.
        """
        name = f"{lease.token}-{secrets.token_hex(8)}-{self.step}.safetensors"  # two may be of one step
        path = f"checkpoints/{lease.job_id}/{name}"
        content: list[Chunk] = [self._header(), *(array.data for array in self._arrays.values())]
        return CheckpointRef(path, artifacts.write(path, content), self.step, fingerprint)

    def _header(self) -> bytes:
        """What comes before the arrays.

        Source: the safetensors format: 8 bytes little-endian length, then JSON, filled up with spaces to whole words.
        """
        head: dict[str, Any] = {"__metadata__": {"deltaq": orjson.dumps(self._state).decode()}}
        end = 0
        for name, array in self._arrays.items():
            begin, end = end, end + array.nbytes
            head[name] = {"dtype": _TYPES[array.dtype.name], "shape": array.shape, "data_offsets": (begin, end)}
        text = orjson.dumps(head)
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text


def _arrays(training: Training) -> dict[str, NDArray[Any]]:
    """All that a training would lose: its own arrays, not copies."""
    server = training.server
    arrays: dict[str, NDArray[Any]] = {"parameters": server.parameters.flat}
    arrays |= {f"optimizer.{number}": array for number, array in enumerate(server.optimizer_state)}
    if training.best is not None:
        arrays["best"] = training.best
    return arrays


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

    Raises: CheckpointLost, also for one of an older format; NewerFormat; StoreUnavailable.
    """
    try:
        content = artifacts.read(reference.path)
    except FileNotFoundError:
        raise CheckpointLost(f"The checkpoint at step {reference.step} is gone") from None
    if hashlib.sha256(content).hexdigest() != reference.sha256:
        raise CheckpointLost(f"The checkpoint at step {reference.step} is not the recorded one (its SHA-256 differs)")
    head = read_metadata(content)
    check_format(head, FORMAT, f"the checkpoint at step {reference.step}")
    if head["format"] < FORMAT:
        raise CheckpointLost(f"The checkpoint at step {reference.step} has format {head['format']}, of an older deltaq")
    return Checkpoint(TrainingState(**head["state"]), head["version"], load(content))


def check_format(head: Mapping[str, Any], newest: int, name: str) -> None:
    """Return where this deltaq may know the format of a file, whose first format did not say that it was 1.

    Raises: NewerFormat.
    """
    found = head.get("format", 1)
    if found > newest:
        hint = "Run the deltaq that wrote it, or a newer one."
        raise NewerFormat(f"{name} has format {found}, this deltaq reads up to {newest}", hint=hint)


def read_metadata(content: bytes) -> dict[str, Any]:
    """The `deltaq` part of a safetensors file's header, which `safetensors.numpy.load` leaves out.

    Source: the safetensors format: 8 bytes little-endian length, then a JSON header with `__metadata__`.
    """
    length = int.from_bytes(content[:8], "little")
    header = orjson.loads(content[8 : 8 + length])
    found: dict[str, Any] = orjson.loads(header["__metadata__"]["deltaq"])
    return found
