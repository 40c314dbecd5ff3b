"""Which fields a job's spec has at a place, for those who name one that it has not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from service.spec import JobSpec

Node = Mapping[str, Any]


def fields_instead(path: str) -> list[str] | None:
    """None where a path leads to a field; else those that there are where it leaves the spec."""
    nodes = [_schema()]
    there = _fields(nodes)
    for part in path.split("."):
        nodes = [below for node in nodes for below in _below(node, part)]
        if not nodes:
            return there
        there = _fields(nodes) or there
    return None


def _fields(nodes: Sequence[Node]) -> list[str]:
    names = (name for node in nodes for choice in _choices(node) for name in choice.get("properties", ()))
    return list(dict.fromkeys(names))


def _below(node: Node, part: str) -> Iterator[Node]:
    for choice in _choices(node):
        if choice.get("type") == "array":
            found = choice.get("items") if part.isascii() and part.isdecimal() else None
        else:
            named = choice.get("properties", {}).get(part)
            others = [*choice.get("patternProperties", {}).values(), choice.get("additionalProperties")]
            found = named or next((other for other in others if isinstance(other, Mapping)), None)
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
