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
from service.checkpoints import read_checkpoint, save_checkpoint
from service.jobs import Lease
from service.resolution import resolve
from service.searching_server import SearchingServer
from service.spec import JobSpec
from service.training import Training
from tests.service.data_room import DataRoom
from tests.service.short_training import Unobserved
from tests.service.test_weights import Gang
from workers.batches import Step
from workers.datafiles import DataFiles
from workers.gradient_worker import Assignment, ShardComputer
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.optimizers import LBFGS, Regularization
from workers.mlp.parameters import Parameters
from workers.mlp.sums import BatchSums
from workers.transport.base import WorkersLost
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

    def gradient(self, parameters: Parameters, step: Step, out: Parameters) -> BatchSums:
        """A round, unless it is the one."""
        self.rounds += 1
        if self.rounds == self.lost_in:
            for array in out.named().values():  # what was summed up until then
                array.fill(np.nan)
            raise WorkersLost
        return super().gradient(parameters, step, out)


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
) -> Training:
    layers = (*(LayerShape(units, "tanh") for units in hidden), LayerShape(classes, "softmax"))
    architecture = Architecture(x.shape[1], layers, "cross_entropy", precision=precision)
    computer = ShardComputer(Assignment(architecture, data, len(x), shards, seed=seed, shuffle=True))
    rule = LBFGS(1.0, regularization=Regularization(l2=l2))
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


def test_without_hidden_layers_the_loss_is_scikit_learns(tmp_path: Path) -> None:
    data, x, classes = files(tmp_path, "wine")
    l2 = 0.1 / len(x)
    training = begin(data, x, 3, epochs=500, l2=l2)
    expected = theirs(x, classes, training.server.parameters, (), 0.1, 500)
    training.run(Unobserved())
    assert training.state.stopped_by == "converged"
    assert loss_of(training, l2) == pytest.approx(expected, abs=1e-6)


def test_with_hidden_layers_the_median_over_ten_starts_is_scikit_learns(tmp_path: Path) -> None:
    data, x, classes = files(tmp_path, "wine")
    l2, found, expected = 0.01 / len(x), [], []
    for seed in range(10):
        training = begin(data, x, 3, (16,), epochs=200, l2=l2, seed=seed)
        expected.append(theirs(x, classes, training.server.parameters, (16,), 0.01, 200))
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

    class Stop(Exception):
        """The test's own interruption."""

    class Interrupting(Unobserved):
        """Stops after a step."""

        def after_step(self) -> None:
            """Stop there."""
            if first.steps_done == stop_at:
                raise Stop

    first, artifacts = begin(data, x, 3, (8,), precision=precision, shards=4, epochs=25), Artifacts(tmp_path.as_uri())
    with pytest.raises(Stop):
        first.run(Interrupting())
    second = begin(data, x, 3, (8,), precision=precision, shards=4, epochs=25)
    read_checkpoint(save_checkpoint(first, LEASE, artifacts, {}), artifacts).put_back(second)
    second.run(Unobserved())
    assert second.server.parameters.sha256() == whole.server.parameters.sha256()
    assert second.state.last_row is not None
    assert whole.state.last_row is not None
    assert second.state.last_row["train_loss"] == whole.state.last_row["train_loss"]


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

    class Rows(Unobserved):
        """Keeps them."""

        losses: list[float]

        def after_epoch(self, row: dict[str, Any]) -> None:
            """Keep its loss."""
            self.losses.append(row["train_loss"])

    training, rows = begin(data, x, 3, (8,), epochs=12), Rows()
    rows.losses = []
    before = loss_of(training, 0.0)
    training.run(rows)
    assert rows.losses[0] == pytest.approx(before, rel=1e-12)
    assert rows.losses == sorted(rows.losses, reverse=True)
    assert len(set(rows.losses)) == 12


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_it_converges_instead_of_failing_and_keeps_the_weights(tmp_path: Path, precision: str) -> None:
    data, x, _ = files(tmp_path, "wine", precision)
    training = begin(data, x, 3, epochs=2000, l2=0.01, precision=precision)
    training.run(Unobserved())
    assert training.state.stopped_by == "converged"
    assert training.state.epoch < 200
    before = training.server.parameters.sha256()
    training.server.step(Step(training.state.epoch, 0), 1.0)
    assert training.server.converged
    assert training.server.parameters.sha256() == before


def test_without_a_rate_nothing_is_learned(tmp_path: Path) -> None:
    data, x, _ = files(tmp_path, "wine")
    server = begin(data, x, 3).server
    before = server.parameters.sha256()
    server.step(Step(0, 0), 0.0)
    assert server.parameters.sha256() == before


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_job_has_the_same_bits_on_one_two_and_four_workers(data_room: DataRoom, precision: str) -> None:
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
    for workers in (1, 2, 4):
        resolution, prepared = resolve(JobSpec.model_validate(fields), dataset), data_room.prepare(dataset, fields)

        def connect(assignment: Assignment, workers: int = workers) -> Gang:
            return Gang(assignment, workers)

        training = assemble(resolution, prepared, connect)
        assert isinstance(training.server, SearchingServer)
        training.run(Unobserved())
        hashes.add(training.server.parameters.sha256())
        losses.append((training.state.last_row or {})["train_loss"])
    assert len(hashes) == 1
    assert losses[0] < np.log(2)  # what guessing has
