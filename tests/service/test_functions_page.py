"""The page about functions names every activation, loss and initializer with its fields; its example is a spec."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from service.resolution import LOSSES
from service.spec import JobSpec
from workers.mlp import losses
from workers.mlp.activations import ACTIVATIONS, find_activation
from workers.mlp.choices import options_of
from workers.mlp.initializers import INITIALIZERS

PAGE = (Path(__file__).parents[2] / "docs" / "functions.md").read_text()


def rows(title: str) -> dict[str, str]:
    """The rows of a part's tables, by the name that each begins with."""
    part = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (text,) = [each for each in part if each.startswith(title)]
    return dict(re.findall(r"^(?=\| `(\w+)`)(.*)$", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("title", "kinds"),
    [("Activations", ACTIVATIONS), ("Losses", losses.LOSSES), ("First weights", INITIALIZERS)],
)
def test_its_tables_have_every_name_and_every_default(title: str, kinds: Mapping[str, type]) -> None:
    found = rows(title)
    assert set(found) == set(kinds)
    for name, kind in kinds.items():
        for option in options_of(kind):
            default = "none" if option.default is None else option.default
            shown = f"{default:g}" if isinstance(default, float) else default
            assert re.search(rf"`{option.name}` `?{re.escape(shown)}`?\b", found[name]), (name, option)


def test_it_says_which_tasks_each_loss_of_classes_has() -> None:
    for name, line in rows("Losses").items():
        tasks = {task for task in LOSSES if f"`{task}`" in line.rpartition("|")[0].rpartition("|")[2]}
        if tasks:
            expected = {task for task in losses.LOSSES[name].outputs if task != "regression"}
            assert (name, tasks) == (name, expected)


def test_it_says_what_goes_with_what() -> None:
    (text,) = [each for each in PAGE.split("\n## ") if each.startswith("What goes with what")]
    lines = re.findall(r"^\| (`.*?) \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    named: Any = {loss: (auto, others) for names, auto, others in lines for loss in re.findall(r"`(\w+)`", names)}
    assert set(named) == set(losses.LOSSES)
    for loss, (auto, others) in named.items():
        outputs = set(losses.LOSSES[loss].outputs.values())
        assert outputs <= set(re.findall(r"`(\w+)`", auto))
        allowed = set(losses.allowed_activations(loss))
        if others == "all but `prelu`":
            assert allowed == set(ACTIVATIONS) - {"prelu"}
        elif others != "the other of both":
            assert allowed == outputs | set(re.findall(r"`(\w+)`", others)) - {"alpha"}


def test_the_images_are_those_of_the_activations() -> None:
    for name, line in rows("Activations").items():
        shown = line.rstrip(" |").rpartition("| ")[2]
        image = find_activation(name).image
        assert (shown[0], shown[-1]) == ("[" if image.lowest_in else "(", "]" if image.highest_in else ")")
        lowest = shown[1:].partition(",")[0].replace("−", "-").replace("∞", "inf").replace("α", "1")
        assert float(lowest) == pytest.approx(image.lowest, abs=6e-4)


def test_its_example_is_a_spec() -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    given = json.loads(example)
    spec = JobSpec.model_validate({"dataset": "wine", **given})
    assert spec.model_dump(mode="json", exclude_unset=True) == {"dataset": "wine", **given}
