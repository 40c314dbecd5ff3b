"""The store for an event loop: many runs of one step in one trip. Everything else is asked of `service/store.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer

from service.errors import DeltaqError
from service.store import Argument, answering, connection_options, flat, outcome, script_of


class _InC:
    """Packs commands in C, which the blocking client does by itself."""

    pack_command = staticmethod(HiredisRespSerializer().pack)


class AsyncStore:
    """One Redis, by URL; of one event loop. Units: `timeout_s` in seconds, for connecting and for each answer."""

    def __init__(self, url: str, *, timeout_s: float = 5.0) -> None:
        self._client = redis.asyncio.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **connection_options(timeout_s))
        pool = self._client.connection_pool
        pool.connection_class = type("Connection", (_InC, pool.connection_class), {})

    async def run_all(
        self, script: str, many: Sequence[Mapping[str, Argument | None]]
    ) -> list[list[Any] | DeltaqError]:
        """Run a Lua step for each of these arguments: what `Store.run` returns or raises, in their order.

        Raises: StoreUnavailable when the trip does not come to its end; each may then have been run or not.
        """
        text, digest = script_of(script)
        given = list(map(flat, many))
        with answering():
            async with self._client.pipeline(transaction=False) as trip:
                for arguments in given:
                    trip.evalsha(digest, 0, *arguments)
                answers = await trip.execute(raise_on_error=False)
            for place, answer in enumerate(answers):
                if isinstance(answer, redis.exceptions.NoScriptError):  # a server that started since
                    answers[place] = await self._client.eval(text, 0, *given[place])
        return list(map(outcome, answers))

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()
