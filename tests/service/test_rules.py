"""Rules: when they act, what they see, and what they say."""

from __future__ import annotations

from typing import Any

import pytest

from service.rules import figure, judge, sentence
from service.spec import Rule


def row(epoch: int, value: float | None) -> dict[str, Any]:
    return {"epoch": epoch, "validation_f1": value, "layers": [{"dead_fraction": 0.25}, {"dead_fraction": value}]}


def acts(rule: Rule, values: list[float | None]) -> list[int]:
    """The epochs, from 1, at which a rule acts."""
    counts = [0]
    return [epoch for epoch, value in enumerate(values, start=1) if judge([rule], counts, row(epoch, value))]


@pytest.mark.parametrize("metric", ["validation_f1", "layers.1.dead_fraction"])
def test_a_rule_acts_once_after_its_epochs_on_end_and_again_after_a_break(metric: str) -> None:
    above = Rule(metric=metric, above=0.5, epochs=2)
    assert acts(above, [0.6, 0.5, 0.6, 0.7, 0.8, 0.9, 0.1, 0.6, 0.6]) == [4, 9]
    below = Rule(metric=metric, below=0.5, epochs=1)
    assert acts(below, [0.5, 0.4, 0.3, 0.6, 0.0]) == [2, 5]


def test_an_undefined_figure_breaks_the_count() -> None:
    assert acts(Rule(metric="validation_f1", above=0.5, epochs=2), [0.6, None, 0.6, 0.6]) == [4]


def test_it_says_what_it_saw() -> None:
    rule = Rule(metric="layers.1.dead_fraction", above=0.5, epochs=3)
    assert sentence(rule, row(7, 0.75)) == "layers.1.dead_fraction is 0.75, above 0.5 for 3 epochs"
    assert sentence(Rule(metric="validation_f1", below=1), row(7, 0.5)) == "validation_f1 is 0.5, below 1 at epoch 7"
    assert figure(row(1, 0.5), "layers.0.dead_fraction") == 0.25
