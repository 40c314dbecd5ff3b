"""The store itself: its steps explain themselves, and its keys are told apart."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import service.store
from service.store import Store, key

STEPS = sorted(
    path
    for path in Path(service.store.__file__).parent.joinpath("lua").glob("*.lua")
    if path.stem not in ("prelude", "sweeps")
)


@pytest.mark.parametrize("path", STEPS, ids=lambda path: path.stem)
def test_each_step_names_the_arguments_that_it_reads(path: Path) -> None:
    first, *lines = path.read_text().splitlines()
    legend = "\n".join(lines[: next(place for place, line in enumerate(lines) if not line.startswith("--"))])
    body = "\n".join(lines).removeprefix(legend)
    assert first.startswith("#!lua")
    assert len(legend) > 10
    read = set(re.findall(r"\barg\.(\w+)", body))
    if "may(" in body:
        read.add("transitions")
    assert {name for name in read if not re.search(rf"\b{name}\b", legend)} == set()


def test_no_two_lists_of_parts_have_the_same_key() -> None:
    assert key("jobs", "a:b") != key("jobs", "a", "b")
    assert key("jobs", "a%3Ab") != key("jobs", "a:b")
    assert key("job", "job-x", "events") == "deltaq:job:job-x:events"


def test_the_python_and_the_lua_side_name_the_same_keys(store: Store) -> None:
    store.run("create_dataset", dataset="a:b%", tenant="t:%25", name="n", identity="i", document="{}")
    store.run("record_prepared", dataset="a:b%", preparation="p", reference="{}")
    assert {key("dataset", "a:b%"), key("dataset", "a:b%", "prepared"), key("datasets", "t:%25")} <= set(
        store.command("KEYS", "*")
    )
