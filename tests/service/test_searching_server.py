"""L-BFGS on the parameter server: scikit-learn's losses, the same bits however it is served, and how it ends."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from service.artifacts import Artifacts
from service.assembly import assemble
from service.checkpoints import Snapshot, read_checkpoint
from service.errors import Diverged
from service.jobs import Lease
from service.resolution import resolve
from service.searching_server import SearchingServer
from service.spec import JobSpec
from service.training import Training
from tests.service.data_room import DataRoom
from tests.service.short_training import Unobserved
from tests.worker_process import Workers
from workers.batches import Step
from workers.datafiles import DataFiles
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.optimizers import LBFGS, Regularization
from workers.mlp.parameters import Parameters
from workers.mlp.sums import BatchSums
from workers.shard_computer import Assignment, ShardComputer
from workers.transport.base import WorkersLost
from workers.transport.gang import Gang
from workers.transport.local import LocalTransport

LEASE = Lease("job-aaaaaaaaaaaaaaaaaaaa", "1-00")
SETS: dict[str, Callable[..., Any]] = {"wine": load_wine, "digits": load_digits}


def files(folder: Path, name: str, precision: str = "float64") -> tuple[DataFiles, Any, Any]:
    """A built-in set, standardised, as .npy files without a validation part."""
    x, classes = SETS[name](return_X_y=True)
    x, y = StandardScaler().fit_transform(x), np.eye(classes.max() + 1)[classes]
    (folder / "data").mkdir()
    for part, rows in (("train", slice(None)), ("validation", slice(0))):
        np.save(folder / "data" / f"x_{part}.npy", x[rows].astype(precision))
        np.save(folder / "data" / f"y_{part}.npy", y[rows].astype(precision))
    return DataFiles(folder.as_uri(), "data", str(folder / "cache")), x, classes


class Counted(LocalTransport):
    """Counts the rounds; loses its workers in one of them."""

    def __init__(self, computer: ShardComputer, lost_in: int = -1) -> None:
        super().__init__(computer)
        self.rounds, self.lost_in = 0, lost_in
        self.losses: list[float] = []

    def gradient(self, step: Step, out: Parameters) -> BatchSums:
        """A round, unless it is the one."""
        self.rounds += 1
        if self.rounds == self.lost_in:
            for array in out.named().values():  # what was summed up until then
                array.fill(np.nan)
            raise WorkersLost
        sums = super().gradient(step, out)
        self.losses.append(sums.loss)
        return sums


def begin(
    data: DataFiles,
    x: Any,
    classes: int,
    hidden: tuple[int, ...] = (),
    *,
    epochs: int = 30,
    l2: float = 0.0,
    seed: int = 0,
    shards: int = 1,
    precision: Any = "float64",
    lost_in: int = -1,
    output: tuple[str, str] = ("cross_entropy", "softmax"),
    **own: Any,
) -> Training:
    layers = (*(LayerShape(units, "tanh") for units in hidden), LayerShape(classes, output[1]))
    architecture = Architecture(x.shape[1], layers, output[0], precision=precision)
    computer = ShardComputer(Assignment(architecture, data, len(x), shards, seed=seed, shuffle=True))
    rule = LBFGS(1.0, regularization=Regularization(l2=l2), **own)
    server = SearchingServer(architecture, rule, Counted(computer, lost_in), seed)
    optimizer = {"name": "lbfgs", "learning_rate": 1.0}
    fields = {"dataset": "d", "data": {"task": "multiclass"}, "epochs": epochs, "optimizer": optimizer}
    return Training(JobSpec.model_validate(fields), server, len(x), len(x))


def loss_of(training: Training, l2: float) -> float:
    """The mean loss with its penalty, at the weights as they are."""
    evaluation = training.server.evaluate("train")
    assert evaluation is not None
    squares = sum(float((W * W).sum()) for W in training.server.parameters.W)
    return evaluation.sums.loss / evaluation.sums.weight + l2 / 2 * squares


def theirs(x: Any, classes: Any, start: Parameters, hidden: tuple[int, ...], alpha: float, epochs: int) -> float:
    """scikit-learn's last loss from the same weights; one round trains it, so that it has weights to replace."""
    model = MLPClassifier(hidden, activation="tanh", solver="lbfgs", alpha=alpha, max_fun=10**6, tol=1e-7)
    weights = [array.copy() for array in start.W], [array.copy() for array in start.b]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(max_iter=1, warm_start=True).fit(x, classes)
        model.coefs_, model.intercepts_ = weights
        model.set_params(max_iter=epochs).fit(x, classes)
    return float(model.loss_)


