"""Whole jobs, from what was submitted to a model that predicts, with every activation, loss and initializer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.builtin import install_builtins
from service.resolution import LOSSES
from service.store import Store
from tests.service.test_data_attempts import Service
from workers.mlp.activations import ACTIVATIONS
from workers.mlp.initializers import INITIALIZERS

HIDDEN = [name for name, kind in ACTIVATIONS.items() if kind.hidden]
MOMENTUM = {"momentum": 0.9}


@pytest.fixture
def service(store: Store, tmp_path: Path) -> Service:
    made = Service(store, tmp_path)
    install_builtins(made.data.records, made.data.artifacts)
    return made


def wine_job(**network: Any) -> dict[str, Any]:
    return {"network": {"hidden": [16], **network}, "optimizer": MOMENTUM}


@pytest.mark.parametrize("activation", HIDDEN)
def test_every_hidden_activation_learns(service: Service, activation: str) -> None:
    rate = {"learning_rate": 0.01} if activation == "exponential" else {}
    _, result = service.run("wine", **wine_job(activation=activation) | {"optimizer": {**MOMENTUM, **rate}})
    assert result["validation_accuracy"] >= 0.9


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
@pytest.mark.parametrize("loss", LOSSES["multiclass"])
def test_every_loss_of_classes_learns_and_predicts(service: Service, name: str, loss: str) -> None:
    model, result = service.run(name, **wine_job(activation="tanh"), loss=loss)
    assert result["validation_accuracy"] >= 0.88
    (prediction,) = model.predict([[0.5] * model.transform.inputs])
    assert prediction["class"] in model.transform.classes
    if loss.endswith("hinge"):
        assert max(prediction["scores"], key=prediction["scores"].get) == str(prediction["class"])
    else:
        assert sum(prediction["probabilities"].values()) == pytest.approx(1)


@pytest.mark.parametrize("loss", ["squared_error", "absolute", "huber", "quantile", "poisson", "gamma", "tweedie"])
def test_every_loss_of_values_learns(service: Service, loss: str) -> None:
    amounts = {"scale_target": "mean"} if loss in ("poisson", "gamma", "tweedie") else {}
    _, result = service.run("diabetes", **wine_job(activation="tanh"), loss=loss, data=amounts)
    assert result["validation_r2"] > 0.25


def test_counts_are_learned_as_they_are(service: Service) -> None:
    generator = np.random.default_rng(3)
    x = generator.uniform(-1, 1, 400)
    dataset = service.data.add_table({"x": x, "y": generator.poisson(np.exp(1 + x)).astype(float)})
    model, _ = service.run(
        dataset, data={"task": "regression"}, loss="poisson", network={"hidden": []}, optimizer={"learning_rate": 0.03}
    )
    expected = [np.exp(1 + point) for point in (-1, 0, 1)]
    assert [row["value"] for row in model.predict([[-1.0], [0.0], [1.0]])] == pytest.approx(expected, rel=0.15)
    assert model.transform.target.scale.tolist() == [1.0]


def test_a_quantile_has_its_share_of_the_targets_below_it(service: Service) -> None:
    generator = np.random.default_rng(4)
    x = generator.uniform(-1, 1, 1000)
    y = x + generator.exponential(0.5, 1000)
    dataset = service.data.add_table({"x": x, "y": y})
    model, _ = service.run(
        dataset, loss={"name": "quantile", "quantile": 0.9}, network={"hidden": []}, optimizer=MOMENTUM
    )
    predicted = np.array([row["value"] for row in model.predict([[value] for value in x.tolist()])])
    assert np.mean(y < predicted) == pytest.approx(0.9, abs=0.03)


def test_several_targets_share_a_loss_with_fields(service: Service) -> None:
    generator = np.random.default_rng(5)
    x = generator.uniform(-1, 1, 200)
    dataset = service.data.add_table({"x": x, "u": 2 * x, "v": 3 - x}, target="u")
    model, _ = service.run(dataset, data={"target": ["u", "v"]}, loss={"name": "huber", "delta": 0.5})
    (row,) = model.predict([[0.5]])
    assert row["values"] == pytest.approx({"u": 1.0, "v": 2.5}, abs=0.15)


def test_each_initializer_and_each_field_of_a_choice_gives_other_weights(service: Service) -> None:
    plain: dict[str, Any] = {"epochs": 1}
    jobs: list[dict[str, Any]] = [
        *({"network": {"hidden": [8], "initializer": name}} for name in INITIALIZERS),
        {"network": {"hidden": [8], "activation": {"name": "elu", "alpha": 0.5}}},
        {"network": {"hidden": [8], "activation": {"name": "elu", "alpha": 0.6}}},
        {"network": {"hidden": [8]}, "loss": {"name": "cross_entropy", "label_smoothing": 0.1}},
        {"network": {"hidden": [8]}, "loss": {"name": "focal", "gamma": 1.0}},
        {"network": {"hidden": [8]}, "loss": {"name": "focal", "gamma": 1.5}},
    ]
    hashes = [service.run("iris", **plain, **job)[1]["weights_sha256"] for job in jobs]
    assert len(set(hashes)) == len(jobs)
    again = service.run("iris", **plain, network={"hidden": [8], "activation": {"name": "relu"}})[1]
    assert again["weights_sha256"] == hashes[list(INITIALIZERS).index("glorot_uniform")]
