"""The process that serves the front door: how it starts, and how it stops with streams open. Knows no route."""

from __future__ import annotations

import os
import signal
import socket
import sys

import uvicorn

from api.app import create_app
from api.services import Services
from service.migrations import check_schema
from service.redis_server import await_suitable
from service.settings import Settings
from workers import kernels

REDIS_DEADLINE_S = 30.0
GRACE_S = 1  # for answers under way


class Server(uvicorn.Server):
    """A server that ends its event streams when it stops, since they would not end by themselves."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: streams at once, other answers within GRACE_S."""
        self._services.listener.close()
        await super().shutdown(sockets)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises: Misconfigured, also for a Redis that could lose jobs; StoreUnavailable when none answers in time;
    SystemExit when the port is taken.
    """
    kernels.check()
    app = create_app(settings)
    services: Services = app.state.services
    for number in (signal.SIGTERM, signal.SIGINT):  # while it waits, and again when uvicorn is done with the signal
        signal.signal(number, lambda *_: sys.exit(os.EX_OK))
    await_suitable(settings.redis_url or "", REDIS_DEADLINE_S)
    check_schema(services.store)
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
