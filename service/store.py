"""Redis: one client, the Lua steps, and the key schema. Knows nothing of HTTP, Ray or training.

Every change is one Lua step (`lua/*.lua`, `lua/prelude.lua` before each): it checks all it has to before its first
write, because Lua rolls nothing back. Nothing is retried: a write whose answer was lost may have happened, so the
steps are made to be repeated instead. Nothing connects at construction.

Key schema (each part that varies has its `%` and `:` escaped, so that no name can reach into another's key):

    deltaq:schema                            version of this schema (`service/migrations.py`)
    deltaq:sequence                          counter: the order in which jobs, data sets, models, aliases were accepted
    deltaq:token                             counter: the generation of leases
    deltaq:leader                            hash: epoch, token, beat of the scheduler that leads
    deltaq:cluster                           JSON: what the leader last saw of Ray; goes by itself when it stops writing
    deltaq:wake                              list of at most one: something for the leader to do
    deltaq:queue:{tenant}:{width}            zset of jobs that wait for slots, at least `width` of them;
                                             score = sequence - priority * 2^41, unique: lowest goes first
    deltaq:queue-widths:{tenant}             zset of the widths that have jobs waiting for slots
    deltaq:queue-tenants                     set of the tenants that have
    deltaq:later                             zset of queued jobs by the time that they wait for, in ms since 1970
    deltaq:unsettled                         list of ended jobs that others wait for
    deltaq:tenants                           set of all tenants that ever had a job
    deltaq:tenant:{tenant}                   hash: running jobs, slots that they need; served: its last generation
    deltaq:running                           set of running jobs
    deltaq:fusable:{tenant}:{width}:{fusion key}:{step}  zset: queued jobs that can be trained as one, as in the queue
    deltaq:population:{id}                   set of the running jobs that are trained as one
    deltaq:claim:{claim token}               list: the jobs given for this claim, each with its token; two minutes
    deltaq:idempotency:{tenant}:{digest}     hash: request, job; 24 hours
    deltaq:job:{id}                          hash: the record (`job_fields` reads it) and its lease
    deltaq:job:{id}:metrics                  list: row of epoch n at n - 1
    deltaq:job:{id}:events                   stream: type, data; trimmed
    deltaq:job:{id}:logs                     stream: line; ids are line numbers; trimmed
    deltaq:ended                             zset of ended jobs by their end, in ms since 1970
    deltaq:work:{tenant}:{digest}:{kernels}  the job that has succeeded at this work, with these kernels
    deltaq:model-files                       hash: path of a model's file -> model
    deltaq:job:{id}:checkpoints              list: those that are kept beside the newest, oldest first
    deltaq:job:{id}:parents                  set of the jobs that it waits for
    deltaq:job:{id}:dependants               set of the jobs that wait for it, or did
    deltaq:events:{tenant}                   stream: job, type, data; the events of all jobs, trimmed
    deltaq:jobs:{tenant}                     zset by sequence
    deltaq:jobs-by-status:{tenant}:{status}  zset by sequence
    deltaq:jobs-by-tag:{tenant}:{tag}        zset by sequence; tag is `key` or `key=value`
    deltaq:dataset:{id}                      hash: tenant ("" = everybody's), name, identity, document
    deltaq:dataset:{id}:jobs                 set of the live jobs that use it
    deltaq:dataset:{id}:sweeps               set of the sweeps that use it and have not ended
    deltaq:dataset:{id}:prepared             hash: preparation -> reference
    deltaq:dataset-names:{tenant}            hash: name -> id
    deltaq:datasets:{tenant}                 zset by sequence
    deltaq:model:{id}                        hash: tenant, document
    deltaq:model:{id}:aliases                set of the names that its tenant has given it
    deltaq:models:{tenant}                   zset by sequence
    deltaq:sweep:{id}                        hash: the record (`service/sweeps/records.py` reads it), how many trials
                                             there are and how many of them ended how
    deltaq:sweep:{id}:trial:{number}         hash: its point and jobs; status, values … once it has ended
    deltaq:sweep:{id}:open                   zset of the numbers of trials that have not
    deltaq:sweep:{id}:live                   set of its jobs that have not ended
    deltaq:sweep:{id}:news                   set of the numbers of trials that the sweeper should look at
    deltaq:sweep:{id}:best                   zset of trials, as nine digits, by one objective: the best comes first
    deltaq:sweep:{id}:models                 hash: trial -> its models, where these have not been deleted for worse
    deltaq:sweeps:{tenant}                   zset by sequence
    deltaq:sweeps-live                       set of the sweeps that are not done: in them something may have to be made
    deltaq:sweeps-changed                    set of those that the sweeper should look at
    deltaq:sweeper-wake                      list of at most one: there are such
    deltaq:sweeper                           there while a sweeper is at work; goes by itself
    deltaq:jobs-by-sweep:{id}                zset by sequence
    deltaq:job:{id}:judged                   list of at most one: its runner waits for what the pruner says
    deltaq:alias:{tenant}:{name}             hash: model, document
    deltaq:aliases:{tenant}                  zset of names by sequence
    deltaq:hints                             channel: `{tenant} {id}` of a job or a sweep that has a new event
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.client import PubSub
from redis.retry import Retry

from service.errors import DeltaqError, RedisUnavailable, StoreUnavailable
from service.refusals import refusal

HINTS = "deltaq:hints"

Argument = str | int | float
_LUA = Path(__file__).parent / "lua"
# What a server answers that is whole but cannot serve now: no memory, disk errors, a replica, still loading.
_CANNOT_SERVE = ("OOM ", "MISCONF ", "READONLY ", "LOADING ", "MASTERDOWN ", "NOREPLICAS ", "BUSY ")


def key(*parts: object) -> str:
    """The key of these parts, each escaped; `lua/prelude.lua` has the same function."""
    return ":".join(("deltaq", *(str(part).replace("%", "%25").replace(":", "%3A") for part in parts)))


class Store:
    """One Redis, by URL: runs the Lua steps and plain reads; every failure to answer is StoreUnavailable.

    Units: `timeout_s` in seconds, for connecting and for each answer.
    """

    def __init__(self, url: str, *, timeout_s: float = 5.0) -> None:
        self._timeout_s = timeout_s
        self._client = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **connection_options(timeout_s))

    def run(self, script: str, /, **arguments: Argument | None) -> list[Any]:
        """Run one Lua step by name; None is an argument that is not given. Returns what it answers.

        Raises: the step's refusal as a DeltaqError; StoreUnavailable.
        """
        text, digest = script_of(script)
        given = flat(arguments)
        with answering():
            try:
                answer = self._client.evalsha(digest, 0, *given)
            except redis.exceptions.NoScriptError:  # a server that started since: it has run nothing
                answer = self._client.eval(text, 0, *given)
        return values_of(answer)

    def run_all(self, script: str, many: Sequence[Mapping[str, Argument | None]]) -> list[list[Any] | DeltaqError]:
        """Run a Lua step for each of these arguments, in one trip: what `run` returns or raises, in their order.

        Raises: StoreUnavailable when the trip does not come to its end; each may then have been run or not.
        """
        text, digest = script_of(script)
        given = list(map(flat, many))
        with answering():
            with self._client.pipeline(transaction=False) as trip:
                for arguments in given:
                    trip.evalsha(digest, 0, *arguments)
                answers = trip.execute(raise_on_error=False)
            for place, answer in enumerate(answers):
                if isinstance(answer, redis.exceptions.NoScriptError):  # a server that started since
                    answers[place] = self._client.eval(text, 0, *given[place])
        return list(map(outcome, answers))

    def command(self, *words: Argument) -> Any:
        """Send one plain command, mostly a read, and return its answer.

        Raises: StoreUnavailable.
        """
        with answering():
            return self._client.execute_command(*words)  # type: ignore[no-untyped-call]

    def commands(self, many: Sequence[Sequence[Argument]]) -> list[Any]:
        """Send plain commands in one trip, and return what each answers.

        Raises: StoreUnavailable.
        """
        with answering(), self._client.pipeline(transaction=False) as trip:
            for words in many:
                trip.execute_command(*words)  # type: ignore[no-untyped-call]
            return trip.execute()

    def scan(self, pattern: str) -> list[str]:
        """All keys that a pattern matches, a few at a time; for what is done once, when a process starts.

        Raises: StoreUnavailable.
        """
        with answering():
            return list(self._client.scan_iter(pattern, count=1000))

    def subscribe(self, channel: str) -> PubSub:
        """A connection of its own that hears the channel; the caller closes it.

        Raises: StoreUnavailable.
        """
        listener: PubSub = self._client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        with answering():
            listener.subscribe(channel)
            listener.get_message(timeout=self._timeout_s)  # the acknowledgement: from here on nothing is missed
        return listener

    def ping(self) -> None:
        """Ask whether Redis answers and serves.

        Raises: StoreUnavailable.
        """
        self.command("PING")

    def close(self) -> None:
        """Close every connection."""
        self._client.close()


@contextmanager
def answering() -> Iterator[None]:
    """Whatever shows within that Redis does not answer or cannot serve becomes StoreUnavailable."""
    try:
        yield
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError) as error:
        raise RedisUnavailable(f"Redis does not answer: {error}") from error
    except redis.exceptions.ResponseError as error:
        message = str(error)
        if isinstance(error, (redis.exceptions.OutOfMemoryError, redis.exceptions.ReadOnlyError)):
            raise RedisUnavailable(f"Redis cannot take it now: {message}") from error
        if message.startswith(_CANNOT_SERVE):
            raise RedisUnavailable(f"Redis cannot serve now: {message}") from error
        raise


def connection_options(timeout_s: float) -> dict[str, Any]:
    """How every client connects; it must not retry either: the default of 10 doubles writes as the server restarts."""
    return {
        "decode_responses": True,
        "protocol": 2,  # no pushed messages between answers
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry_on_error": [],
    }


def flat(arguments: Mapping[str, Argument | None]) -> list[Argument]:
    """The arguments of a step as it gets them: name, value, name, value …"""
    return [part for name, value in arguments.items() if value is not None for part in (name, value)]


def values_of(answer: Any) -> list[Any]:
    """What a step answered. Raises: its refusal as a DeltaqError."""
    outcome, *values = answer
    if outcome == "refused":
        raise refusal(*values)
    return cast("list[Any]", values)


def outcome(answer: Any) -> list[Any] | DeltaqError:
    """What a step of several answered, or its refusal, or that Redis could not serve it."""
    try:
        with answering():
            if isinstance(answer, Exception):
                raise answer
        return values_of(answer)
    except DeltaqError as error:
        return error


def served(answers: Sequence[list[Any] | DeltaqError]) -> Sequence[list[Any] | DeltaqError]:
    """What several steps that may be repeated came to. Raises: StoreUnavailable where Redis could not serve one."""
    for answer in answers:
        if isinstance(answer, StoreUnavailable):
            raise answer
    return answers


@cache
def script_of(name: str) -> tuple[str, str]:
    """The text of a step, its `#!lua` line first and what it includes next, and the digest that Redis knows it by."""
    first, rest = _lua(name).split("\n", 1)
    included = [_lua("prelude"), *([_lua("sweeps")] if rest.startswith("-- include sweeps\n") else [])]
    text = "\n".join((first, *included, rest))
    return text, sha1(text.encode(), usedforsecurity=False).hexdigest()


def _lua(name: str) -> str:
    return (_LUA / f"{name}.lua").read_text("utf-8")
