"""Metrics beside scikit-learn's, over random rows with ties, weights (0 among them) and classes that have no row.

Where the definitions differ the test says so: scikit-learn's NaN, or its 0 by convention, is None here; a class, label
or column without a value is left out of an average; a row of weight 0 is as if it were not there.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import sklearn.metrics as theirs
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service import metrics


def same(value: float) -> Any:
    """This value but for the rounding of sums."""
    return pytest.approx(value, rel=1e-12, abs=1e-12)


@pytest.fixture(autouse=True)
def warned() -> Iterator[None]:
    """scikit-learn warns of what it cannot define; here that is what is looked at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Rows(NamedTuple):
    """Classes as they are, with the probability of each; whole numbers of tenths, so that many are equal."""

    truth: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    weights: NDArray[np.float64] | None
    classes: int

    @property
    def chosen(self) -> NDArray[np.int64]:
        chosen: NDArray[np.int64] = self.probabilities.argmax(axis=-1)
        return chosen

    @property
    def matrix(self) -> NDArray[np.float64]:
        return metrics.confusion_matrix(self.truth, self.chosen, self.classes, self.weights)

    def without_weightless(self) -> Rows:
        """The rows that weigh something."""
        if self.weights is None:
            return self
        kept = self.weights > 0
        return Rows(self.truth[kept], self.probabilities[kept], self.weights[kept], self.classes)


def make_weights(generator: np.random.Generator, rows: int, kind: str) -> NDArray[np.float64] | None:
    if kind == "none":
        return None
    weights = generator.integers(0, 4, rows) if kind == "whole" else generator.gamma(0.5, size=rows)
    weights[generator.integers(rows)] = 1  # one row weighs something
    return weights.astype(np.float64)


@st.composite
def rows(draw: st.DrawFn, least: int = 2) -> Rows:
    classes, count = draw(st.integers(least, 7)), draw(st.integers(1, 60))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    absent = draw(st.booleans())  # the last class has no row
    truth = generator.integers(0, classes - absent, count)
    tenths = generator.integers(0, draw(st.sampled_from([3, 11, 10**6])), (count, classes)) + 1e-3
    probabilities = tenths / tenths.sum(axis=-1, keepdims=True)
    weights = make_weights(generator, count, draw(st.sampled_from(["none", "whole", "any"])))
    return Rows(truth, probabilities, weights, classes)


@settings(deadline=None)
@given(rows())
def test_figures_of_the_confusion_matrix(given: Rows) -> None:
    weighing = given.without_weightless()
    truth, chosen, weights = weighing.truth, weighing.chosen, weighing.weights
    expected = theirs.confusion_matrix(truth, chosen, labels=range(given.classes), sample_weight=weights)
    np.testing.assert_allclose(given.matrix, expected, rtol=1e-12)
    assert metrics.accuracy(given.matrix) == same(theirs.accuracy_score(truth, chosen, sample_weight=weights))
    assert metrics.balanced_accuracy(given.matrix) == same(
        theirs.balanced_accuracy_score(truth, chosen, sample_weight=weights)
    )
    assert metrics.f1_macro(given.matrix) == same(
        theirs.f1_score(truth, chosen, sample_weight=weights, average="macro")
    )


@settings(deadline=None)
@given(rows().filter(lambda given: given.classes == 2))
def test_f1_of_two_classes_is_the_second_s(given: Rows) -> None:
    weighing = given.without_weightless()
    found = metrics.f1_of_second(given.matrix)
    if found is None:  # scikit-learn: 0
        assert not weighing.truth.any()
        assert not weighing.chosen.any()
    else:
        expected = theirs.f1_score(weighing.truth, weighing.chosen, sample_weight=weighing.weights)
        assert found == same(expected)


@settings(deadline=None)
@given(rows())
def test_log_loss(given: Rows) -> None:
    expected = theirs.log_loss(
        given.truth, y_proba=given.probabilities, sample_weight=given.weights, labels=range(given.classes)
    )
    assert metrics.log_loss(given.truth, given.probabilities, given.weights) == same(expected)


def test_log_loss_of_what_was_taken_for_impossible_is_finite() -> None:
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0]])
    truth = np.array([1, 1])
    expected = theirs.log_loss(truth, y_proba=probabilities, labels=[0, 1])
    assert metrics.log_loss(truth, probabilities, None) == expected > 18


@settings(deadline=None)
@given(rows())
def test_auc_is_the_mean_of_the_classes_that_have_one(given: Rows) -> None:
    positive = given.truth == np.arange(given.classes)[:, np.newaxis]
    found = metrics.auc(np.ascontiguousarray(given.probabilities.T), positive, given.weights)
    weighing = given.without_weightless()
    areas = [
        theirs.roc_auc_score(weighing.truth == each, weighing.probabilities[:, each], sample_weight=weighing.weights)
        for each in np.unique(weighing.truth)
        if len(np.unique(weighing.truth)) > 1
    ]
    assert found == (same(float(np.mean(areas))) if areas else None)


