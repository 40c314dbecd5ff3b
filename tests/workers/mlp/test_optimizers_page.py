"""The page of optimizers says what the code has: each name, each field, each default."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from workers.mlp.choices import options_of
from workers.mlp.optimizers import EVERY_OPTIMIZER, Optimizer
from workers.mlp.schedules import SCHEDULES

PAGE = (Path(__file__).parents[3] / "docs" / "optimizers.md").read_text()


def written(default: Any) -> str:
    """A default as the page writes it."""
    return str(default).lower() if isinstance(default, bool | str) else f"{default:g}"


@pytest.mark.parametrize("name", EVERY_OPTIMIZER)
def test_each_optimizer_has_its_fields_and_defaults_there(name: str) -> None:
    section = PAGE.split(f"### {name}\n")[1].split("\n## ")[0].split("\n### ")[0]
    found: dict[str, str] = {}
    for names, defaults in re.findall(r"^\| (`.*?) \| (`.*?) \|", section, re.MULTILINE):
        found |= zip(re.findall("`(.*?)`", names), re.findall("`(.*?)`", defaults), strict=False)
    general = {field.name for field in fields(Optimizer)}
    kind = EVERY_OPTIMIZER[name]
    expected = {"learning_rate": written(kind.default_rate or 0.1)}
    expected |= {field.name: written(field.default) for field in fields(kind) if field.name not in general}
    assert found == expected


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_schedule_has_its_fields_and_defaults_there(name: str) -> None:
    (row,) = re.findall(rf"^\| `{name}` \|.*\| (.*?) ?\|$", PAGE, re.MULTILINE)
    options = [option for option in options_of(SCHEDULES[name]) if option.name != "unit"]
    assert row == ", ".join(f"`{option.name}` {written(option.default)}" for option in options)
