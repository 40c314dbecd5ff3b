"""Mapped arrays of a store elsewhere: the next job on the same data maps nothing, and others' are let go in time."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest

from workers.datafiles import KEPT_OPEN, NAMES, DataFiles

ROWS = 20


def stored(folder: str, cache: Path) -> DataFiles:
    """Arrays in a store that is not this machine's own; two such data sets have room in the cache."""
    filesystem = fsspec.filesystem("memory")
    size = 0
    for name in NAMES:
        content = io.BytesIO()
        np.save(content, np.full((ROWS, 2), len(folder), np.float32))
        filesystem.pipe_file(f"/store/{folder}/{name}.npy", content.getvalue())
        size += len(content.getvalue())
    return DataFiles("memory://store", folder, str(cache), cache_bytes=2 * size)


def copies(cache: Path) -> set[str]:
    """The data sets in the cache."""
    return {path.name.split("--")[0] for path in cache.glob("*.npy")}


def test_the_same_data_is_mapped_once(tmp_path: Path) -> None:
    files = stored(f"{tmp_path.name}-once", tmp_path)
    data = files.open()
    assert files.open() is data
    assert data.x_train.shape == (ROWS, 2)
    assert not data.x_train.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        data.x_train[0] = 1


def test_what_is_in_the_cache_needs_no_store(tmp_path: Path) -> None:
    files = stored(f"{tmp_path.name}-alone", tmp_path)
    first = files.open()
    fsspec.filesystem("memory").rm("/store", recursive=True)
    again = replace(files, cache_bytes=files.cache_bytes + 1).open()
    assert again is not first
    np.testing.assert_array_equal(again.x_train, first.x_train)


def test_what_is_mapped_stays_in_the_cache_and_what_was_let_go_makes_room(tmp_path: Path) -> None:
    names = [f"{tmp_path.name}-{number}" for number in range(KEPT_OPEN + 2)]
    held = stored(names[0], tmp_path).open()
    for name in names[1:-1]:
        stored(name, tmp_path).open()
    assert names[0] in copies(tmp_path)  # a job still holds it
    del held
    stored(names[-1], tmp_path).open()
    assert names[0] not in copies(tmp_path)
    assert copies(tmp_path) >= set(names[-KEPT_OPEN:])
