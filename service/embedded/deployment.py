"""From settings to processes: the plan of one `deltaq up`, and the environment that its parts share.

Chooses ports and secrets; starts nothing.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.embedded.plan import DRAIN_S, Part, Plan
from service.errors import Misconfigured
from service.private_files import write_private
from service.ray_nodes import LOOPBACK, LOOPBACK_ENVIRONMENT
from service.redis_server import RedisServer
from service.settings import Settings

LOOPBACK_NAMES = ("localhost", LOOPBACK, "::1")


@dataclass(frozen=True)
class Deployment:
    """A plan with the addresses that its parts are told."""

    plan: Plan
    url: str
    redis_url: str
    ray_address: str
    ray_token_path: str | None  # None: somebody else's Ray
    environment: Mapping[str, str]


def deploy(settings: Settings, runtime_dir: Path) -> Deployment:
    """Choose ports and secrets, and lay out what the parts need in `runtime_dir` and the data directory.

    Raises: Misconfigured where the settings cannot work together, or the port is taken.
    """
    refuse_half_shared(settings)
    python = (sys.executable, "-m")
    parts, environment = [], {}
    redis_url, ray_address, token = settings.redis_url, settings.ray_address, None
    if redis_url is None:
        server = RedisServer(settings.data_dir / "redis", runtime_dir)
        parts.append(Part("redis", tuple(server.command())))
        redis_url = server.url
    if ray_address is None:
        port, folder, token = free_port(LOOPBACK), runtime_dir / "ray", str(runtime_dir / "ray-token")
        write_private(Path(token), secrets.token_hex(32))  # by which Ray knows its own
        head = (f"--node-ip={LOOPBACK}", f"--port={port}", f"--temp-dir={folder}", f"--slots={settings.workers}")
        parts.append(Part("ray-head", (*python, "service", "ray-head", *head)))
        ray_address = f"{LOOPBACK}:{port}"
        environment = {**LOOPBACK_ENVIRONMENT, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": token}
    parts.append(Part("scheduler", (*python, "service", "scheduler"), drains=True))
    parts.append(Part("sweeper", (*python, "service", "sweeper")))
    parts.append(Part("api", (*python, "api"), drains=True))
    port = usable_port(settings.host, settings.port)
    data_dir = settings.data_dir
    plan = Plan(str(runtime_dir), str(data_dir / "logs"), str(data_dir / "service.json"), tuple(parts))
    told = settings.model_copy(update={"port": port, "redis_url": redis_url, "ray_address": ray_address})
    environment |= part_environment(told, os.environ)
    return Deployment(plan, _url(settings.host, port), redis_url, ray_address, token, environment)


def refuse_half_shared(settings: Settings) -> None:
    """A Ray of several machines needs a Redis and an artifact store that all of them reach."""
    missing = [
        f"DELTAQ_{name.upper()} ({what})"
        for name, what in (("redis_url", "a Redis"), ("artifacts", "an fsspec URL"))
        if getattr(settings, name) is None
    ]
    if settings.ray_address is not None and missing:
        raise Misconfigured(
            f"DELTAQ_RAY_ADDRESS is {settings.ray_address!r}, so that other machines take part; set also "
            + " and ".join(missing)
            + ", which each of them reaches"
        )


def part_environment(settings: Settings, outside: Mapping[str, str]) -> dict[str, str]:
    """The settings as the parts read them: absolute paths, since parts run in the data directory."""
    paths = {"data_dir": settings.data_dir, "cache_dir": settings.cache_path, "api_keys_file": settings.api_keys_file}
    values: dict[str, object] = {name: path.absolute() for name, path in paths.items() if path is not None}
    for name in ("host", "port", "workers", "redis_url", "ray_address"):
        values[name] = getattr(settings, name)
    environment = {f"DELTAQ_{name.upper()}": str(value) for name, value in values.items()}
    environment["DELTAQ_DRAIN_S"] = str(min(settings.drain_s, DRAIN_S))  # the keeper waits no longer
    environment["DELTAQ_ARTIFACTS"] = settings.artifacts_url
    environment["PYTHONSAFEPATH"] = "1"  # no `api` or `service` of the user's own folder is taken for ours
    for name in ("NO_PROXY", "no_proxy"):  # gRPC obeys them too
        environment[name] = ",".join(filter(None, (outside.get(name), *LOOPBACK_NAMES)))
    return environment


def usable_port(host: str, port: int) -> int:
    """`port`, or a free one for 0.

    Raises: Misconfigured when it is taken or the host is none of this machine's.
    """
    try:
        return free_port(host, port)
    except OSError as error:
        raise Misconfigured(
            f"the API cannot listen on {host}:{port}: {error.strerror}; "
            "choose with --host and --port (0 takes a free port)"
        ) from None


def free_port(host: str, port: int = 0) -> int:
    """A TCP port that nobody listens on now; kept over restarts, so that addresses stay true."""
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one in TIME_WAIT is free
        probe.bind(address)
        return int(probe.getsockname()[1])


def _url(host: str, port: int) -> str:
    reached = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"
