"""How the command writes: tables and facts for people, strict JSON for programs. Knows no command.

0 is shown as 0, what is missing as "–"; text of others cannot move the terminal's cursor.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

MISSING = "–"
_LONG = 12  # of lists: more is for --json
_AT_ONCE = 1_000  # lines of a table in one write
SIGPIPE_CODE = 141  # what a shell reports of a writer whose reader has gone


def shown(value: Any) -> str:
    """One value as people read it."""
    if value is None or value == "" or value == {} or value == []:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    if isinstance(value, list) and len(value) > _LONG:
        return f"{shown(value[:3])[:-1]}, … {len(value) - 3} more]"
    if isinstance(value, Mapping | list | tuple):
        return printable(orjson.dumps(value, default=list).decode())
    return printable(str(value))


def printable(text: str) -> str:
    """Text without control characters: each stands as its escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def write(text: str) -> None:
    """Write to standard output at once; where its reader has gone, end quietly."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        end_quietly()


def end_quietly() -> None:
    """End as a writer does whose reader has gone, without a word."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    raise SystemExit(SIGPIPE_CODE)


def json(document: Any) -> None:
    """Write one strict JSON document."""
    write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows in columns as wide as what they hold; nothing is cut, so that it can be copied and piped."""
    lines = [[name.upper() for name in head], *([shown(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for start in range(0, len(lines), _AT_ONCE):
        write("".join(_line(line, widths) for line in lines[start : start + _AT_ONCE]))


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(map(str.ljust, texts, widths)).rstrip() + "\n"


def facts(values: Mapping[str, Any]) -> None:
    """Write names and values, one a line."""
    width = max(map(len, values), default=0)
    for name, value in values.items():
        write(f"{name.ljust(width)}  {shown(value)}\n")


def flat(document: Any, prefix: str = "") -> dict[str, Any]:
    """A document's values by dotted path, the lists as they are."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def say(message: str) -> None:
    """Tell the person at the terminal something that is not the result."""
    print(f"deltaq: {message}", file=sys.stderr, flush=True)
