"""The arrays that training reads: .npy files in a node's cache, fetched once and mapped by all there.

Knows paths and bytes; which rows stand in them, and why, is settled before (`service.preparation`).
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import fsspec
import numpy as np
from fsspec import AbstractFileSystem
from numpy.typing import NDArray

NAMES = ("x_train", "y_train", "x_validation", "y_validation")

Part = Literal["train", "validation"]


class PartData(NamedTuple):
    """The rows of one part. Shapes: x (rows, inputs), y (rows, outputs), w (rows,) or None."""

    x: NDArray[np.floating]
    y: NDArray[np.floating]
    w: NDArray[np.floating] | None


@dataclass(frozen=True)
class MappedData:
    """What a job trains on; the validation part may have no rows, and a part without weights has None.

    Shapes: x (rows, inputs), y (rows, outputs), w (rows,).
    """

    x_train: NDArray[np.floating]
    y_train: NDArray[np.floating]
    x_validation: NDArray[np.floating]
    y_validation: NDArray[np.floating]
    w_train: NDArray[np.floating] | None = None
    w_validation: NDArray[np.floating] | None = None

    def part(self, part: Part) -> PartData:
        """The rows that train, or those that validate."""
        if part == "train":
            return PartData(self.x_train, self.y_train, self.w_train)
        return PartData(self.x_validation, self.y_validation, self.w_validation)


@dataclass(frozen=True)
class DataFiles:
    """Where the arrays are: `<artifacts>/<folder>/<name>.npy`, and the node's cache that holds copies."""

    artifacts: str  # fsspec URL
    folder: str
    cache: str
    names: tuple[str, ...] = NAMES  # those that there are, fields of MappedData

    def open(self) -> MappedData:
        """Map the arrays read-only, fetching what this node does not have yet."""
        return MappedData(**{name: _mapped(self._local(name)) for name in self.names})

    def _local(self, name: str) -> Path:
        filesystem, root = fsspec.url_to_fs(self.artifacts)
        source = f"{root}/{self.folder}/{name}.npy"
        if is_local(filesystem):
            return Path(source)
        target = Path(self.cache) / self.folder / f"{name}.npy"
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_suffix(f".{secrets.token_hex(8)}.part")
            filesystem.get_file(source, str(part))
            os.replace(part, target)  # whole or not at all: another process may be fetching the same file
        return target


def is_local(filesystem: AbstractFileSystem) -> bool:
    """Whether its files are this machine's own, which can be mapped where they lie."""
    protocol = filesystem.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def _mapped(path: Path) -> NDArray[np.floating]:
    array: NDArray[np.floating] = np.load(path, allow_pickle=False, mmap_mode="r")
    return array
