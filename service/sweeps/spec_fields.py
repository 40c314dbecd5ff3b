"""Which fields a job's spec has at a place, for those who name one that it has not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from service.spec import JobSpec

Node = Mapping[str, Any]


def fields_at(parts: Sequence[str]) -> list[str]:
    """The fields of the object that these parts of a path lead to."""
    nodes = [_schema()]
    for part in parts:
        nodes = [below for node in nodes for below in _below(node, part)]
    return list(
        dict.fromkeys(name for node in nodes for choice in _choices(node) for name in choice.get("properties", ()))
    )


def _below(node: Node, part: str) -> Iterator[Node]:
    for choice in _choices(node):
        found = choice.get("items") if part.isdecimal() else choice.get("properties", {}).get(part)
        if found is not None:
            yield found


def _choices(node: Node) -> Iterator[Node]:
    if "$ref" in node:
        node = _schema()["$defs"][node["$ref"].rpartition("/")[2]]
    members = node.get("anyOf", node.get("oneOf"))
    if members is None:
        yield node
    for member in members or ():
        yield from _choices(member)


@cache
def _schema() -> Node:
    return JobSpec.model_json_schema()
