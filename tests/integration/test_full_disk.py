"""The disk of the data directory fills up under a running job: the service says so, loses nothing, and heals."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.live import LiveService, until
from tests.integration.test_survival import EARLY, SPEC
from tests.small_disk import SmallDisk

pytestmark = pytest.mark.timeout(300)

EPOCHS = 1000  # more than are done while the disk is full
FULL_S = 3.0
UPLOAD = {"name": "points", "target": "y"}
CSV = b"x,y\n" + b"".join(b"%d,%d\n" % (row, row % 2) for row in range(40))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of its own for the data directory."""
    with SmallDisk(tmp_path / "disk", 64 << 20) as disk:
        yield disk


def answers(service: LiveService, job_id: str) -> dict[str, httpx.Response]:
    """What the calls of a user are answered, each asked once."""
    ask = service.http.request
    return {
        "submit": ask("POST", "/v1/jobs", json=SPEC),
        "upload": ask("POST", "/v1/datasets", params=UPLOAD, content=CSV, headers={"Content-Type": "text/csv"}),
        "steer": ask("POST", f"/v1/jobs/{job_id}/resume"),  # a 409 while it runs
        "job": ask("GET", f"/v1/jobs/{job_id}"),
        "data set": ask("GET", "/v1/datasets/digits"),
        "preview": ask("GET", "/v1/datasets/digits/preview"),
        "ready": ask("GET", "/readyz"),
    }


def logged(service: LiveService, job_id: str) -> str:
    """The job's log."""
    return "\n".join(line["message"] for line in service.call("GET", f"/v1/jobs/{job_id}/logs").json()["items"])


def test_a_full_disk_is_said_survived_and_healed_from(live: LiveService, disk: SmallDisk) -> None:
    spec = {**SPEC, "epochs": EPOCHS, "early_stopping": {"patience": EPOCHS}}
    undisturbed = live.finish(live.submit(spec))["result"]
    service = LiveService(disk.folder, DELTAQ_CHECKPOINT_S="0.1")
    try:
        job_id = service.submit(spec)
        service.reach(job_id, EARLY)
        disk.fill()
        until(lambda: service.http.get("/readyz").status_code == 503, 20, "the refusal")
        end, refused = time.monotonic() + FULL_S, set()
        while time.monotonic() < end:
            for name, answer in answers(service, job_id).items():
                # Where a checkpoint that did not fit has been taken away, there is room for a moment.
                assert answer.status_code in (200, 201, 202, 409, 503), (name, answer.text)
                if answer.status_code == 503:
                    assert answer.headers["content-type"] == "application/problem+json"
                    assert answer.headers["retry-after"] == "1"
                    refused.add(name)
            time.sleep(0.1)
        assert {"submit", "upload", "steer", "job", "ready"} <= refused
        disk.free()
        until(lambda: "written again" in logged(service, job_id), 60, "the first checkpoint after it")
        service.kill(service.pid("runners"))  # so that what was written last is needed
        job = service.finish(job_id)
        assert job["attempt"] == 2
        for name in ("weights_sha256", "steps", "validation_loss"):
            assert job["result"][name] == undisturbed[name]
        assert [row["epoch"] for row in service.metrics(job_id)] == list(range(1, EPOCHS + 1))
        lines = logged(service, job_id)
        assert lines.count("No checkpoint at step") == 1, lines
        assert lines.count("Going on from step") == 1, lines
        assert "begins again" not in lines
        answer = service.call("POST", "/v1/datasets", params=UPLOAD, content=CSV, headers={"Content-Type": "text/csv"})
        assert answer.status_code == 201
    finally:
        service.stop()
    said = disk.folder.with_name("disk.log").read_text()
    assert "the redis ended again (exit code 1)" in said
    assert "(its disk has 0 bytes free)" in said
