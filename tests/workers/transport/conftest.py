"""The rows of a made job, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workers.transport.made_job import assignment_in, write_data
from workers.shard_computer import Assignment


@pytest.fixture(scope="session")
def made_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the made job's rows."""
    return write_data(tmp_path_factory.mktemp("made"))


@pytest.fixture
def assignment(made_rows: Path) -> Assignment:
    """The made job's, of four shards."""
    return assignment_in(made_rows)
