"""The digits and what is trained on them, for the comparisons of whole jobs."""

from __future__ import annotations

from benchmarks.made_rows import Rows

HIDDEN, EPOCHS, BATCH, RATE = 64, 20, 32, 0.1


def digits() -> Rows:
    """As many rows as a deltaq job has left when it has put a fifth aside, standardised."""
    from sklearn.datasets import load_digits
    from sklearn.preprocessing import StandardScaler

    x, y = load_digits(return_X_y=True)
    rows = len(x) - len(x) // 5
    return Rows(StandardScaler().fit_transform(x[:rows]).astype("float32"), y[:rows])
