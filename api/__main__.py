"""`python -m api`: serves the front door until SIGTERM or SIGINT.

Knows how the process starts and stops, nothing of what it serves.
"""

from __future__ import annotations

from workers import kernels

kernels.pin()  # before anything imports NumPy

import logging  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

import structlog  # noqa: E402
import uvicorn  # noqa: E402
from pydantic import ValidationError  # noqa: E402

from api.app import create_app  # noqa: E402
from api.services import Services  # noqa: E402
from service.errors import Misconfigured, StoreUnavailable  # noqa: E402
from service.settings import Settings  # noqa: E402
from service.store import Store  # noqa: E402

REDIS_DEADLINE_S = 30.0
RETRY_S = 0.1
GRACE_S = 1  # for answers under way; streams are ended at once

log = structlog.get_logger()


class Server(uvicorn.Server):
    """A server that ends its event streams when it stops, since they would not end by themselves."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services

    async def shutdown(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Stop."""
        self._services.wakeups.close()
        await super().shutdown(sockets)  # type: ignore[arg-type]


def wait_for_redis(store: Store, stopping: threading.Event, deadline_s: float = REDIS_DEADLINE_S) -> None:
    """Return once Redis answers, or the process is to stop. Raises: StoreUnavailable after the deadline."""
    give_up = time.monotonic() + deadline_s
    while not stopping.is_set():
        try:
            store.ping()
            return
        except StoreUnavailable:
            if time.monotonic() > give_up:
                raise
            stopping.wait(RETRY_S)


def serve(settings: Settings) -> None:
    """Serve until a signal. Raises: Misconfigured; StoreUnavailable when Redis does not come."""
    kernels.check()
    app = create_app(settings)
    services: Services = app.state.services
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
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


def main() -> None:
    """Read the settings and serve; what keeps it from serving is one line on stderr and exit code 2 or 1."""
    try:
        settings = Settings()
    except ValidationError as error:
        sys.exit(_say(f"the settings are not as they should be: {error}", 2))
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr, format="%(message)s")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        serve(settings)
    except Misconfigured as error:
        sys.exit(_say(f"{error.detail}; {error.hint}" if error.hint else error.detail, 2))
    except StoreUnavailable as error:
        sys.exit(_say(f"{error.detail} (waited {REDIS_DEADLINE_S:g} s)", 1))


def _say(what: str, code: int) -> int:
    print(f"deltaq api: {what}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