@pytest.mark.parametrize("name", SETS)
def test_without_hidden_layers_the_loss_is_scikit_learns(tmp_path: Path, name: str) -> None:
    data, x, classes = files(tmp_path, name)
    l2 = 0.1 / len(x)
    training = begin(data, x, classes.max() + 1, epochs=500, l2=l2)
    expected = theirs(x, classes, training.server.parameters, (), 0.1, 500)
    training.run(Unobserved())
    assert training.state.stopped_by == "converged"
    assert loss_of(training, l2) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "hidden", "epochs"),
    [("wine", (16,), 200), ("wine", (16, 8), 200), pytest.param("digits", (32,), 100, marks=pytest.mark.oracle)],
)
def test_with_hidden_layers_the_median_over_ten_starts_is_scikit_learns(
    tmp_path: Path, name: str, hidden: tuple[int, ...], epochs: int
) -> None:
    data, x, classes = files(tmp_path, name)
    l2, found, expected = 0.01 / len(x), [], []
    for seed in range(10):
        training = begin(data, x, classes.max() + 1, hidden, epochs=epochs, l2=l2, seed=seed)
        expected.append(theirs(x, classes, training.server.parameters, hidden, 0.01, epochs))
        training.run(Unobserved())
        found.append(loss_of(training, l2))
    assert np.median(found) <= 1.02 * np.median(expected)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("stop_at", [1, 2, 7, 19])
def test_a_checkpoint_between_iterations_goes_on_with_the_same_bits(
    tmp_path: Path, precision: str, stop_at: int
) -> None:
    data, x, _ = files(tmp_path, "wine", precision)
    whole = begin(data, x, 3, (8,), precision=precision, shards=4, epochs=25)
    whole.run(Unobserved())

    first, artifacts = begin(data, x, 3, (8,), precision=precision, shards=4, epochs=25), Artifacts(tmp_path.as_uri())
    with pytest.raises(Stop):
        first.run(Watching(first, stop_at))
    second = begin(data, x, 3, (8,), precision=precision, shards=4, epochs=25)
    read_checkpoint(Snapshot().take(first).write(LEASE, artifacts, {}), artifacts).put_back(second)
    second.run(Unobserved())
    assert second.server.parameters.sha256() == whole.server.parameters.sha256()
    assert second.state.last_row is not None
    assert whole.state.last_row is not None
    assert second.state.last_row["train_loss"] == whole.state.last_row["train_loss"]


class Stop(Exception):
    """The test's own interruption."""


class Watching(Unobserved):
    """Keeps the rows; stops after a step, where one is given."""

    def __init__(self, training: Training, stop_at: int | None = None) -> None:
        self.rows: list[dict[str, Any]] = []
        self._training, self._stop_at = training, stop_at

    def after_step(self) -> None:
        """Stop there."""
        if self._training.steps_done == self._stop_at:
            raise Stop

    def after_epoch(self, row: dict[str, Any]) -> None:
        """Keep it."""
        self.rows.append({name: value for name, value in row.items() if name != "samples_per_s"})


def test_a_checkpoint_of_the_last_iteration_knows_that_it_was_the_last(tmp_path: Path) -> None:
    data, x, _ = files(tmp_path, "wine")
    whole = begin(data, x, 3, epochs=500, l2=0.01)
    seen = Watching(whole)
    whole.run(seen)
    first, artifacts = begin(data, x, 3, epochs=500, l2=0.01), Artifacts(tmp_path.as_uri())
    before = Watching(first, whole.steps_done)
    with pytest.raises(Stop):
        first.run(before)
    second = begin(data, x, 3, epochs=500, l2=0.01)
    read_checkpoint(Snapshot().take(first).write(LEASE, artifacts, {}), artifacts).put_back(second)
    after = Watching(second)
    second.run(after)
    assert before.rows + after.rows == seen.rows
    assert second.state.stopped_by == "converged"
    assert second.server.parameters.sha256() == whole.server.parameters.sha256()


@pytest.mark.parametrize("lost_in", [1, 2, 5, 9, 14])
def test_a_round_that_is_lost_changes_nothing_and_the_iteration_is_done_again(tmp_path: Path, lost_in: int) -> None:
    data, x, _ = files(tmp_path, "wine")
    whole = begin(data, x, 3, (8,), epochs=15)
    whole.run(Unobserved())
    training = begin(data, x, 3, (8,), epochs=15, lost_in=lost_in)
    server = training.server
    for number in range(15):
        try:
            server.step(Step(number, 0), 1.0)
        except WorkersLost:
            server.step(Step(number, 0), 1.0)
    assert isinstance(server.transport, Counted)
    assert server.transport.rounds >= lost_in
    assert server.parameters.sha256() == whole.server.parameters.sha256()


def test_an_iteration_costs_little_more_than_one_round(tmp_path: Path) -> None:
    data, x, _ = files(tmp_path, "digits", "float32")
    training = begin(data, x, 10, (32,), epochs=40, l2=1e-4, precision="float32")
    training.run(Unobserved())
    assert isinstance(training.server.transport, Counted)
    assert training.steps_done == 40
    assert training.server.transport.rounds <= 1.3 * 40


