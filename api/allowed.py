"""What a JSON schema allows, in words. Knows no request and no pydantic: the schemas are those that OpenAPI shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Node = Mapping[str, Any]

_KINDS = {  # what it is called, and what of it is counted
    "integer": ("an integer", ""),
    "number": ("a number", ""),
    "string": ("text", " characters"),
    "array": ("a list", " items"),
    "object": ("an object", " fields"),
    "boolean": ("true or false", ""),
}
_LEAST = ("minimum", "minLength", "minItems", "minProperties")
_MOST = ("maximum", "maxLength", "maxItems", "maxProperties")


@dataclass(frozen=True)
class Schema:
    """One place of a JSON schema; `document` is where its references lead."""

    node: Node
    document: Node

    def at(self, path: Iterable[int | str], value: Any = None) -> Schema | None:
        """Return what is said of the place that this path leads to, if anything is.

        `value` is what was given here: of a union of objects those members count whose constants are its own, and that
        miss nothing.
        """
        here: Schema | None = self
        for part in path:
            here = None if here is None else here._like(value)._below(part)
            value = _within(value, part)
        return None if here is None else here._like(value)._named(value)

    @property
    def fields(self) -> list[str]:
        """The fields that an object here may have."""
        return list(dict.fromkeys(name for choice in self._choices() for name in choice.get("properties", ())))

    @property
    def keys(self) -> Schema:
        """What the keys of an object here may be."""
        node: dict[str, Any] = {"type": "string"}
        for choice in self._choices():
            for pattern in choice.get("patternProperties", ()):
                node["pattern"] = pattern
            node |= choice.get("propertyNames", {})
        return Schema(node, self.document)

    def words(self) -> list[Any]:
        """Say what is allowed here: words, or the values themselves where they can be counted. Null stays unsaid."""
        return list(dict.fromkeys(word for choice in self._choices() for word in _words(choice)))

    def _choices(self) -> Iterator[Node]:
        """Yield the members of a union, and theirs."""
        node = self.node
        if "$ref" in node:
            node = self._referred(node["$ref"])
        members = node.get("anyOf", node.get("oneOf"))
        if members is None:
            yield node
        for member in members or ():
            yield from Schema(member, self.document)._choices()

    def _like(self, value: Any) -> Schema:
        """Leave out the objects of a union that this value is none of, if that leaves any."""
        choices = list(self._choices())
        like = [choice for choice in choices if _has_constants(value, choice)]
        whole = [
            choice for choice in like if isinstance(value, Mapping) and set(choice.get("required", ())) <= set(value)
        ]
        like = whole or like
        narrowed = isinstance(value, Mapping) and 0 < len(like) < len(choices)
        return Schema({"anyOf": like}, self.document) if narrowed else self

    def _named(self, value: Any) -> Schema:
        """Leave out the fields of an object that are not those of the name that it has."""
        return Schema({"anyOf": [_of_name(value, choice) for choice in self._choices()]}, self.document)

    def _referred(self, reference: str) -> Node:
        node = self.document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        return node

    def _below(self, part: int | str) -> Schema | None:
        found = [node for choice in self._choices() if isinstance(node := _child(choice, part), Mapping)]
        return Schema(found[0] if len(found) == 1 else {"anyOf": found}, self.document) if found else None


def _child(node: Node, part: int | str) -> Any:
    if isinstance(part, int):
        return node.get("items")
    patterns = node.get("patternProperties", {}).values()
    return node.get("properties", {}).get(part, next(iter(patterns), node.get("additionalProperties")))


def _within(value: Any, part: int | str) -> Any:
    try:
        return value[part]
    except (KeyError, IndexError, TypeError):
        return None


def _has_constants(value: Any, node: Node) -> bool:
    """Whether it is an object that has all that this one says is constant."""
    if not isinstance(value, Mapping) or node.get("type") != "object":
        return False
    fields = node.get("properties", {}).items()
    constants = [(name, field.get("enum", [field["const"]] if "const" in field else None)) for name, field in fields]
    return all(value.get(name) in allowed for name, allowed in constants if allowed is not None and name in value)


def _of_name(value: Any, node: Node) -> Node:
    """The node with the fields alone that `x-fields-by-name`, our own word, has for the name given or left out."""
    if "x-fields-by-name" not in node or not isinstance(value, Mapping):
        return node
    fields = node["properties"]
    name = value.get("name", fields["name"].get("default"))
    kept = node["x-fields-by-name"].get(name, fields) if isinstance(name, str) else fields
    return {**node, "properties": {field: fields[field] for field in kept}}


def _words(node: Node) -> list[Any]:
    if "enum" in node or "const" in node:
        return list(node.get("enum", [node.get("const")]))
    if "pattern" in node:
        return [node.get("description", f"text that matches {node['pattern']}")]
    if node.get("type") not in _KINDS:
        return []
    kind, counted = _KINDS[node["type"]]
    if node.get("properties"):
        shown = [f'"{name}": …' for name in node.get("required") or list(node["properties"])[:1]]
        return [f"{kind}, as {{{', '.join(shown)}}}"]
    limits = _limits(node, "from " if not counted else "of ")
    if limits.endswith(" 1"):
        counted = counted.removesuffix("s")
    return [f"{kind} {limits}{counted}" if limits else kind]


def _limits(node: Node, before_range: str) -> str:
    least, most = (next((node[name] for name in names if name in node), None) for names in (_LEAST, _MOST))
    more, less = node.get("exclusiveMinimum"), node.get("exclusiveMaximum")
    if node["type"] == "integer" and less is not None:
        most, less = int(less) - 1, None
    if least is not None and most is not None:
        return f"{before_range}{_number(least)} to {_number(most)}"
    said = [("at least", least), ("more than", more), ("at most", most), ("less than", less)]
    limits = [f"{word} {_number(value)}" for word, value in said if value is not None]
    return f"of {' and '.join(limits)}" if limits else ""


def _number(value: float) -> str:
    """Write a limit in full: OpenAPI makes floats of them."""
    return str(int(value)) if value == int(value) else f"{value:g}"
