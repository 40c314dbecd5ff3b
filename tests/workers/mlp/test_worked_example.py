"""`docs/worked-example.md` is true: its session runs as printed, and its tables hold the textbook's numbers."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

from tests.oracles.textbook import Textbook

PAGE = Path(__file__).parents[3] / "docs" / "worked-example.md"
NUMBER = re.compile(r"−?\d\.\d{6}")


def test_the_session_runs_as_printed() -> None:
    found = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert found.attempted > 15
    assert found.failed == 0


def test_every_number_of_the_page_is_the_textbooks() -> None:
    weights = [[[0.1, 0.8], [0.4, 0.2]], [[0.6, 0.3], [0.4, 0.9]], [[0.9], [0.2]]]
    textbook = Textbook(weights, ["sigmoid"] * 3, "log_loss", bias=False)
    numbers: list[float] = []
    for _ in range(2):
        sample = textbook.run([1.0, 0.0], [1.0])
        gradient, loss = textbook.gradient([[1.0, 0.0]], [[1.0]], [1.0])
        numbers += [loss, *(value for part in (sample.z, sample.a, sample.delta) for layer in part for value in layer)]
        numbers += [a * (1 - a) for layer in sample.a for a in layer]
        for layer in (2, 3):
            above = sample.delta[layer]
            numbers += [sum(w * delta for w, delta in zip(row, above, strict=True)) for row in textbook.w[layer - 1]]
        numbers += [value for layer in gradient for row in layer for value in row]
        textbook.descend(gradient, 1.0, 0.5)
        numbers += [value for layer in textbook.w for row in layer for value in row]
    computed = {f"{value:.6f}".replace("-", "−") for value in numbers}

    by_hand = PAGE.read_text(encoding="utf-8").split("## The same with deltaq")[0]
    written = set(NUMBER.findall(by_hand))
    assert len(written) > 40
    assert written - computed == set()
