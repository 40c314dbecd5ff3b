"""What is tidied up beside the scheduling: files that no record names, records of jobs that ended long ago.

It may be done by several processes at once: each step is safe against the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Thread

import structlog

from service.artifacts import Artifacts
from service.errors import Unavailable
from service.history import History
from service.job_records import Jobs
from service.leftovers import Leftovers
from service.settings import Settings
from service.store import Store

log = structlog.get_logger()

SWEEP_S, ARCHIVE_S = 600.0, 60.0  # how long to wait before each time


def start_housekeeping(settings: Settings, store: Store, artifacts: Artifacts) -> None:
    """Tidy up in threads that end with the process."""
    history = History(store, Jobs(store), artifacts)
    _keep("leftovers", SWEEP_S, Leftovers(store, artifacts).sweep)
    _keep("archive", min(ARCHIVE_S, settings.retention_s), lambda: history.archive(settings.retention_s))


def _keep(name: str, every_s: float, step: Callable[[], Sequence[str]]) -> None:
    def keep() -> None:
        while True:
            time.sleep(every_s)
            try:
                done = step()
            except Unavailable as away:
                log.warning("not tidied up", what=name, detail=away.detail)
            except Exception:
                log.exception("not tidied up", what=name)
            else:
                if done:
                    log.info("tidied up", what=name, count=len(done))

    Thread(target=keep, name=name, daemon=True).start()
