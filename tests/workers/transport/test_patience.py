"""How long an answer is waited for: two seconds at least, and twenty times as long as usual."""

from __future__ import annotations

import pytest

from workers.transport.patience import REMEMBERED, Patience


def test_before_the_first_answer_what_one_like_it_took_counts() -> None:
    assert Patience().seconds(None, 3, like_s=0.01) == 2.0
    assert Patience().seconds(None, 3, like_s=0.5) == 10.0


def test_it_is_twenty_times_the_median_by_unit_and_kind() -> None:
    patience = Patience()
    for took_s in (1.0, 1.2, 600.0):
        patience.learn(None, 2, took_s)
    patience.learn("validation", 1, 0.001)
    assert patience.seconds(None, 4, like_s=0.0) == pytest.approx(20 * 2.4)
    assert patience.seconds("validation", 50, like_s=0.0) == 2.0


def test_what_is_long_ago_is_forgotten() -> None:
    patience = Patience()
    for took_s in [9.0] * REMEMBERED + [1.0] * REMEMBERED:
        patience.learn(None, 1, took_s)
    assert patience.seconds(None, 1, like_s=0.0) == 20.0
