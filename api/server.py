"""The process that serves the front door: how it starts, and how it stops with streams open. Knows no route."""

from __future__ import annotations

import signal
import socket
import threading
import time

import uvicorn

from api.app import create_app
from api.services import Services
from service.errors import StoreUnavailable
from service.settings import Settings
from service.store import Store
from workers import kernels

REDIS_DEADLINE_S = 30.0
RETRY_S = 0.1
GRACE_S = 1  # for answers under way


class Server(uvicorn.Server):
    """A server that ends its event streams when it stops, since they would not end by themselves."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: streams at once, other answers within GRACE_S."""
        self._services.wakeups.close()
        await super().shutdown(sockets)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises: Misconfigured; StoreUnavailable when Redis does not come in time; SystemExit when the port is taken.
    """
    kernels.check()
    app = create_app(settings)
    services: Services = app.state.services
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):  # until the server has handlers of its own
        signal.signal(number, lambda *_: stopping.set())
    wait_for_redis(services.store, stopping)
    if stopping.is_set():
        return
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody may say where he comes from
        timeout_graceful_shutdown=GRACE_S,
    )
    Server(config, services).run()


def wait_for_redis(store: Store, stopping: threading.Event, deadline_s: float = REDIS_DEADLINE_S) -> None:
    """Return once Redis answers with keys that this version reads, or the process is to stop.

    Raises: StoreUnavailable after the deadline; Misconfigured for another version's keys.
    """
    give_up = time.monotonic() + deadline_s
    while not stopping.is_set():
        try:
            store.check_schema()
            return
        except StoreUnavailable:
            if time.monotonic() > give_up:
                raise
            stopping.wait(RETRY_S)
