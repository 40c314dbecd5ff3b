"""Every `auto`, every refusal, and that a resolved spec is its own resolution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.datasets import Dataset
from service.errors import InvalidSpec
from service.gang_size import gang_size
from service.resolution import LOSSES, Resolution, resolve
from service.spec import JobSpec
from service.spec.optimizer import own_fields
from tests.service.data_room import builtin_dataset, table_dataset
from workers.mlp.losses import allowed_activations

NOT_USED = ("validation_dataset", "order_by", "folds", "sample_weight", "class_weight")  # None: nothing of the kind
BUILTINS = ("digits", "iris", "wine", "breast_cancer", "diabetes", "xor")


def resolved(dataset: Dataset | str, **spec: Any) -> Resolution:
    given_dataset = builtin_dataset(dataset) if isinstance(dataset, str) else dataset
    return resolve(JobSpec.model_validate({"dataset": given_dataset.name, **spec}), given_dataset)


def refused(dataset: Dataset | str, **spec: Any) -> tuple[str, str, Any]:
    """Pointer, words and allowed of a refusal."""
    with pytest.raises(InvalidSpec) as refusal:
        resolved(dataset, **spec)
    (error,) = refusal.value.errors
    return error.pointer, refusal.value.detail, error.allowed


@pytest.mark.parametrize(
    ("name", "task", "loss", "output", "units", "rate", "scaled", "rows"),
    [
        ("digits", "multiclass", "cross_entropy", "softmax", 10, 0.1, "none", (1438, 359)),
        ("iris", "multiclass", "cross_entropy", "softmax", 3, 0.1, "none", (120, 30)),
        ("wine", "multiclass", "cross_entropy", "softmax", 3, 0.1, "none", (142, 36)),
        ("breast_cancer", "binary", "log_loss", "sigmoid", 1, 0.1, "none", (455, 114)),
        ("diabetes", "regression", "squared_error", "identity", 1, 0.03, "standard", (354, 88)),
        ("xor", "binary", "log_loss", "sigmoid", 1, 0.1, "none", (4, 0)),
    ],
)
def test_defaults_of_the_built_in_sets(
    name: str, task: str, loss: str, output: str, units: int, rate: float, scaled: str, rows: tuple[int, int]
) -> None:
    found = resolved(name)
    spec = found.spec
    assert spec.dataset == builtin_dataset(name).id
    assert (spec.data.task, spec.loss, spec.network.output_activation) == (task, loss, output)
    assert (spec.optimizer.learning_rate, spec.data.scale_target) == (rate, scaled)
    assert (found.train_rows, found.validation_rows) == rows
    assert spec.data.stratify == (task != "regression" and found.validation_rows > 0)
    assert spec.data.target == builtin_dataset(name).target
    assert (found.outputs, found.architecture.layers[-1].units) == (units, units)
    assert found.inputs == len(spec.data.features or ())
    assert found.parameters == (found.inputs + 1) * 64 + 65 * units
    assert (spec.shards, spec.workers.min, spec.workers.max) == (1, 1, 1)


def test_only_resolved_values_stand_in_a_resolved_spec() -> None:
    document = resolved("digits").spec.model_dump(mode="json")

    def values(node: Any) -> Any:
        if isinstance(node, dict):
            for value in node.values():
                yield from values(value)
        else:
            yield node

    assert "auto" not in list(values(document))
    assert [name for name, value in document.items() if value is None] == [
        "name",
        "max_staleness",
        "early_stopping",
        "warm_start",
        "time_limit_s",
        "not_before",
    ]
    data = {name: value for name, value in document["data"].items() if name not in NOT_USED}
    own = {name: document["optimizer"][name] for name in ("learning_rate", "schedule", *own_fields("sgd"))}
    assert None not in list(values({"data": data, "optimizer": own}))


def auto_or(*values: str) -> st.SearchStrategy[str]:
    return st.sampled_from(["auto", *values])


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    hidden = st.one_of(
        st.integers(1, 40),
        st.fixed_dictionaries({"units": st.integers(1, 9)}, optional={"activation": st.sampled_from(["tanh", "relu"])}),
    )
    return draw(
        st.fixed_dictionaries(
            {},
            optional={
                "data": st.fixed_dictionaries(
                    {},
                    optional={
                        "task": auto_or("regression", "binary", "multiclass"),
                        "scale": st.sampled_from(["standard", "minmax", "none"]),
                        "scale_target": auto_or("standard", "none"),
                        "validation_fraction": st.floats(0, 1, exclude_max=True),
                        "stratify": st.booleans(),
                        "split_seed": st.integers(0, 2**63 - 1),
                        "folds": st.integers(2, 5),
                        "missing": st.sampled_from(["refuse", "mean", "median", "indicator"]),
                        "class_weight": st.sampled_from(["balanced", {"0": 2.0}, {"benign": 0.5}]),
                    },
                ),
                "network": st.fixed_dictionaries(
                    {},
                    optional={
                        "hidden": st.lists(hidden, max_size=3),
                        "output_activation": auto_or("identity", "sigmoid", "softmax", "tanh"),
                        "bias": st.booleans(),
                        "precision": st.sampled_from(["float32", "float64"]),
                    },
                ),
                "loss": auto_or("squared_error", "log_loss", "cross_entropy"),
                "optimizer": st.fixed_dictionaries(
                    {},
                    optional={
                        "learning_rate": st.floats(0, 10),
                        "momentum": st.floats(0, 0.99),
                        "nesterov": st.booleans(),
                    },
                ),
                "batch_size": st.one_of(st.just("full"), st.integers(1, 5000)),
                "shards": st.one_of(st.just("auto"), st.integers(1, 20)),
                "workers": st.fixed_dictionaries({}, optional={"min": st.integers(1, 4), "max": st.integers(1, 20)}),
                "mode": st.sampled_from(["sync", "async", "bounded_staleness"]),
                "max_staleness": st.one_of(st.none(), st.integers(0, 9)),
                "early_stopping": st.one_of(st.none(), st.just({"metric": "train_loss"}), st.just({})),
            },
        )
    )


@given(st.sampled_from(BUILTINS), specs())
def test_a_resolved_spec_resolves_to_itself(name: str, spec: dict[str, Any]) -> None:
    try:
        first = resolved(name, **spec)
    except InvalidSpec as refusal:
        (error,) = refusal.errors
        assert error.pointer.startswith("/")
        assert error.allowed
        return
    submitted = JobSpec.model_validate_json(first.spec.model_dump_json())
    assert submitted == first.spec
    again = resolve(submitted, builtin_dataset(name))
    assert again.spec == first.spec
    assert (again.architecture, again.train_rows, again.memory_bytes) == (
        first.architecture,
        first.train_rows,
        first.memory_bytes,
    )
    assert first.train_rows + first.validation_rows == builtin_dataset(name).rows


class TestColumns:
    MIXED = table_dataset(
        {
            "a": [1.5, None, 2.5],
            "kind": ["x", "y", "z"],
            "code": [1, 2, 3],
            "skip": [1.0, 2.0, 3.0],
            "y": ["no", "yes", "no"],
        },
        overrides={"skip": "ignore"},
    )

    def test_features_are_what_is_neither_target_nor_ignored(self) -> None:
        found = resolved(self.MIXED, data={"features": ["kind", "code"]})
        assert (found.inputs, found.outputs) == (4, 1)
        assert resolved("iris").spec.data.features == ("sepal_length", "sepal_width", "petal_length", "petal_width")

    def test_missing_values_are_refused_by_name(self) -> None:
        pointer, words, _ = refused(self.MIXED)
        assert pointer == "/data/features"
        assert "values are missing in 'a'" in words

    @pytest.mark.parametrize(
        ("data", "pointer", "words"),
        [
            ({"target": "nothing"}, "/data/target", "no column 'nothing'; allowed: a, kind, code, y"),
            ({"target": "skip"}, "/data/target", "column 'skip' was uploaded to be ignored"),
            ({"target": "a"}, "/data/target", "column 'a' has no value in 1 row"),
            ({"features": ["code", "nothing"]}, "/data/features/1", "no column 'nothing'"),
            ({"features": ["skip"]}, "/data/features/0", "to be ignored"),
            ({"features": ["code", "y"]}, "/data/features/1", "'y' is the target"),
            ({"features": ["code", "kind", "code"]}, "/data/features/2", "'code' stands there twice"),
        ],
    )
    def test_columns_that_are_refused(self, data: dict[str, Any], pointer: str, words: str) -> None:
        found = refused(self.MIXED, data=data)
        assert found[0] == pointer
        assert words in found[1]

    def test_another_column_may_be_the_target(self) -> None:
        found = resolved(self.MIXED, data={"target": "kind", "features": ["code", "y"]})
        assert (found.spec.data.task, found.outputs, found.inputs) == ("multiclass", 3, 3)

    def test_what_is_too_large_for_the_precision_is_refused(self) -> None:
        huge = table_dataset({"x": [1e39, 2.0, 3.0], "y": [0.5, 1.5, 2.5]})
        assert "'x' holds 1e+39" in refused(huge, data={"scale": "none"})[1]
        assert resolved(huge, data={"scale": "none"}, network={"precision": "float64"}).inputs == 1
        assert resolved(huge).inputs == 1
        assert "'x' holds 1e+200" in refused(table_dataset({"x": [1e200, 2.0], "y": [0.5, 1.5]}))[1]
        assert refused(table_dataset({"y": [1e200, 2.5], "x": [0.5, 1.5]}))[0] == "/data/target"


class TestTasks:
    def test_whole_numbers_say_what_they_were_taken_for(self) -> None:
        for name, word in (
            ("digits", "10 classes (multiclass)"),
            ("diabetes", "regression"),
            ("xor", "2 classes (binary)"),
        ):
            assert word in resolved(name).warnings[0]
        assert resolved("digits", data={"task": "multiclass"}).warnings == resolved("digits").warnings[1:]

    def test_digits_can_be_a_regression(self) -> None:
        spec = resolved("digits", data={"task": "regression"}).spec
        assert (spec.loss, spec.data.stratify, spec.data.scale_target) == ("squared_error", False, "standard")

    def test_two_classes_may_be_a_multiclass(self) -> None:
        found = resolved("breast_cancer", data={"task": "multiclass"})
        assert (found.outputs, found.spec.loss, found.spec.network.output_activation) == (2, "cross_entropy", "softmax")

    @pytest.mark.parametrize(
        ("name", "task", "words"),
        [
            ("iris", "regression", "target 'species' is categorical"),
            ("iris", "binary", "target 'species' has 3 classes"),
            ("iris", "binary", "allowed: auto, multiclass"),
        ],
    )
    def test_tasks_that_are_refused(self, name: str, task: str, words: str) -> None:
        pointer, found, _ = refused(name, data={"task": task})
        assert pointer == "/data/task"
        assert words in found

    def test_too_many_values_are_no_classes(self) -> None:
        assert resolved("diabetes", data={"task": "multiclass"}).outputs == 214
        pointer, words, _ = refused(table_dataset({"x": range(1001), "y": range(1001)}), data={"task": "multiclass"})
        assert pointer == "/data/task"
        assert "'y' has 1001 distinct values" in words

    def test_numbers_that_are_all_the_same_are_told(self) -> None:
        same = table_dataset({"x": [1.5, 2.5], "y": [5, 5], "z": [0.5, 1.5]}, target="z")
        said = resolved(same, data={"target": ["z", "y"], "task": "regression", "features": ["x"]}).warnings
        assert said == ["target 'y' holds one value in every row: there is nothing to learn"]

    def test_one_class_alone_is_refused(self) -> None:
        pointer, words, _ = refused(table_dataset({"x": [1, 1], "y": [0, 1]}), data={"target": "x", "features": ["y"]})
        assert pointer == "/data/target"
        assert "one class alone, 1" in words


class TestOutputs:
    @pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
    @pytest.mark.parametrize("loss", ["squared_error", "log_loss", "cross_entropy"])
    @pytest.mark.parametrize("activation", ["identity", "sigmoid", "tanh", "relu", "softmax"])
    def test_every_pair_is_taken_or_refused_by_both_names(self, task: Any, loss: str, activation: str) -> None:
        name = {"regression": "diabetes", "binary": "breast_cancer", "multiclass": "wine"}[task]
        spec = {"loss": loss, "network": {"output_activation": activation}}
        if loss not in LOSSES[task]:
            pointer, words, allowed = refused(name, **spec)
            assert pointer == "/loss"
            assert repr(loss) in words
            assert allowed == ["auto", *LOSSES[task]]
            return
        if activation in allowed_activations(loss) and not (task == "regression" and activation == "softmax"):
            output = resolved(name, **spec).architecture.layers[-1]
            assert output.activation == activation
            assert output.units >= 2 or activation != "softmax"
        else:
            pointer, words, allowed = refused(name, **spec)
            assert pointer == "/network/output_activation"
            assert repr(loss) in words
            assert repr(activation) in words
            assert activation not in allowed

    @pytest.mark.parametrize(
        ("name", "loss", "activation", "units"),
        [
            ("breast_cancer", "cross_entropy", "softmax", 2),
            ("breast_cancer", "squared_error", "sigmoid", 1),
            ("wine", "log_loss", "sigmoid", 3),
            ("wine", "squared_error", "softmax", 3),
        ],
    )
    def test_the_loss_settles_the_output(self, name: str, loss: str, activation: str, units: int) -> None:
        found = resolved(name, loss=loss)
        assert (found.spec.network.output_activation, found.outputs) == (activation, units)


class TestParts:
    @pytest.mark.parametrize(
        ("rows", "fraction", "parts"),
        [
            (19, None, (19, 0)),
            (20, None, (16, 4)),
            (10, 0.5, (5, 5)),
            (4, 0.01, (3, 1)),
            (4, 0.99, (2, 2)),
            (2, 0.5, (2, 0)),
        ],
    )
    def test_sizes(self, rows: int, fraction: float | None, parts: tuple[int, int]) -> None:
        dataset = table_dataset({"x": range(rows), "y": ["ab"[row % 2] for row in range(rows)]})
        found = resolved(dataset, data={} if fraction is None else {"validation_fraction": fraction})
        assert (found.train_rows, found.validation_rows) == parts

    def test_a_part_that_takes_all_or_nothing_is_warned_of(self) -> None:
        own = table_dataset({"x": range(30), "y": [f"class {row}" for row in range(30)]})
        assert resolved(own).validation_rows == 0
        assert "no row validates, since training keeps a row of each class" in resolved(own).warnings[-1]
        found = resolved("breast_cancer", data={"validation_fraction": 0.999})
        assert found.warnings == ["data.validation_fraction: 567 rows validate, and 2 train"]
        assert resolved("breast_cancer", data={"validation_fraction": 0.5}).warnings == []
        alone = resolved(table_dataset({"x": [1.5], "y": [0.5]}), data={"validation_fraction": 0.5})
        assert any("training keeps the only row" in said for said in alone.warnings)

    def test_without_strata_one_row_is_enough_to_train(self) -> None:
        dataset = table_dataset({"x": range(4), "y": ["a", "b", "a", "b"]})
        found = resolved(dataset, data={"validation_fraction": 0.99, "stratify": False})
        assert (found.train_rows, found.validation_rows) == (1, 3)

    def test_strata_and_scaling_belong_to_their_tasks(self) -> None:
        assert refused("diabetes", data={"stratify": True})[0] == "/data/stratify"
        assert refused("iris", data={"scale_target": "standard"})[0] == "/data/scale_target"

    @pytest.mark.parametrize(
        ("name", "metric", "words"),
        [
            ("xor", "validation_loss", "needs a validation part"),
            ("xor", "validation_accuracy", "needs a validation part"),
            ("diabetes", "validation_accuracy", "is no metric of task 'regression'"),
            ("diabetes", "train_accuracy", "is no metric of task 'regression'"),
        ],
    )
    def test_stopping_needs_its_metric(self, name: str, metric: str, words: str) -> None:
        pointer, found, allowed = refused(name, early_stopping={"metric": metric})
        assert pointer == "/early_stopping/metric"
        assert words in found
        assert metric not in allowed
        assert resolved(name, early_stopping={"metric": allowed[0]}).spec.early_stopping is not None


class TestShards:
    @pytest.mark.parametrize(
        ("batch_size", "shards"), [(1, 1), (255, 1), (256, 2), (511, 2), (512, 4), (1438, 8), (5000, 8), ("full", 8)]
    )
    def test_auto_is_the_largest_power_of_two_of_128_rows(self, batch_size: Any, shards: int) -> None:
        spec = resolved("digits", batch_size=batch_size).spec
        assert (spec.shards, spec.workers.max, spec.batch_size) == (shards, shards, batch_size)

    def test_auto_ends_at_16(self) -> None:
        dataset = table_dataset({"x": range(8000), "y": [row % 2 for row in range(8000)]})
        assert resolved(dataset, batch_size="full").spec.shards == 16

    def test_a_mini_batch_has_no_more_shards_than_rows(self) -> None:
        pointer, words, _ = refused("xor", shards=5)
        assert pointer == "/shards"
        assert "a mini-batch has 4 row(s); allowed: auto, or 1 to 4" in words
        assert resolved("xor", shards=4).spec.shards == 4

    def test_workers_fit_the_shards(self) -> None:
        pointer, words, _ = refused("digits", workers={"min": 2})
        assert pointer == "/workers/min"
        assert "allowed: 1, or as many shards: by shards, or by a larger batch_size (128 rows a shard)" in words
        for way_out in ({"shards": 2}, {"batch_size": 256}):
            assert resolved("digits", workers={"min": 2}, **way_out).spec.workers.min == 2
        assert refused("digits", shards=4, workers={"min": 3, "max": 2})[0] == "/workers/max"
        found = resolved("digits", shards=4, workers={"max": 9})
        assert found.spec.workers.max == 4
        assert "9 were asked for" in found.warnings[-1]
        assert resolved("digits", shards=4, workers={"max": 3}).spec.workers.max == 3


class TestModes:
    BOUNDED: Mapping[str, Any] = {"mode": "bounded_staleness"}

    def test_workers_of_mode_async_are_all_there_are(self) -> None:
        spec: Mapping[str, Any] = {"mode": "async", "batch_size": 512, "network": {"hidden": [512, 512]}}
        found = resolved("digits", **spec, workers={"min": 3})
        assert (found.spec.shards, found.spec.workers.min, found.spec.workers.max) == (1, 3, None)
        assert gang_size(found).most > 100
        assert gang_size(resolved("digits", **spec, workers={"max": 5})).most == 5

    def test_a_bound_says_how_many_workers_are_busy(self) -> None:
        usual = resolved("digits", **self.BOUNDED).spec
        assert (usual.max_staleness, usual.workers.max) == (4, 5)
        found = resolved("digits", **self.BOUNDED, max_staleness=1, workers={"max": 7})
        assert found.spec.workers.max == 2
        assert "max_staleness 1 lets 2 mini-batch(es) be computed at a time; 7 were asked for" in found.warnings[-1]
        pointer, words, _ = refused("digits", **self.BOUNDED, max_staleness=0, workers={"min": 2})
        assert pointer == "/workers/min"
        assert "allowed: 1, or a larger max_staleness" in words
        assert refused("digits", **self.BOUNDED, workers={"min": 3, "max": 2})[0] == "/workers/max"

    @pytest.mark.parametrize(
        ("spec", "pointer", "words"),
        [
            ({"mode": "sync", "max_staleness": 2}, "/max_staleness", "mode 'sync' has no such bound"),
            ({"mode": "async", "max_staleness": 2}, "/max_staleness", "in mode 'bounded_staleness'"),
            ({"mode": "async", "shards": 2}, "/shards", "a worker takes whole mini-batches; allowed: auto or 1"),
            ({"mode": "async", "batch_size": "full"}, "/mode", "an epoch is one mini-batch"),
            ({"mode": "async", "batch_size": "full", "optimizer": {"name": "lbfgs"}}, "/mode", "allowed: sync"),
            ({"mode": "async", "batch_size": 16, "optimizer": {"name": "rprop"}}, "/batch_size", "same rows"),
        ],
    )
    def test_what_a_mode_cannot_do(self, spec: dict[str, Any], pointer: str, words: str) -> None:
        found, said, _ = refused("digits", **spec)
        assert found == pointer
        assert words in said

    def test_one_mini_batch_an_epoch_is_warned_of(self) -> None:
        assert "an epoch is one mini-batch" in resolved("xor", mode="async", batch_size=4).warnings[-1]
        assert not [each for each in resolved("xor", mode="async", batch_size=2).warnings if "mini-batch" in each]


def test_nesterov_needs_momentum() -> None:
    pointer, words, _ = refused("iris", optimizer={"nesterov": True})
    assert pointer == "/optimizer/nesterov"
    assert "momentum" in words
    assert resolved("iris", optimizer={"nesterov": True, "momentum": 0.9}).spec.optimizer.nesterov


def test_what_is_allowed_is_written_as_json() -> None:
    assert refused("diabetes", data={"stratify": True})[1].endswith("allowed: false")
    assert refused("diabetes", data={"class_weight": "balanced"})[1].endswith("allowed: null")
    same = table_dataset({"x": [1, 2], "flag": [True, True]}, target="x")
    assert "one class alone, true" in refused(same, data={"target": "flag"})[1]


def test_a_rate_that_was_given_stays() -> None:
    assert resolved("diabetes", optimizer={"learning_rate": 0.0}).spec.optimizer.learning_rate == 0.0


def test_layers_get_the_networks_activation() -> None:
    found = resolved(
        "iris", network={"hidden": [3, {"units": 4}, {"units": 5, "activation": "relu"}], "activation": "tanh"}
    )
    assert [(layer.units, layer.activation) for layer in found.architecture.layers] == [
        *((3, "tanh"), (4, "tanh"), (5, "relu"), (3, "softmax")),
    ]


def test_no_hidden_layer_is_the_delta_rule() -> None:
    found = resolved("iris", network={"hidden": [], "bias": False})
    assert (found.parameters, len(found.architecture.layers)) == (12, 1)


def test_constant_features_are_warned_of_where_they_are_used() -> None:
    assert any("3 column(s) hold one value" in warning for warning in resolved("digits").warnings)
    assert not any(
        "hold one value" in warning for warning in resolved("digits", data={"features": ["pixel_1_1"]}).warnings
    )


def test_memory_grows_with_what_needs_it() -> None:
    small, large = resolved("digits"), resolved("digits", network={"hidden": [4096]})
    assert large.memory_bytes > 10 * small.memory_bytes
    double = resolved("digits", network={"hidden": [4096], "precision": "float64"})
    assert 1.8 < double.memory_bytes / large.memory_bytes < 2  # scores are in float64 in any case


@pytest.mark.parametrize(
    ("spec", "more"),
    [
        ({"optimizer": {"momentum": 0.9}}, 3),  # the velocity, and twice in the checkpoints' copies
        ({"optimizer": {"momentum": 0.9, "nesterov": True}}, 4),
        ({"optimizer": {"momentum": 0.0, "weight_decay": 0.1}}, 1),
        ({"early_stopping": {"metric": "validation_loss", "patience": 1}, "optimizer": {"momentum": 0.0}}, 3),
    ],
)
def test_what_training_keeps_is_counted_in_arrays_of_all_weights(spec: dict[str, Any], more: int) -> None:
    plain, other = resolved("digits", optimizer={"momentum": 0.0}), resolved("digits", **spec)
    weights = plain.parameters * 4  # layers of 64 and 10 units: the last bias alone is padded, from 10 to 16
    assert other.memory_bytes - plain.memory_bytes == more * (weights + 6 * 4)
