"""One whole service for the tests that only use it; those that end it start their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.live import LiveService


@pytest.fixture(scope="package")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """A service with two workers and checkpoints often enough to matter in a short job.

    Whoever kills its runners is not their job.
    """
    settings = {"DELTAQ_CHECKPOINT_S": "0.4", "DELTAQ_MAX_DEATHS": "1000"}
    service = LiveService(Path(tmp_path_factory.mktemp("live")) / "data", workers=2, **settings)
    yield service
    service.stop()
