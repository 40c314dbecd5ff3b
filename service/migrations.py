"""The version of the key schema: checked when a process starts, and brought up where the keys are of an older one.

A migration brings the keys from one version to the next, in Python or by a Lua step that it runs. Whoever starts first
runs it, perhaps two processes at once, and one that is killed halfway is repeated by the next start. So each of its
pieces looks whether it is done already, and does no harm to keys that are of the next version by then. Those who still
run an older deltaq have to be ended before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from service.errors import Misconfigured
from service.store import Store

Migration = Callable[[Store], None]

_AT_ONCE = 500  # records that one step looks at; what Redis does for one caller, all others wait for


def to_version_2(store: Store) -> None:
    """Each tenant has a queue of its own, and shares are counted; ended jobs and models' files have an index."""
    for kind in ("jobs", "models"):
        for name in store.scan(f"deltaq:{kind}:*"):
            tenant, last = _unescaped(name.split(":")[2]), "0"
            while last != "":
                (last,) = store.run("migrate_to_2", tenant=tenant, kind=kind, after=last, count=_AT_ONCE)
    store.run("migrate_running_to_2")


MIGRATIONS: Sequence[Migration] = (to_version_2,)  # the first one from version 1 to 2, and so on


def check_schema(store: Store, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Mark an empty Redis as of this version, and bring older keys up to it; call it when a process starts.

    Raises: Misconfigured when its keys are of a newer version; StoreUnavailable.
    """
    newest = 1 + len(migrations)
    while (found := _version(store.run("schema", version=newest)[0])) != newest:
        if found > newest:
            raise Misconfigured(
                f"Redis holds keys of schema version {found}, of a newer deltaq; this one reads up to version {newest}"
            )
        migrations[found - 1](store)
        store.run("schema", version=found + 1, found=found)


def _unescaped(part: str) -> str:
    """The text of one part of a key."""
    return part.replace("%3A", ":").replace("%25", "%")


def _version(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise Misconfigured(f"Redis holds keys of schema version {text!r}, which is none of deltaq's")
    return int(text)
