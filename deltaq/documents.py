"""Reads what a user wrote, JSON or YAML, from a file or standard input; a mistake is told with its line and column.

YAML is read by the rules of YAML 1.2, where JSON is YAML: `1e-3` is a number, `no` is a word and a date is text.
(PyYAML alone follows 1.1, in which a learning rate of 1e-3 is a piece of text.)
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import yaml

from deltaq.errors import InvalidInput


def read(name: str) -> Any:
    """Read one document; `-` is standard input.

    Raises: InvalidInput naming the file, and the line and column of the mistake.
    """
    return parse(content(name), "standard input" if name == "-" else name)


def content(name: str) -> str:
    """The text of a file; `-` is standard input.

    Raises: InvalidInput where it cannot be read, or is not UTF-8.
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise InvalidInput(f"{name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise InvalidInput(f"{name}, line {line}, column {column}: not UTF-8 text") from error


def parse(text: str, name: str) -> Any:
    """Parse JSON where the name or the first character says so, else YAML.

    Raises: InvalidInput naming the line and column of the mistake.
    """
    is_json = name.endswith(".json") or (not name.endswith((".yaml", ".yml")) and text.lstrip()[:1] in ("{", "["))
    return _json(text, name) if is_json else _yaml(text, name)


def _json(text: str, name: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"{name}, line {error.lineno}, column {error.colno}: {_without_place(error.msg)}") from error


def _without_place(message: str) -> str:
    return message.split(": line ")[0]


def _yaml(text: str, name: str) -> Any:
    try:
        node = yaml.compose(text, Loader=_Loader)
        return None if node is None else _value(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InvalidInput(f"{name}{place}: {error.problem or error.context or 'not YAML'}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        raise InvalidInput(f"{name}, line {line}, column {column}: {error.reason}") from error
    except RecursionError as error:
        raise InvalidInput(f"{name}: nested too deeply") from error


class _Loader(yaml.SafeLoader):
    """Tells the types of plain words by YAML 1.2's core schema, in place of 1.1's."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own type)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), [*_first, ""])


def _value(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node)
    if isinstance(node, yaml.SequenceNode):
        return [_value(child) for child in node.value]
    return _scalar(node)


def _mapping(node: yaml.MappingNode) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            raise _mistake(key, "a key must be text")
        if key.value in mapping:
            raise _mistake(key, f"{key.value!r} stands here twice")
        mapping[key.value] = _value(value)
    return mapping


def _scalar(node: yaml.Node) -> Any:
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if kind not in _SCALARS:
        raise _mistake(node, f"the tag {node.tag} is not known here")
    try:
        value = _SCALARS[kind](node.value)
    except ValueError as error:
        raise _mistake(node, f"{node.value[:40]} cannot be read as {kind}") from error
    if isinstance(value, float) and not math.isfinite(value):
        raise _mistake(node, f"{node.value} is not a finite number")
    return value


def _integer(text: str) -> int:
    return int(text, {"0x": 16, "0o": 8}.get(text[:2], 10))


def _number(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": _integer,
    "float": _number,
}


def _mistake(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
