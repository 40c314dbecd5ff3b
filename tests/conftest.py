"""What every test shares: pinned kernels, an environment without settings of the user's, and a real Redis."""

from __future__ import annotations

import os

from workers import kernels

for name in [name for name in os.environ if name.startswith("DELTAQ_") and name != "DELTAQ_KERNELS"]:
    del os.environ[name]
os.environ["DELTAQ_MIN_FREE"] = "0"  # whatever else fills this machine's disk
kernels.pin()  # before anything imports NumPy
for name in ("NO_PROXY", "no_proxy"):  # a test talks to loopback alone
    os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1,localhost,::1")))

import shutil  # noqa: E402
import signal  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

import pytest  # noqa: E402
import redis  # noqa: E402
from hypothesis import settings  # noqa: E402
from xdist.scheduler import LoadScopeScheduling  # noqa: E402

from service.redis_server import RedisServer  # noqa: E402

if TYPE_CHECKING:
    from tests.worker_process import Workers

# Two busy cores make the first example slow; what hangs is found by the time limit of each test.
base = settings.get_profile("ci" if os.environ.get("CI") else "default")
settings.register_profile("deltaq", base, deadline=None)
settings.load_profile("deltaq")

# A shell starts what runs in its background deaf to Ctrl-C, and so would be all that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What starts clusters of several processes mostly waits for them: two rows of it, one after the other in each, leave
# room for everything else beside them. A file is in the first row that names it.
ROWS = {
    "few": (
        "tests/hosts/", "tests/integration/test_docs.py", "tests/integration/test_populations.py",
        "tests/integration/test_sweeps.py", "tests/deltaq/test_demo.py", "tests/service/test_embedded.py",
        "tests/service/test_pool.py",
    ),
    "many": ("tests/integration/",),
}  # fmt: skip


def row_of(nodeid: str) -> str | None:
    """The row of clusters that a test belongs to."""
    return next((row for row, paths in ROWS.items() if nodeid.startswith(paths)), None)


class Files(LoadScopeScheduling):  # type: ignore[misc]
    """Tests side by side: the clusters of a row one after the other, every other file in one piece.

    The long forms of tests are few, and each file of them is one piece.
    """

    def _split_scope(self, nodeid: str) -> str:
        row = None if self.config.option.markexpr == "chaos" else row_of(nodeid)
        return row or nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Files:
    """Side by side so."""
    return Files(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side, what takes longest is begun first."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        order = {"many": 0, "few": 1, None: 2}
        items.sort(key=lambda item: order[row_of(item.nodeid)])


@pytest.fixture(scope="session")
def runtime_dir() -> Iterator[Path]:
    """A folder with a path short enough for sockets; pytest's own are too long below some homes."""
    folder = Path(tempfile.mkdtemp(prefix="deltaq-test-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def redis_server(runtime_dir: Path) -> Iterator[RedisServer]:
    """The real server, started once with the settings that deltaq gives it."""
    with RedisServer(runtime_dir / "data", runtime_dir) as server:
        yield server


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """Worker processes of this host; they start when they are first asked for."""
    from tests.worker_process import Workers  # takes Ray, whose import decides for child processes where it may listen

    with Workers() as processes:
        yield processes


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The address of a real, empty Redis."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url
