"""Rules: when they act, what they see, and what they say."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from service.errors import InvalidSpec
from service.resolution.rules import check_rules
from service.resolution.stopping import watchable
from service.rules import figure, judge, sentence
from service.spec import JobSpec, Rule
from workers.mlp.architecture import Architecture, LayerShape


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


def test_the_page_names_what_rules_act_on() -> None:
    page = (Path(__file__).parents[2] / "docs" / "network.md").read_text()
    said = page.partition("\n## Rules\n")[2].partition("`metric` is a measured column")[2].partition(".\n\n")[0]
    architecture = Architecture(2, (LayerShape(1, "sigmoid"),), "log_loss")
    for metric, taken in (
        ("learning_rate", True),
        ("train_accuracy", True),
        ("epoch", False),
        ("samples_per_s", False),
    ):
        assert f"`{metric}`" in said
        spec = JobSpec.model_validate({"dataset": "d", "rules": [{"metric": metric, "above": 1}]})
        with nullcontext() if taken else pytest.raises(InvalidSpec):
            check_rules(spec, watchable("binary", "log_loss", validated=True), architecture)


def test_an_undefined_figure_breaks_the_count() -> None:
    assert acts(Rule(metric="validation_f1", above=0.5, epochs=2), [0.6, None, 0.6, 0.6]) == [4]


def test_it_says_what_it_saw() -> None:
    rule = Rule(metric="layers.1.dead_fraction", above=0.5, epochs=3)
    assert sentence(rule, row(7, 0.75)) == "layers.1.dead_fraction is 0.75, above 0.5 for 3 epochs"
    assert sentence(Rule(metric="validation_f1", below=1), row(7, 0.5)) == "validation_f1 is 0.5, below 1 at epoch 7"
    assert figure(row(1, 0.5), "layers.0.dead_fraction") == 0.25
