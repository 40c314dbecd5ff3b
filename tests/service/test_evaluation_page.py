"""The page about evaluation names every metric where its task is, and its examples are specs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from service.metrics import METRICS
from service.spec import JobSpec
from service.spec.stopping import Watched

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()


@pytest.mark.parametrize("task", METRICS)
def test_each_task_has_its_metrics(task: str) -> None:
    (row,) = [line for line in PAGE.splitlines() if re.match(rf"\| (\w+, )?{task}\b.* \| `", line)]
    assert tuple(name for name in re.findall(r"`(\w+)`", row)) == METRICS[task]  # type: ignore[index]


def test_each_metric_is_explained() -> None:
    explained = {name for line in PAGE.splitlines() if line.count(" | ") == 2 for name in re.findall(r"`(\w+)`", line)}
    assert {name for names in METRICS.values() for name in names} <= explained


def test_what_early_stopping_can_watch_is_named() -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith("| `metric` |")]
    named = set(re.findall(r"`(\w+)`", row)) - {"metric"}
    assert named == {"validation_loss"} | {name for name in get_args(Watched) if name.startswith("train_")}


def test_its_examples_are_specs() -> None:
    examples = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)]
    specs = [JobSpec.model_validate({"dataset": "iris", **each}) for each in examples if "matrix" not in each]
    assert len(specs) == 2
    assert specs[1].data.folds == 5