@settings(deadline=None)
@given(rows(least=3))
def test_auc_is_scikit_learn_s_one_against_the_rest_where_every_class_has_rows(given: Rows) -> None:
    positive = given.truth == np.arange(given.classes)[:, np.newaxis]
    weighing = given.without_weightless()
    if len(np.unique(weighing.truth)) < given.classes:
        return
    expected = theirs.roc_auc_score(
        weighing.truth, weighing.probabilities, multi_class="ovr", sample_weight=weighing.weights
    )
    found = metrics.auc(np.ascontiguousarray(given.probabilities.T), positive, given.weights)
    assert found == same(expected)


def test_auc_of_more_columns_than_are_sorted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(2)
    scores, positive = generator.integers(0, 9, (7, 40)) / 9, generator.random((7, 40)) > 0.4
    whole = metrics.auc(scores, positive, None)
    monkeypatch.setattr(metrics, "SORTED_AT_ONCE", 90)
    assert metrics.auc(scores, positive, None) == whole


@settings(deadline=None)
@given(
    st.integers(1, 50),
    st.integers(1, 5),
    st.integers(0, 2**32),
    st.floats(0, 1),
    st.sampled_from(["none", "whole", "any"]),
)
def test_labels(count: int, labels: int, seed: int, part: float, kind: str) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.random((count, labels)) < part
    scores = generator.integers(0, 7, (count, labels)) / 7
    weights = make_weights(generator, count, kind)
    kept = slice(None) if weights is None else weights > 0
    shown, guess, weighing = truth[kept], scores[kept] > 0.5, None if weights is None else weights[kept]
    assert metrics.exact_match(truth, scores > 0.5, weights) == same(
        theirs.accuracy_score(shown, guess, sample_weight=weighing)
    )
    of_labels = [
        theirs.f1_score(shown[:, each], guess[:, each], sample_weight=weighing)
        for each in range(labels)
        if shown[:, each].any() or guess[:, each].any()
    ]
    found = metrics.f1_of_labels(truth, scores > 0.5, weights)
    assert found == (same(float(np.mean(of_labels))) if of_labels else None)
    areas = [
        theirs.roc_auc_score(shown[:, each], scores[kept][:, each], sample_weight=weighing)
        for each in range(labels)
        if 0 < shown[:, each].sum() < len(shown)
    ]
    area = metrics.auc(np.ascontiguousarray(scores.T), np.ascontiguousarray(truth.T), weights)
    assert area == (same(float(np.mean(areas))) if areas else None)


@settings(deadline=None)
@given(st.integers(1, 50), st.integers(1, 4), st.integers(0, 2**32), st.sampled_from(["none", "whole", "any"]))
def test_values(count: int, columns: int, seed: int, kind: str) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.normal(3, 2, (count, columns))
    truth[:, generator.random(columns) < 0.2] = 0.1  # a column of one value
    outputs = truth + generator.normal(size=(count, columns))
    weights = make_weights(generator, count, kind)
    kept = slice(None) if weights is None else weights > 0
    shown, guess, weighing = truth[kept], outputs[kept], None if weights is None else weights[kept]
    errors = outputs - truth
    assert metrics.mae(errors, weights) == same(theirs.mean_absolute_error(shown, guess, sample_weight=weighing))
    assert metrics.rmse(errors, weights) == same(theirs.root_mean_squared_error(shown, guess, sample_weight=weighing))
    varied = [each for each in range(columns) if len(np.unique(shown[:, each])) > 1]
    found = metrics.r2(truth, outputs, weights)
    if varied:
        expected = theirs.r2_score(shown[:, varied], guess[:, varied], sample_weight=weighing)
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    else:  # one row, or one value: scikit-learn answers NaN, 0 or 1
        assert found is None


def test_rows_that_all_weigh_0_have_no_metric() -> None:
    nothing = np.zeros(3)
    truth = np.array([0, 1, 1])
    matrix = metrics.confusion_matrix(truth, truth, 2, nothing)
    assert metrics.accuracy(matrix) is None
    assert metrics.balanced_accuracy(matrix) is None
    assert metrics.f1_macro(matrix) is metrics.f1_of_second(matrix) is None
    assert metrics.log_loss(truth, np.full((3, 2), 0.5), nothing) is None
    assert metrics.auc(np.ones((1, 3)), truth[np.newaxis] == 1, nothing) is None
    values = np.arange(3.0)[:, np.newaxis]
    assert metrics.r2(values, values, nothing) is metrics.rmse(values, nothing) is metrics.mae(values, nothing) is None


@pytest.mark.parametrize("metric", ["validation_loss", "validation_log_loss", "train_loss", "validation_rmse"])
def test_of_an_error_less_is_better(metric: str) -> None:
    assert metrics.is_error(metric)


@pytest.mark.parametrize("metric", ["validation_accuracy", "train_accuracy", "validation_f1", "validation_r2"])
def test_of_a_score_more_is_better(metric: str) -> None:
    assert not metrics.is_error(metric)
