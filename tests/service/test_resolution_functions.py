"""Activations, losses and initializers of a spec: what `auto` makes of them, what goes together, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from service.datasets import Dataset
from service.errors import InvalidSpec
from service.resolution import LOSSES, Resolution, resolve
from service.spec import JobSpec
from tests.service.data_room import builtin_dataset, table_dataset
from tests.service.test_resolution import refused, resolved
from workers.mlp import losses
from workers.mlp.activations import ACTIVATIONS
from workers.mlp.choices import name_of

AMOUNTS = ("poisson", "gamma", "tweedie")
OF_TASK = {"regression": "diabetes", "binary": "breast_cancer", "multiclass": "wine"}


def amounts(*values: float) -> Dataset:
    return table_dataset({"x": [float(row) for row in range(len(values))], "y": list(values)})


def again(found: Resolution, dataset: Dataset) -> Resolution:
    return resolve(JobSpec.model_validate_json(found.spec.model_dump_json()), dataset)


class TestLosses:
    def test_each_task_has_the_losses_that_say_so(self) -> None:
        assert LOSSES["regression"][0] == "squared_error"
        assert set(LOSSES["regression"]) == {"squared_error", "absolute", "huber", "quantile", *AMOUNTS}
        assert LOSSES["binary"][0] == "log_loss"
        assert LOSSES["multiclass"][0] == "cross_entropy"
        for task in ("binary", "multiclass"):
            assert set(LOSSES[task]) == {
                *("log_loss", "cross_entropy", "focal", "hinge", "squared_hinge", "squared_error"),
            }
        assert set(LOSSES["multilabel"]) == {"log_loss", "focal"}

    @pytest.mark.parametrize("task", OF_TASK)
    def test_auto_is_the_output_activation_that_the_loss_names(self, task: Any) -> None:
        for loss in LOSSES[task]:
            found = resolved(OF_TASK[task], loss=loss)
            output = losses.LOSSES[loss].outputs[task]
            assert (found.spec.loss, found.spec.network.output_activation) == (loss, output)
            assert name_of(found.architecture.layers[-1].activation) == output
            several = task == "multiclass" or (task == "binary" and output == "softmax")
            assert (found.outputs > 1) == several

    @pytest.mark.parametrize("activation", ACTIVATIONS)
    @pytest.mark.parametrize("loss", LOSSES["regression"])
    def test_an_output_activation_is_taken_or_refused_by_both_names(self, loss: str, activation: str) -> None:
        spec: dict[str, Any] = {"loss": loss, "network": {"output_activation": activation}}
        if activation in losses.allowed_activations(loss) and activation != "softmax":
            assert resolved("diabetes", **spec).architecture.layers[-1].activation == activation
            return
        pointer, words, allowed = refused("diabetes", **spec)
        assert pointer == "/network/output_activation"
        assert repr(activation) in words
        assert repr(loss) in words
        assert activation not in allowed
        for other in allowed:
            resolved("diabetes", loss=loss, network={"output_activation": other})

    @pytest.mark.parametrize(
        ("loss", "activation", "words"),
        [
            ("poisson", "relu", "'relu' puts out numbers in [0, ∞), which leave (0, ∞); it does not go with loss"),
            ("poisson", "identity", "'identity' puts out numbers in (−∞, ∞), which leave (0, ∞); it does not go"),
            ("absolute", "prelu", "'prelu' has a slope of its own to learn; it does not go with loss 'absolute'"),
            ("absolute", "softmax", "'softmax' over one unit is constant; it does not go with loss 'absolute'"),
        ],
    )
    def test_it_says_why_not(self, loss: str, activation: str, words: str) -> None:
        assert words in refused("diabetes", loss=loss, network={"output_activation": activation})[1]

    def test_a_loss_of_another_task_is_refused_by_name(self) -> None:
        pointer, words, allowed = refused("wine", loss={"name": "huber", "delta": 2.0})
        assert pointer == "/loss"
        assert "loss 'huber' does not fit task 'multiclass'" in words
        assert allowed[0] == "auto"
        assert "hinge" in allowed


class TestAmounts:
    @pytest.mark.parametrize("loss", AMOUNTS)
    def test_the_target_is_not_scaled(self, loss: str) -> None:
        dataset = amounts(0.5, 1.5, 2.5)
        found = resolved(dataset, loss=loss)
        assert found.spec.data.scale_target == "none"
        assert again(found, dataset).spec == found.spec
        pointer, words, allowed = refused(dataset, loss=loss, data={"scale_target": "standard"})
        assert pointer == "/data/scale_target"
        assert f"loss {loss!r} takes targets in" in words
        assert allowed == ["auto", "none", "mean"]

    def test_other_losses_of_values_scale_it(self) -> None:
        assert resolved("diabetes", loss="huber").spec.data.scale_target == "standard"
        for loss, name in (("huber", "diabetes"), ("hinge", "iris")):
            pointer, _, allowed = refused(name, loss=loss, data={"scale_target": "mean"})
            assert pointer == "/data/scale_target"
            assert "mean" not in allowed

    def test_large_amounts_are_warned_of_unless_they_are_divided_by_their_mean(self) -> None:
        word = "data.scale_target 'mean' divides them by their mean"
        assert any(word in warning for warning in resolved("diabetes", loss="poisson").warnings)
        scaled = resolved("diabetes", loss="poisson", data={"scale_target": "mean"})
        assert scaled.spec.data.scale_target == "mean"
        assert not any(word in warning for warning in scaled.warnings)
        assert not any(word in warning for warning in resolved(amounts(0.5, 1.5, 2.5), loss="poisson").warnings)

    @pytest.mark.parametrize(
        ("loss", "least", "fits"),
        [
            ("poisson", 0.0, True),
            ("tweedie", 0.0, True),
            ("gamma", 0.0, False),
            ("gamma", 0.001, True),
            ("poisson", -0.001, False),
            ("tweedie", -3.0, False),
            ("squared_error", -3.0, True),
        ],
    )
    def test_the_record_says_whether_all_values_fit(self, loss: str, least: float, fits: bool) -> None:
        dataset = amounts(2.5, least, 1.5)
        if fits:
            assert resolved(dataset, loss=loss).spec.loss == loss
            return
        pointer, words, _ = refused(dataset, loss=loss)
        assert pointer == "/data/target"
        assert f"column 'y' holds {least:g}, and loss {loss!r} takes" in words

    def test_the_data_set_that_validates_is_held_against_it_too(self) -> None:
        dataset, other = amounts(0.5, 1.5, 2.5), amounts(-0.5, 1.5, 2.5)
        spec = JobSpec.model_validate(
            {"dataset": dataset.name, "loss": "poisson", "data": {"validation_dataset": other.name}}
        )
        with pytest.raises(InvalidSpec, match="column 'y' holds") as refusal:
            resolve(spec, dataset, other)
        assert refusal.value.errors[0].pointer == "/data/validation_dataset"


class TestActivations:
    def test_fields_reach_the_architecture_and_stay_in_the_spec(self) -> None:
        elu = {"name": "elu", "alpha": 0.5}
        network = {"hidden": [3, {"units": 4, "activation": {"name": "prelu"}}], "activation": elu}
        found = resolved("iris", network=network, loss={"name": "focal", "gamma": 1.0})
        assert [layer.activation for layer in found.architecture.layers] == [elu, {"name": "prelu"}, "softmax"]
        assert found.architecture.loss == {"name": "focal", "gamma": 1.0}
        assert found.spec.network.activation == elu
        assert again(found, builtin_dataset("iris")).spec == found.spec

    @pytest.mark.parametrize("name", [name for name, kind in ACTIVATIONS.items() if kind.hidden])
    def test_every_hidden_activation_resolves_to_itself(self, name: str) -> None:
        found = resolved("iris", network={"activation": name})
        assert found.architecture.layers[0].activation == name
        assert again(found, builtin_dataset("iris")).spec == found.spec

    def test_prelu_learns_a_slope_for_each_unit(self) -> None:
        relu, prelu = (resolved("iris", network={"activation": name}) for name in ("relu", "prelu"))
        assert prelu.parameters - relu.parameters == 64
        assert prelu.memory_bytes > relu.memory_bytes


class TestInitializers:
    @pytest.mark.parametrize(
        ("network", "initializer"),
        [
            ({}, "glorot_uniform"),
            ({"activation": "selu"}, "lecun_normal"),
            ({"activation": {"name": "elu", "alpha": 2.0}}, "glorot_uniform"),
            ({"activation": "selu", "initializer": "he_normal"}, "he_normal"),
            ({"initializer": {"name": "uniform", "limit": 0.1}}, {"name": "uniform", "limit": 0.1}),
        ],
    )
    def test_auto_is_what_the_activation_wants(self, network: dict[str, Any], initializer: Any) -> None:
        found = resolved("iris", network=network)
        assert found.spec.network.initializer == initializer
        assert again(found, builtin_dataset("iris")).spec == found.spec

    def test_zeros_are_warned_of_where_units_stay_alike(self) -> None:
        word = "network.initializer: with 'zeros'"
        assert any(word in warning for warning in resolved("iris", network={"initializer": "zeros"}).warnings)
        single = resolved("iris", network={"initializer": "zeros", "hidden": []})
        assert not any(word in warning for warning in single.warnings)
