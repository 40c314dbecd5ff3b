"""What the README says of how much there is, held against what there is; and that its limits name nothing older."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from workers.mlp.activations import ACTIVATIONS
from workers.mlp.initializers import INITIALIZERS
from workers.mlp.losses import LOSSES
from workers.mlp.optimizers import EVERY_OPTIMIZER

PAGE = (Path(__file__).parents[1] / "README.md").read_text()
NUMBERS = {"nine": 9, "ten": 10, "a dozen": 12, "sixteen": 16}


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        (r"(\w+) activations", ACTIVATIONS),
        (r"(a \w+) losses", LOSSES),
        (r"(\w+) initializers", INITIALIZERS),
        (r"\| `optimizer` \| (\w+),", EVERY_OPTIMIZER),
    ],
)
def test_it_counts_what_there_is(words: str, kinds: dict[str, type]) -> None:
    (said,) = re.findall(words, PAGE)
    assert NUMBERS[said] == len(kinds)


def test_its_limits_list_no_function() -> None:
    """What there is stands on pages of its own; a list among the limits says that there is no more."""
    limits = re.split(r"^## ", PAGE.partition("\n## Limits\n")[2], flags=re.MULTILINE)[0]
    assert set(re.findall(r"\w+", limits.lower())) & {*ACTIVATIONS, *LOSSES, *EVERY_OPTIMIZER} == set()
