"""Archives written without NumPy, read by NumPy."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from deltaq.errors import InvalidInput
from deltaq.npz import archive

PLAIN = st.one_of(
    arrays.scalar_dtypes().filter(lambda dtype: dtype.kind in "biuf"),
    arrays.unicode_string_dtypes(max_len=8),
)


def load(content: bytes) -> dict[str, np.ndarray[Any, Any]]:
    return dict(np.load(io.BytesIO(content), allow_pickle=False))


@given(arrays.arrays(PLAIN, arrays.array_shapes(max_dims=2, max_side=5)), st.booleans())
def test_an_array_comes_back_as_it_was_whatever_its_order_in_memory(values: np.ndarray[Any, Any], turned: bool) -> None:
    values = values.T if turned else np.asfortranarray(values)
    found = load(archive({"X": values}))["X"]
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1, -(2**63)], "<i8"),
        ([0, 1.5], "<f8"),
        ([True, False], "|b1"),
        (["no", "ja", "☃️"], "<U2"),
        ([[1, 2], [3, 4], [5, 6]], "<i8"),
        ([(0.0, float("nan"))], "<f8"),
        ([], "<f8"),
        (range(3), "<i8"),
    ],
)
def test_lists_become_arrays_of_one_type(values: Any, kind: str) -> None:
    found = load(archive({"y": values}))["y"]
    assert found.dtype == np.dtype(kind)
    np.testing.assert_array_equal(found, np.array(list(values), dtype=kind))


def test_what_can_become_an_array_does() -> None:
    class Tensor:
        def numpy(self) -> np.ndarray[Any, Any]:
            return np.arange(3)

    labels = np.array(["a", "b"], dtype=object)
    found = load(archive({"X": Tensor(), "y": labels}))
    assert found["X"].tolist() == [0, 1, 2]
    assert found["y"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, "a"], "X: expected numbers alone.*found int, str"),
        ([True, 2], "found bool, int"),
        ([None, 1.0], "NoneType"),
        ([2**64], "64 bits"),
        ([[1, 2], [3]], "row 1 does not have 2 values"),
        ([[1, 2], 3], "row 1"),
    ],
)
def test_what_only_pickle_could_hold_is_refused(values: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        archive({"X": values})
