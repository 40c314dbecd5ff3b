"""The arrays that training reads: .npy files mapped where they lie, or in a node's cache of a store elsewhere.

A process keeps the last ones mapped, for the next job on the same data. Knows paths and bytes; which rows stand in
them, and why, is settled before (`service.preparation`).
"""

from __future__ import annotations

import shutil
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import fsspec
import numpy as np
from fsspec import AbstractFileSystem
from numpy.typing import NDArray

from workers.node_cache import NodeCache

NAMES = ("x_train", "y_train", "x_validation", "y_validation")
KEPT_OPEN = 4  # data sets that a process has mapped at most, beside those that are in use
CACHE_BYTES = 1 << 34

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
    """Where the arrays are: `<artifacts>/<folder>/<name>.npy`, and the node's cache that holds copies.

    What has a name is never written again: a folder's name is new for each preparation.
    """

    artifacts: str  # fsspec URL
    folder: str
    cache: str
    names: tuple[str, ...] = NAMES  # those that there are, fields of MappedData
    cache_bytes: int = CACHE_BYTES  # what the cache may hold

    def open(self) -> MappedData:
        """Map the arrays read-only, fetching what this node does not have yet; at no cost where they are mapped."""
        with _opening:
            data = _opened.pop(self, None)
            if data is None:
                while len(_opened) >= KEPT_OPEN:  # first: what is mapped here cannot make room there
                    _opened.popitem(last=False)
                data = MappedData(**{name: self._map(name) for name in self.names})
            _opened[self] = data
        return data

    def _map(self, name: str) -> NDArray[np.floating]:
        filesystem, root = fsspec.url_to_fs(self.artifacts)
        source = f"{root}/{self.folder}/{name}.npy"
        if is_local(filesystem):
            with Path(source).open("rb") as file:
                return _mapped(file)

        def fetch(target: BinaryIO) -> None:
            with filesystem.open(source, "rb") as remote:
                shutil.copyfileobj(remote, target, 1 << 20)

        cache, local = NodeCache(Path(self.cache), self.cache_bytes), f"{self.folder}/{name}.npy".replace("/", "--")
        with cache.open(local, lambda: int(filesystem.size(source)), fetch) as copy:
            return _mapped(copy)


_opened: OrderedDict[DataFiles, MappedData] = OrderedDict()  # this process's, least recently used first
_opening = threading.Lock()


def is_local(filesystem: AbstractFileSystem) -> bool:
    """Whether its files are this machine's own, which can be mapped where they lie."""
    protocol = filesystem.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def _mapped(file: BinaryIO) -> NDArray[np.floating]:
    """Map an .npy file read-only. The mapping has the open file in common: a lock on that lasts as long."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(f"{file.name} holds Python objects; allowed are numbers")
    return np.memmap(file, dtype, "r", file.tell(), shape, "F" if fortran else "C")