def test_each_row_has_the_loss_before_its_iteration_and_none_is_higher(tmp_path: Path) -> None:
    data, x, _ = files(tmp_path, "wine")
    training = begin(data, x, 3, (8,), epochs=12)
    watching, before = Watching(training), loss_of(training, 0.0)
    training.run(watching)
    losses = [row["train_loss"] for row in watching.rows]
    assert losses[0] == pytest.approx(before, rel=1e-12)
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == 12


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_it_converges_instead_of_failing_and_keeps_the_weights(tmp_path: Path, precision: str) -> None:
    data, x, _ = files(tmp_path, "wine", precision)
    training = begin(data, x, 3, epochs=2000, l2=0.01, precision=precision, change_tolerance=0.0)
    training.run(Unobserved())
    assert training.state.stopped_by == "converged"
    assert training.state.epoch < 200
    before = training.server.parameters.sha256()
    training.server.step(Step(training.state.epoch, 0), 1.0)
    assert training.server.converged
    assert training.server.parameters.sha256() == before


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_at_the_end_of_the_precision_it_looks_no_further(tmp_path: Path, precision: str) -> None:
    data, x, _ = files(tmp_path, "wine", precision)
    exact: dict[str, Any] = {"gradient_tolerance": 0.0, "change_tolerance": 0.0}
    training = begin(data, x, 3, epochs=2000, l2=0.01, precision=precision, **exact)
    training.run(Unobserved())
    assert isinstance(training.server.transport, Counted)
    assert training.state.stopped_by == "converged"
    assert training.server.transport.rounds <= 2 * training.steps_done


def test_a_trial_that_is_no_number_is_a_step_to_be_shortened(tmp_path: Path) -> None:
    data, x, _ = files(tmp_path, "wine")
    server = begin(data, x, 3, output=("poisson", "exponential")).server
    server.step(Step(0, 0), 1e5)
    assert isinstance(server.transport, Counted)
    losses = server.transport.losses
    assert not np.isfinite(losses[1])
    assert losses[-1] < losses[0]
    assert not server.converged


def test_a_search_asks_no_more_often_than_it_may(tmp_path: Path) -> None:
    data, x, _ = files(tmp_path, "wine")
    server = begin(data, x, 3, output=("poisson", "exponential"), max_evaluations=2).server
    before = server.parameters.sha256()
    server.step(Step(0, 0), 1e5)
    assert isinstance(server.transport, Counted)
    assert server.transport.rounds == 1 + 2
    assert server.parameters.sha256() == before


def test_a_start_that_is_no_number_has_diverged(tmp_path: Path) -> None:
    data, x, _ = files(tmp_path, "wine")
    training = begin(data, x, 3, (8,))
    training.server.parameters.W[1].fill(1e308)
    with pytest.raises(Diverged, match="layer 2"):
        training.run(Unobserved())


def test_a_gradient_beyond_the_precision_has_diverged(tmp_path: Path) -> None:
    data, x, _ = files(tmp_path, "wine", "float32")
    inputs = tmp_path / "data" / "x_train.npy"
    np.save(inputs, np.full_like(np.load(inputs), 2e38))
    training = begin(data, x, 3, precision="float32")
    training.server.parameters.flat.fill(0)
    with pytest.raises(Diverged):
        training.run(Unobserved())
    assert np.isfinite(training.server.transport.losses).all()  # type: ignore[attr-defined]


def test_without_a_rate_nothing_is_learned(tmp_path: Path) -> None:
    data, x, _ = files(tmp_path, "wine")
    server = begin(data, x, 3).server
    before = server.parameters.sha256()
    server.step(Step(0, 0), 0.0)
    assert server.parameters.sha256() == before


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_job_has_the_same_bits_on_one_two_and_four_workers(
    data_room: DataRoom, workers: Workers, precision: str
) -> None:
    generator = np.random.default_rng(2)
    x = generator.normal(size=(203, 4))
    y = np.where(x[:, 0] * x[:, 1] > 0, "above", "below")
    dataset = data_room.add_table({**{f"x{number}": x[:, number] for number in range(4)}, "y": y})
    fields = {
        "dataset": "given",
        "network": {"hidden": [6], "activation": "tanh", "precision": precision},
        "optimizer": {"name": "lbfgs", "l2": 1e-3},
        "batch_size": "full",
        "shards": 5,
        "epochs": 12,
    }
    hashes, losses = set(), []
    for count in (1, 2, 4):
        resolution, prepared = resolve(JobSpec.model_validate(fields), dataset), data_room.prepare(dataset, fields)

        def connect(assignment: Assignment, _: bool, count: int = count) -> Gang:
            return workers.gang(assignment, count)

        training = assemble(resolution, prepared, connect)
        assert isinstance(training.server, SearchingServer)
        training.run(Unobserved())
        hashes.add(training.server.parameters.sha256())
        losses.append((training.state.last_row or {})["train_loss"])
    assert len(hashes) == 1
    assert losses[0] < np.log(2)  # what guessing has
