"""Training on the parameter server: what steers it is its state, and saving and restoring that changes no bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.artifacts import Artifacts
from service.checkpoints import CheckpointLost, Snapshot, read_checkpoint
from service.errors import Diverged
from service.jobs import CheckpointRef, Lease
from service.layer_figures import FIGURES
from service.parameter_server import ParameterServer
from service.scoring import ValueScorer
from service.spec import JobSpec
from service.training import Training
from workers.batches import Step, batch_rows, epoch_order
from workers.datafiles import DataFiles
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.network import Network
from workers.mlp.optimizers import SGD
from workers.mlp.parameters import Parameters
from workers.shard_computer import Assignment, ShardComputer
from workers.transport.local import LocalTransport

ROWS, VALIDATION, BATCH = 150, 300, 64
LEASE = Lease("job-aaaaaaaaaaaaaaaaaaaa", "1-00")


class Paused(Exception):
    """A rule paused the training."""


class Silent:
    """Observes a training and keeps its rows and what it was told."""

    def __init__(self, after_step: Callable[[], None] = lambda: None) -> None:
        self.rows: list[dict[str, Any]] = []
        self.told: list[tuple[str, str]] = []
        self._after_step = after_step

    def after_step(self) -> None:
        self._after_step()

    def after_reports(self) -> None: ...

    def after_epoch(self, row: dict[str, Any]) -> None:
        self.rows.append(row)

    def tell(self, level: str, message: str) -> None:
        self.told.append((level, message))

    def pause(self, reason: str) -> None:
        raise Paused(reason)


class Stop(Exception):
    """The test's own interruption."""


@pytest.fixture
def data(tmp_path: Path) -> DataFiles:
    """Two interleaved classes in six dimensions, as .npy files."""
    generator = np.random.default_rng(7)
    (tmp_path / "data").mkdir()
    for part, rows in (("train", ROWS), ("validation", VALIDATION)):
        x = generator.normal(size=(rows, 6)).astype(np.float32)
        y = (x[:, :1] * x[:, 1:2] > 0).astype(np.float32)
        np.save(tmp_path / "data" / f"x_{part}.npy", x)
        np.save(tmp_path / "data" / f"y_{part}.npy", y)
    return DataFiles(tmp_path.as_uri(), "data", str(tmp_path / "cache"))


def begin(data: DataFiles, *, learning_rate: float = 0.1, shards: int = 3, **fields: Any) -> Training:
    spec = JobSpec.model_validate(
        {
            "dataset": "d",
            "data": {"task": "binary"},
            "epochs": 9,
            "optimizer": {"learning_rate": learning_rate},
            **fields,
        }
    )
    layers = (LayerShape(11, "tanh"), LayerShape(1, "sigmoid"))
    architecture = Architecture(6, layers, "log_loss")
    computer = ShardComputer(Assignment(architecture, data, BATCH, shards, seed=3, shuffle=True))
    optimizer = SGD(learning_rate, momentum=0.9, nesterov=True)
    server = ParameterServer(architecture, optimizer, LocalTransport(computer), seed=3)
    return Training(spec, server, ROWS, BATCH)


def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "samples_per_s"} for row in rows]


@pytest.mark.parametrize("stop_at", [1, 3, 4, 9, 13])
@pytest.mark.parametrize("stopping", [None, {"metric": "validation_loss", "patience": 2}])
def test_a_checkpoint_at_any_step_goes_on_with_the_same_bits(
    data: DataFiles, tmp_path: Path, stop_at: int, stopping: dict[str, Any] | None
) -> None:
    whole, observed = begin(data, early_stopping=stopping), Silent()
    whole.run(observed)
    whole.keep_best()

    def interrupt() -> None:
        if first.steps_done == stop_at:
            raise Stop

    first, before = begin(data, early_stopping=stopping), Silent(interrupt)
    with pytest.raises(Stop):
        first.run(before)
    artifacts = Artifacts((tmp_path / "artifacts").as_uri())
    reference = Snapshot().take(first).write(LEASE, artifacts, {"numpy": "x"})
    second, after = begin(data, early_stopping=stopping), Silent()
    read_checkpoint(reference, artifacts).put_back(second)
    second.run(after)
    second.keep_best()
    assert reference.step == stop_at
    assert second.server.parameters.sha256() == whole.server.parameters.sha256()
    assert second.steps_done == whole.steps_done
    assert comparable(before.rows + after.rows) == comparable(observed.rows)


def test_a_checkpoint_that_is_not_the_recorded_one_is_refused(data: DataFiles, tmp_path: Path) -> None:
    training = begin(data)
    artifacts = Artifacts((tmp_path / "artifacts").as_uri())
    reference = Snapshot().take(training).write(LEASE, artifacts, {})
    torn = CheckpointRef(reference.path, "0" * 64, reference.step, {})
    with pytest.raises(CheckpointLost, match="SHA-256"):
        read_checkpoint(torn, artifacts)
    artifacts.delete(reference.path)
    with pytest.raises(CheckpointLost, match="gone"):
        read_checkpoint(reference, artifacts)


def test_early_stopping_keeps_the_weights_of_the_best_epoch(data: DataFiles) -> None:
    training, observed = begin(data, epochs=60, early_stopping={"patience": 3}, learning_rate=1.0), Silent()
    training.run(observed)
    losses = [row["validation_loss"] for row in observed.rows]
    best = int(np.argmin(losses))
    assert training.state.stopped
    assert len(losses) == best + 1 + 3
    assert training.state.best_epoch == best + 1
    training.keep_best()
    evaluation = training.server.evaluate()
    assert evaluation is not None
    assert evaluation.sums.loss / evaluation.sums.weight == losses[best]


