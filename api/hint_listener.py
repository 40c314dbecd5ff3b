"""One listener for a whole process: hears which jobs have new events, and wakes the streams that follow them.

While nobody follows, it does not listen: all jobs of the service make hints. Knows no event and no client. A wake-up
may be spurious and may, while Redis is away, be lost: who is woken looks.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import structlog

from service.errors import StoreUnavailable
from service.events import Hint, Hints
from service.store import Store

LISTEN_S = 0.5
RECONNECT_S = 0.5

log = structlog.get_logger()


class HintListener:
    """Wakes asyncio readers from a thread that holds the process's one subscription."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._readers: dict[str, set[asyncio.Event]] = {}  # by job or tenant; changed by the event loop alone
        self._stop = threading.Event()
        self._wanted = threading.Event()  # somebody follows, or it is to stop
        self._thread = threading.Thread(target=self._listen, name="hints", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def closed(self) -> bool:
        """Whether streams should end."""
        return self._stop.is_set()

    def start(self) -> None:
        """Begin to listen, in the thread of the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def close(self) -> None:
        """End every stream; the listener ends within LISTEN_S."""
        self._stop.set()
        self._wanted.set()
        self._wake(None)

    def join(self) -> None:
        """Wait for the listener's end."""
        self._thread.join()

    @contextmanager
    def following(self, names: Iterable[str]) -> Iterator[asyncio.Event]:
        """Give an event that is set when one of these has news; freed at the end, whatever ends it.

        A name is a job's id or, for all of its jobs, a tenant.
        """
        woken, different = asyncio.Event(), set(names)
        for name in different:
            self._readers.setdefault(name, set()).add(woken)
        self._wanted.set()
        try:
            yield woken
        finally:
            for name in different:
                self._readers[name].discard(woken)
                if not self._readers[name]:
                    del self._readers[name]

    @property
    def readers(self) -> int:
        """How many streams are open."""
        return len(set[asyncio.Event]().union(*self._readers.values()))

    def _wake(self, hint: Hint | None) -> None:
        """Wake the readers of a job and of its tenant; None: everybody's."""
        names = self._readers if hint is None else (hint.job_id, hint.tenant)
        for name in names:
            for woken in self._readers.get(name, ()):
                woken.set()

    def _listen(self) -> None:
        while not self._stop.is_set():
            self._wanted.wait()
            try:
                self._hear()
            except StoreUnavailable:
                self._stop.wait(RECONNECT_S)
            except Exception:  # streams would go silent for good if this thread ended
                log.exception("the listener for events failed and goes on")
                self._stop.wait(RECONNECT_S)

    def _hear(self) -> None:
        with Hints(self._store) as hints:
            self._wake_from_thread(None)  # hints were lost while there was no subscription
            while not self._stop.is_set() and self._followed():
                hint = hints.next(LISTEN_S)
                if hint is not None and (hint.job_id in self._readers or hint.tenant in self._readers):
                    self._wake_from_thread(hint)

    def _followed(self) -> bool:
        """Whether anybody follows; who comes just after is seen, since it asks again by `_wanted`."""
        if not self._readers:
            self._wanted.clear()
        if self._readers or self._stop.is_set():
            self._wanted.set()
        return self._wanted.is_set()

    def _wake_from_thread(self, hint: Hint | None) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, hint)
