"""What a spec may choose among, made from the registries of the mathematics: a name, or {name, fields of its own}.

Adding a class there is enough: its name, its fields with their bounds and defaults stand in the spec, in OpenAPI and
in what is said of a wrong one. The value stays as it was written, plain JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Discriminator, Field, GetCoreSchemaHandler, Tag
from pydantic_core import CoreSchema
from typing_extensions import TypedDict  # the standard library's is not pydantic's before Python 3.12

from workers.mlp.choices import Option, options_of

_BOUNDS = {"least": "ge", "above": "gt", "most": "le", "below": "lt"}
_NAME, _OTHER = "", "{}"  # tags of a name alone, and of an object whose name has no fields of its own


@dataclass(frozen=True)
class OneOf:
    """Marks a `Choice` of a spec: one of these names or, in their place, an object with that name and its fields."""

    title: str
    kinds: tuple[tuple[str, type], ...]
    others: tuple[str, ...] = ()  # names that stand for themselves, as `auto`

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler.generate_schema(self._type())

    def _type(self) -> Any:
        names = [*self.others, *(name for name, _ in self.kinds)]
        own = {name: kind for name, kind in self.kinds if options_of(kind)}
        plain = [name for name, _ in self.kinds if name not in own]
        members = [
            Annotated[Literal[*names], Tag(_NAME)],
            *(Annotated[_object(name, kind), Tag(name)] for name, kind in own.items()),
            Annotated[_closed(f"Named{self.title}", {"name": Literal[*(plain or names)]}), Tag(_OTHER)],
        ]
        tags = list(own)

        def tag(value: Any) -> str | None:
            if not isinstance(value, Mapping):
                return _NAME
            name = value.get("name")
            return name if name in tags else _OTHER  # whatever it is, it is compared and not hashed

        return Annotated[reduce(or_, members), Discriminator(tag)]


def one_of(title: str, kinds: Mapping[str, type], others: Sequence[str] = ()) -> OneOf:
    """Return the mark of a choice among a registry's classes."""
    return OneOf(title, tuple(kinds.items()), tuple(others))


def _closed(title: str, fields: dict[str, Any]) -> Any:
    typed_dict: Any = TypedDict
    made = typed_dict(title, fields)
    made.__pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    return made


@cache
def _object(name: str, kind: type) -> Any:
    fields = {option.name: NotRequired[_field(option)] for option in options_of(kind)}
    made = _closed(kind.__name__, {"name": Literal[name], **fields})
    made.__doc__ = (kind.__doc__ or "").partition("\n")[0]
    return made


def _field(option: Option) -> Any:
    limits: Any = {_BOUNDS[bound]: limit for bound, limit in option.bounds.items()}
    return Annotated[option.type, Field(**limits, json_schema_extra={"default": option.default})]
