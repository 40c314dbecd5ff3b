"""A choice among named functions: a name, or a name with fields. Knows none of the functions.

Whatever can be chosen is a frozen dataclass with a class attribute `name`. Its fields are its options: each has a
default, and bounds in its metadata: `least` and `most` belong to what is allowed, `above` and `below` do not. `option`
is the name that users give it, where that is not the field's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

Choice = str | Mapping[str, Any]
Chosen = TypeVar("Chosen")

NO_OPTION: Final = {"option": None}  # metadata of a field that is not the user's
_BOUNDS: Final = {"least": "at least", "above": "above", "most": "at most", "below": "below"}


@dataclasses.dataclass(frozen=True)
class Option:
    """One field of what can be chosen: its type as written, its default, its bounds by their names."""

    name: str
    field: str
    type: Any
    default: Any
    bounds: Mapping[str, float]

    @property
    def allowed(self) -> str:
        """What it may be, in words."""
        if get_origin(self.type) is Literal:
            return ", ".join(map(repr, get_args(self.type)))
        return " and ".join(f"{_BOUNDS[bound]} {limit:g}" for bound, limit in self.bounds.items()) or "any number"

    def allows(self, value: Any) -> bool:
        """Whether it may be this."""
        if get_origin(self.type) is Literal:
            return value in get_args(self.type)
        if value is None or isinstance(value, str):
            return isinstance(value, type(self.default))
        limits = self.bounds
        return (
            limits.get("least", value) <= value <= limits.get("most", value)
            and not value <= limits.get("above", value - 1)
            and not value >= limits.get("below", value + 1)
        )


def name_of(choice: Choice) -> str:
    """Return the name that is chosen."""
    return choice if isinstance(choice, str) else str(choice["name"])


@cache
def options_of(kind: type) -> tuple[Option, ...]:
    """Return what may be set of a thing that can be chosen."""
    types = get_type_hints(kind)
    options = []
    for field in dataclasses.fields(kind):
        name = field.metadata.get("option", field.name)
        if name is not None:
            bounds = {bound: limit for bound, limit in field.metadata.items() if bound in _BOUNDS}
            options.append(Option(name, field.name, types[field.name], field.default, bounds))
    return tuple(options)


def make(kinds: Mapping[str, type[Chosen]], choice: Choice, what: str) -> Chosen:
    """Return what is chosen, with the options that are given.

    Raises: ValueError that names what, its value and what is allowed.
    """
    kind, options = checked(kinds, choice, what)
    return kind(**options)


def checked(kinds: Mapping[str, type[Chosen]], choice: Choice, what: str) -> tuple[type[Chosen], dict[str, Any]]:
    """Return the class that is chosen and the fields that are given.

    Raises: ValueError that names what, its value and what is allowed.
    """
    name = name_of(choice)
    if name not in kinds:
        raise ValueError(f"{what}: {name!r}; allowed: {', '.join(kinds)}")
    given = {} if isinstance(choice, str) else {option: value for option, value in choice.items() if option != "name"}
    kind: type = kinds[name]
    known = {option.name: option for option in options_of(kind)}
    for option, value in given.items():
        if option not in known:
            raise ValueError(f"{what} {name!r}: no field {option!r}; allowed: {', '.join(known) or 'none'}")
        if not known[option].allows(value):
            raise ValueError(f"{what} {name!r}: {option}: {value!r}; allowed: {known[option].allowed}")
    return kinds[name], {known[option].field: value for option, value in given.items()}
