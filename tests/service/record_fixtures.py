"""Records what this version of deltaq keeps, for later versions to read: `python -m tests.service.record_fixtures`.

Writes, under the numbers that the formats have, those files that are not there yet: what was recorded stays as it is.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers import kernels

kernels.pin()  # before anything imports NumPy

from service import checkpoints, models  # noqa: E402
from service.acceptance import Acceptance  # noqa: E402
from service.errors import Diverged  # noqa: E402
from service.jobs import JobStatus  # noqa: E402
from service.migrations import check_schema  # noqa: E402
from service.redis_server import RedisServer  # noqa: E402
from service.store import Store  # noqa: E402
from tests.service.attempt_room import AttemptRoom, ObservedAttempt  # noqa: E402
from tests.service.families import until  # noqa: E402

FIXTURES = Path(__file__).parent / "fixtures"
PAUSED_AT = 6
IDEMPOTENCY = ("a key", "a request")


def keys_as_commands(store: Store) -> list[list[Any]]:
    """The commands that make an empty Redis hold the same keys."""
    read = {
        "string": lambda key: [["SET", key, store.command("GET", key)]],
        "hash": lambda key: [["HSET", key, *flat(store.command("HGETALL", key))]],
        "list": lambda key: [["RPUSH", key, *store.command("LRANGE", key, 0, -1)]],
        "set": lambda key: [["SADD", key, *sorted(store.command("SMEMBERS", key))]],
        "zset": lambda key: [["ZADD", key, *reversed(store.command("ZRANGE", key, 0, -1, "WITHSCORES"))]],
        "stream": lambda key: [
            ["XADD", key, at, *flat(fields)] for at, fields in store.command("XRANGE", key, "-", "+")
        ],
    }
    commands = []
    for key in sorted(store.command("KEYS", "*")):
        commands += read[store.command("TYPE", key)](key)
        if (expires_s := store.command("TTL", key)) > 0:
            commands.append(["EXPIRE", key, expires_s])
    return commands


def flat(fields: Mapping[str, str]) -> list[str]:
    """Names and values in turn."""
    return [word for pair in fields.items() for word in pair]


def fill(room: AttemptRoom) -> tuple[Path, Path]:
    """A job in each state; answers the file of the paused one's checkpoint, and of the succeeded one's model."""
    rooms = room.rooms
    room.submit(name="succeeded", tags={"who": "me"})
    succeeded = room.run()
    paused = room.submit(name="paused", tags={"who": "me", "how": ""})

    def pause(attempt: ObservedAttempt) -> None:
        rooms.jobs.request(rooms.tenant, paused.id, "pause")
        until(lambda: attempt.beat.requested == "pause", "the pause")

    checkpoint = room.run({PAUSED_AT: pause}).checkpoint
    room.submit(name="failed")
    rooms.queue.fail(rooms.claim().lease, Diverged("the loss is not finite", hint="try a smaller learning rate"))
    cancelled = room.submit(name="cancelled")
    rooms.jobs.request(rooms.tenant, cancelled.id, "cancel")
    room.submit(name="running")
    lease = rooms.claim().lease
    rooms.queue.beat(lease, {"epoch": 1, "step": 3, "steps": 16, "fraction": 0.1875})
    rooms.jobs.request(rooms.tenant, lease.job_id, "pause")
    room.submit(name="queued", priority=3)
    rooms.queue.lead("the leader", 3.0)
    again = paused.spec.model_copy(update={"name": "again", "tags": {}})
    rooms.jobs.accept(Acceptance(rooms.tenant, again, rooms.dataset, idempotency=IDEMPOTENCY))
    assert succeeded.status is JobStatus.SUCCEEDED
    assert succeeded.result is not None
    assert checkpoint is not None
    model = room.models.records.get(rooms.tenant, succeeded.result["model_id"])
    files = room.artifacts.local_path(checkpoint.path), room.artifacts.local_path(model["path"])
    assert files[0] is not None
    assert files[1] is not None
    return files[0], files[1]


def record() -> None:
    """Write the files."""
    FIXTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, RedisServer(Path(folder, "data"), Path(folder)) as server:
        store = Store(server.url)
        check_schema(store)
        checkpoint, model = fill(AttemptRoom(store, Path(folder)))
        schema = store.command("GET", "deltaq:schema")
        lines = ",\n".join(json.dumps(command) for command in keys_as_commands(store))
        store.close()
        written = Path(folder, "keys.json")
        written.write_text(f"[\n{lines}\n]\n")
        for source, name in (
            (written, f"schema-{schema}.json"),
            (checkpoint, f"checkpoint-{checkpoints.FORMAT}.safetensors"),
            (model, f"model-{models.FORMAT}.safetensors"),
        ):
            if not (FIXTURES / name).exists():
                shutil.copyfile(source, FIXTURES / name)
                print(f"recorded {FIXTURES / name}")


if __name__ == "__main__":
    record()
