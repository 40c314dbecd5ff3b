"""Ray's head is killed with all below it, and kept away: records stay honest, and jobs go on by themselves."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from service.private_files import write_private
from service.processes import die_with_parent
from tests.integration.live import LiveService, running, until

SPEC: dict[str, Any] = {
    "dataset": "digits",
    "network": {"hidden": [48, 32]},
    "batch_size": 256,
    "epochs": 500,
    "optimizer": {"momentum": 0.9, "learning_rate": 0.02},
    "workers": {"max": 1},
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


class OwnHead:
    """A service whose Redis and Ray are started apart, as on a cluster."""

    def __init__(self, folder: Path, short: Path) -> None:
        self._folder, self._short = folder, short
        redis_port, self._ray_port = free_port(), free_port()
        token, password = folder / "ray-token", secrets.token_hex(16)
        write_private(token, secrets.token_hex(32))
        self._environment = {
            "DELTAQ_REDIS_URL": f"redis://:{password}@127.0.0.1:{redis_port}/0",
            "DELTAQ_RAY_ADDRESS": f"127.0.0.1:{self._ray_port}",
            "DELTAQ_ARTIFACTS": (folder / "artifacts").as_uri(),
            "DELTAQ_DATA_DIR": str(folder / "data"),
            "DELTAQ_CHECKPOINT_S": "0.4",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
        }
        self._redis = self._start("redis", "--bind=127.0.0.1")
        self.start_head()
        self.live = LiveService(folder / "data", 1, **self._environment)

    def start_head(self) -> None:
        at = ("--node-ip=127.0.0.1", f"--port={self._ray_port}", f"--temp-dir={self._short}")
        self._head = self._start("ray-head", *at, "--slots=2")

    def kill_head(self) -> None:
        """Head, raylet and every actor below it at once."""
        family = [psutil.Process(self._head.pid), *psutil.Process(self._head.pid).children(recursive=True)]
        for process in family:
            process.kill()
        self._head.wait()
        until(lambda: not any(running(process.pid) for process in family), 10, "the end of the head")

    def stop(self) -> None:
        self.live.stop()
        self.kill_head()
        self._redis.kill()
        self._redis.wait()

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        with (self._folder / "parts.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "service", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._environment},
                preexec_fn=die_with_parent(),
            )


@pytest.fixture
def own(tmp_path: Path, runtime_dir: Path) -> Iterator[OwnHead]:
    made = OwnHead(tmp_path, runtime_dir / "head")
    yield made
    made.stop()


@pytest.mark.parametrize(
    "away_s",
    [
        pytest.param(8.0, marks=pytest.mark.timeout(200)),
        pytest.param(180.0, marks=[pytest.mark.chaos, pytest.mark.timeout(600)]),
    ],
)
def test_a_lost_head_is_said_and_its_jobs_go_on_by_themselves(own: OwnHead, away_s: float) -> None:
    live = own.live
    undisturbed = live.finish(live.submit(SPEC))["result"]["weights_sha256"]
    job_id = live.submit(SPEC)
    live.reach(job_id, 900)  # of 3000 steps
    own.kill_head()
    time.sleep(away_s)  # and nobody calls
    shown = live.job(job_id)
    assert shown["status"] == "queued" or shown["progress"]["age_s"] > away_s - 3
    answer = live.http.get("/readyz")
    assert answer.status_code == 503
    assert "ray" in answer.text.lower()
    own.start_head()
    until(lambda: live.record(job_id).status.terminal, 120, "the job's end, without a call")
    job = live.job(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 2)
    assert job["result"]["weights_sha256"] == undisturbed
    logged = [line["message"] for line in live.call("GET", f"/v1/jobs/{job_id}/logs").json()["items"]]
    assert any("Going on from step" in line for line in logged)
    until(lambda: live.http.get("/readyz").status_code == 200, 30, "that all is ready")