def test_a_loss_that_is_not_finite_ends_the_training_within_the_step(data: DataFiles) -> None:
    training = begin(data, learning_rate=1e9)
    training.server.parameters.W[1][...] = 1e30  # the first update is finite, and its weights are not
    with pytest.raises(Diverged, match="step") as caught:
        training.run(Silent())
    assert "learning_rate" in caught.value.hint
    assert training.steps_done <= 3


def test_the_layer_where_numbers_end_is_named_and_no_checkpoint_takes_them(data: DataFiles) -> None:
    training = begin(data)
    training.server.parameters.W[1][...] = 3e38
    training.server.parameters.b[0][...] = 9
    before = training.server.parameters.flat.copy()
    with pytest.raises(Diverged, match=r"epoch 1, step 0, layer 2: the loss became (nan|inf)"):
        training.run(Silent())
    assert (training.server.parameters.flat == before).all()
    training.check_finite()
    training.server.parameters.b[0][3] = np.inf
    with pytest.raises(Diverged, match="layer 1: a weight"):
        training.check_finite()


@pytest.mark.parametrize("shards", [1, 3, 4])
def test_each_row_has_the_figures_of_each_layer(data: DataFiles, shards: int) -> None:
    whole, cut = Silent(), Silent()
    begin(data, shards=1, learning_rate=0.0).run(whole)
    training = begin(data, shards=shards, learning_rate=0.0)
    training.run(cut)
    for row, same in zip(cut.rows, whole.rows, strict=True):
        assert [set(layer) for layer in row["layers"]] == [set(FIGURES)] * 2
        for found, expected in zip(row["layers"], same["layers"], strict=True):
            assert found == pytest.approx(expected, rel=1e-5)
    last, parameters = cut.rows[-1]["layers"], training.server.parameters
    assert [layer["weight_norm"] for layer in last] == pytest.approx([np.linalg.norm(W) for W in parameters.W])
    step = Step(8, 1)  # the last mini-batch of 64 among 150 rows
    network, gradient = Network(parameters.architecture, BATCH), Parameters(parameters.architecture)
    rows = epoch_order(ROWS, 3, 8, shuffle=True)[batch_rows(ROWS, BATCH, step.number)]
    mapped = data.open()
    network.gradient(parameters, mapped.x_train[rows], mapped.y_train[rows], None, gradient)
    for layer, buffers, array in zip(last, network.layers(BATCH), gradient.W, strict=True):
        assert layer["delta_norm"] == pytest.approx(np.sqrt((buffers.delta**2).sum(axis=-1).mean()), rel=1e-5)
        assert layer["gradient_norm"] == pytest.approx(np.linalg.norm(array) / BATCH, rel=1e-5)


def test_rules_warn_and_stop(data: DataFiles) -> None:
    rules = [
        {"metric": "layers.0.weight_norm", "above": 0.0, "epochs": 2},
        {"metric": "train_loss", "below": 100.0, "epochs": 4, "action": "stop"},
    ]
    training, observed = begin(data, rules=rules), Silent()
    training.run(observed)
    assert (len(observed.rows), training.state.stopped_by) == (4, "rule")
    assert [level for level, _ in observed.told] == ["warning", "info"]
    assert "layers.0.weight_norm" in observed.told[0][1]
    assert "train_loss" in observed.told[1][1]


def test_a_rule_pauses_once_and_what_goes_on_has_the_same_bits(data: DataFiles, tmp_path: Path) -> None:
    rules = [{"metric": "train_loss", "below": 100.0, "epochs": 3, "action": "pause"}]
    whole = begin(data)
    whole.run(Silent())
    first, artifacts = begin(data, rules=rules), Artifacts((tmp_path / "artifacts").as_uri())
    with pytest.raises(Paused, match="train_loss"):
        first.run(Silent())
    assert first.state.epoch == 3
    second = begin(data, rules=rules)
    read_checkpoint(Snapshot().take(first).write(LEASE, artifacts, {}), artifacts).put_back(second)
    second.run(Silent())
    assert second.server.parameters.sha256() == whole.server.parameters.sha256()


def test_vanishing_deltas_and_dead_units_are_said_once(data: DataFiles) -> None:
    training, observed = begin(data, learning_rate=0.0), Silent()
    training.server.parameters.W[1][...] *= 1e-7
    training.run(observed)
    assert [(level, "vanish" in message) for level, message in observed.told] == [("warning", True)]
    assert "Try" in observed.told[0][1]


@pytest.mark.parametrize(("patience", "epochs"), [(2, 2), (50, 9)])
def test_a_watched_metric_that_never_had_a_value_is_said_once(data: DataFiles, patience: int, epochs: int) -> None:
    stopping = {"metric": "validation_r2", "patience": patience}
    training, observed = begin(data, early_stopping=stopping), Silent()
    training.scorer = ValueScorer(np.ones(1), np.zeros((VALIDATION, 1)), None)  # of equal values there is no R²
    training.run(observed)
    assert len(observed.rows) == epochs
    ((level, message),) = observed.told
    assert level == "warning"
    assert message.startswith("early_stopping.metric 'validation_r2' had no value (null) in any epoch")


def test_progress_counts_steps_of_the_whole_job(data: DataFiles) -> None:
    seen: list[dict[str, Any]] = []
    training = begin(data)
    training.run(Silent(lambda: seen.append(training.progress())))
    assert [progress["step"] for progress in seen] == list(range(1, 28))
    assert seen[-1]["steps"] == 27
    assert seen[-1]["fraction"] == 1.0
    assert seen[0]["epochs"] == 9
