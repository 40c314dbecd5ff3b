"""H2O-3's deep learning on a local cluster of two threads, warm: rows are imported, the virtual machine stays.

`rounds`, asked (batch, epochs), answers the seconds of training alone at the speed that H2O-3 counts, without its start
of a model and its scoring; a part of the rows tells that speed. `job`, asked anything, trains the digits' network and
answers the seconds on the clock.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.made_rows import ROWS, SIZES, Rows, made
from benchmarks.peers.digits import BATCH, EPOCHS, HIDDEN, digits
from benchmarks.ports import free_port
from benchmarks.sides import Absent, Ready, serve

THREADS = 2
ENOUGH_ROWS = 2048
# Plain SGD, and no scoring that it can leave. Its speed does not depend on the rate, at which it must not diverge.
PLAIN: dict[str, Any] = {
    "activation": "rectifier",
    "adaptive_rate": False,
    "rate": 1e-3,
    "rate_annealing": 0.0,
    "momentum_start": 0.0,
    "momentum_stable": 0.0,
    "nesterov_accelerated_gradient": False,
    "standardize": False,
    "train_samples_per_iteration": -1,
    "score_interval": 1e6,
    "score_duty_cycle": 1e-6,
    "stopping_rounds": 0,
    "overwrite_with_best_model": False,
    "variable_importances": False,
}


def fit(frame: Any, options: Mapping[str, Any]) -> Any:
    """A trained model."""
    from h2o.estimators import H2ODeepLearningEstimator

    model = H2ODeepLearningEstimator(**PLAIN, **options)
    model.train(x=frame.columns[:-1], y=frame.columns[-1], training_frame=frame)
    return model


def rounds(frame: Any, question: Any) -> float:
    """Seconds of (batch, epochs), from the speed that H2O-3 says."""
    batch, epochs = question
    model = fit(frame, {"hidden": list(SIZES[1:-1]), "epochs": epochs, "mini_batch_size": batch})
    speed = str(model.scoring_history()["training_speed"].iloc[-1])  # "12345 obs/sec"
    return float(ROWS * epochs / float(speed.split()[0]))


def job(frame: Any, _question: Any) -> float:
    """Seconds of a whole fit of the digits' network."""
    begun = time.perf_counter()
    fit(frame, {"hidden": [HIDDEN], "epochs": EPOCHS, "mini_batch_size": BATCH})
    return time.perf_counter() - begun


def imported(rows: Rows) -> Any:
    """The rows in the cluster, classes as such."""
    import h2o
    import pyarrow
    import pyarrow.parquet

    columns = {f"x{number}": rows.x[:, number] for number in range(rows.x.shape[1])}
    columns["y"] = [f"class {value}" for value in rows.y]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.parquet")
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
        return h2o.import_file(str(path))


@contextmanager
def h2o_cluster() -> Iterator[Ready]:
    """The side; the command line says which."""
    if shutil.which("java") is None:
        raise Absent("Java is not on PATH")
    import h2o

    # A port and a name of its own: else it would join a cluster that somebody else has here.
    port = free_port()
    h2o.init(
        ip="127.0.0.1",
        port=port,
        name=f"deltaq-{port}",
        bind_to_localhost=True,
        nthreads=THREADS,
        max_mem_size="3g",
    )
    h2o.no_progress()
    try:
        answer, rows = (rounds, made()) if sys.argv[1:] == ["rounds"] else (job, digits())
        frame = imported(Rows(rows.x[:ENOUGH_ROWS], rows.y[:ENOUGH_ROWS]))
        yield f"H2O-3 {h2o.__version__}", lambda question: answer(frame, question)
    finally:
        h2o.cluster().shutdown()


if __name__ == "__main__":
    serve(h2o_cluster)
