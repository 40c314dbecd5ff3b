"""The pool on a real Ray: what it starts, finds again, buries, replaces and retires."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from service.embedded.deployment import free_port
from service.ray_nodes import LOOPBACK, LOOPBACK_ENVIRONMENT, head_command

pytestmark = pytest.mark.timeout(180)

# Where a user's Ray has left a token, a head takes it, and a driver that was told of none does not.
ENVIRONMENT = {**os.environ, **LOOPBACK_ENVIRONMENT, "RAY_AUTH_MODE": "disabled"}
# A node whose raylet is gone is said to be dead after three seconds instead of fourteen.
HEALTH_CHECKS = {"RAY_health_check_period_ms": "1000", "RAY_health_check_failure_threshold": "2"}


@pytest.fixture
def ray_address(runtime_dir: Path, tmp_path: Path) -> Iterator[str]:
    """A real Ray head of two slots, on loopback."""
    port = free_port("127.0.0.1")
    folder = runtime_dir / f"ray-{port}"
    command = head_command(2, port=port, node_ip=LOOPBACK, temp_dir=str(folder))
    with (tmp_path / "ray.log").open("wb") as output:
        process = subprocess.Popen(command, env=ENVIRONMENT | HEALTH_CHECKS, stdout=output, stderr=output)
    yield f"127.0.0.1:{port}"
    family = psutil.Process(process.pid).children(recursive=True)
    for one in family:
        one.kill()
    process.kill()
    process.wait(10)
    psutil.wait_procs(family, 10)


@pytest.mark.parametrize("story", ["pool", "fault", "size", "nodes"])
def test_the_pool_on_a_real_ray(ray_address: str, redis_url: str, tmp_path: Path, story: str) -> None:
    command = [sys.executable, "-m", "tests.service.pool_story", story, ray_address, redis_url, str(tmp_path)]
    root = Path(__file__).parents[2]
    told = subprocess.run(command, cwd=root, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=150)
    assert told.returncode == 0, told.stderr[-4000:]
    assert told.stdout.endswith("told\n")
