"""The page about data names every field there is, and its example is a spec."""

from __future__ import annotations

import json
import re
from pathlib import Path

from service.spec import DataSpec, JobSpec

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text()


def test_its_table_has_every_field() -> None:
    named = re.findall(r"^\| `(\w+)` \|", PAGE.split("## Columns")[0], re.MULTILINE)
    assert set(named) == set(DataSpec.model_fields)


def test_its_example_is_a_spec() -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    spec = JobSpec.model_validate(json.loads(example))
    assert set(json.loads(example)["data"]) <= spec.data.model_fields_set
