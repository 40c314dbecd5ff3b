"""The rules of a spec, held against each epoch's row. Knows neither a network nor what an action does.

A rule counts the epochs on end that its figure has been beyond the line, and acts when there are as many as it asks
for. The counts are part of the training's state, so that a training that is gone on with acts where it would have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.spec import Rule


def judge(rules: Sequence[Rule], counts: list[int], row: Mapping[str, Any]) -> list[Rule]:
    """Count this epoch, in place, and return the rules that act now.

    Shapes: `counts` has one number for each rule.
    """
    acting = []
    for number, rule in enumerate(rules):
        counts[number] = counts[number] + 1 if _beyond(rule, figure(row, rule.metric)) else 0
        if counts[number] == rule.epochs:
            acting.append(rule)
    return acting


def figure(row: Mapping[str, Any], metric: str) -> float | None:
    """A figure of a row: a column, or `layers.<number from 0>.<name>`; None where it is undefined."""
    if not metric.startswith("layers."):
        return row.get(metric)
    _, number, name = metric.split(".")
    found: float | None = row["layers"][int(number)][name]
    return found


def sentence(rule: Rule, row: Mapping[str, Any]) -> str:
    """What a rule has seen, for people."""
    side, line = ("above", rule.above) if rule.above is not None else ("below", rule.below)
    span = f"for {rule.epochs} epochs" if rule.epochs > 1 else f"at epoch {row['epoch']}"
    return f"{rule.metric} is {figure(row, rule.metric):.6g}, {side} {line:g} {span}"


def _beyond(rule: Rule, value: float | None) -> bool:
    if value is None:
        return False
    return value > rule.above if rule.above is not None else rule.below is not None and value < rule.below
