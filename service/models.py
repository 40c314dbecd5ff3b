"""Models: what a succeeded job leaves, kept as one safetensors file, and what predicts with it. Free of ray.

The file holds the arrays (`W1 b1 W2 b2 …`) and, in its header, all that is needed to predict from raw rows: the
network's shape and the transform; and what its card says of where it comes from. Knows neither the queue nor how the
weights came about.
"""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from safetensors.numpy import load, save

from service.artifacts import Artifacts
from service.checkpoints import check_format, read_metadata
from service.errors import StoreUnavailable
from service.ids import new_id
from service.jobs import Job, Lease
from service.metrics import is_metric
from service.model_card import card_of, dataset_part, versions
from service.model_records import Document, ModelRecords
from service.timestamps import now
from service.transform import Transform
from workers.evaluation import BLOCK_ROWS
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.choices import name_of
from workers.mlp.losses import LOSSES, Loss
from workers.mlp.network import Network
from workers.mlp.parameters import Parameters

if TYPE_CHECKING:  # reading data takes pyarrow, which predicting does not need
    from service.datasets import Dataset
    from service.preparation import PreparedData
    from service.resolution import Resolution

FORMAT = 1
MODELS_IN_MEMORY = 16
_NO_PREDICTION = (
    "{} row(s) have no prediction (null): the network's output is not a finite number,"
    " as of values far beyond those that it was trained on"
)
OPTIMIZER = "optimizer."  # what the names of an optimizer's arrays begin with

DownloadFormat = Literal["npz", "safetensors", "onnx"]


def save_model(
    job: Job,
    lease: Lease,
    result: Mapping[str, Any],
    parameters: Parameters,
    dataset: Dataset,
    resolution: Resolution,
    prepared: PreparedData,
    artifacts: Artifacts,
    optimizer: OptimizerState | None = None,
) -> Document:
    """Write the model's file under a name that only this lease can use; answers the record that makes it exist.

    `optimizer` is kept beside the weights for who goes on from them; downloads leave it out.

    Raises: StoreUnavailable.
    """
    document: Document = {
        "id": new_id("model"),
        "job_id": job.id,
        "dataset_id": resolution.spec.dataset,
        "weights_sha256": result["weights_sha256"],
        "classes": list(prepared.transform.classes),
        "spec": resolution.spec.model_dump(mode="json"),
        "metrics": {name: value for name, value in result.items() if is_metric(name)},
        "fingerprint": result["fingerprint"],
        "created_at": now(),
    }
    head = {
        "format": FORMAT,
        "model": document,
        "architecture": asdict(resolution.architecture),
        "transform": prepared.transform.to_json(),
        "dataset": dataset_part(dataset, resolution),
        "versions": versions(),
    }
    path = f"models/{job.id}/{lease.token}.safetensors"
    return {**document, "path": path, "sha256": artifacts.write(path, pack(head, parameters, optimizer))}


class OptimizerState(NamedTuple):
    """What an optimizer carried at a training's end, and how many steps it had made."""

    steps: int
    arrays: Sequence[NDArray[np.floating]]


def pack(head: Mapping[str, Any], parameters: Parameters, optimizer: OptimizerState | None = None) -> bytes:
    """A model's file: its arrays, and what `Model` must know beside them."""
    arrays = {name: np.ascontiguousarray(array) for name, array in parameters.named().items()}
    if optimizer is not None:
        arrays |= {f"{OPTIMIZER}{number}": array for number, array in enumerate(optimizer.arrays)}
        head = {**head, "optimizer_steps": optimizer.steps}
    return save(arrays, metadata={"deltaq": orjson.dumps(head).decode()})


class Model:
    """A trained network with its transform: raw rows in, predictions out.

    Raises: NewerFormat.
    """

    def __init__(self, content: bytes) -> None:
        head = _head(content)
        shape = head["architecture"]
        self.document: Document = head["model"]
        self.architecture = Architecture(**{**shape, "layers": tuple(LayerShape(**layer) for layer in shape["layers"])})
        self.transform = Transform.from_json(head["transform"])
        self.card = card_of(head, self.architecture, self.transform)
        self.optimizer_steps: int | None = head.get("optimizer_steps")  # None: no state of an optimizer was kept
        self.parameters = Parameters(self.architecture)
        arrays = load(content)
        for name, array in self.parameters.named().items():
            array[...] = arrays[name]

    def predict(self, rows: Sequence[Any], warnings: list[str] | None = None) -> list[dict[str, Any]]:
        """Predict raw rows, lists in the order of the features or `{column: value}` each.

        `warnings` gets a line for each column that has levels which the training data did not have, and one for nulls.
        Raises: BadData naming row, column, value and what is allowed.
        """
        inputs = np.asarray(self.transform.apply(rows, warnings), self.architecture.dtype)
        outputs = self.forward(inputs)
        if warnings is not None and (lost := int((~np.isfinite(outputs)).any(axis=-1).sum())):
            warnings.append(_NO_PREDICTION.format(lost))
        return self.answers(outputs)

    def answers(self, outputs: NDArray[np.floating]) -> list[dict[str, Any]]:
        """The network's outputs as predictions, read as its loss has them. Shapes: outputs (rows, outputs)."""
        loss = self.loss
        return self.transform.outputs(outputs, threshold=loss.threshold, scores=not loss.probabilities)

    @property
    def loss(self) -> type[Loss]:
        """The loss that it was trained with."""
        return LOSSES[name_of(self.architecture.loss)]

    def forward(self, inputs: NDArray[np.floating]) -> NDArray[np.floating]:
        """The network's outputs, in blocks of 256 rows as in evaluation, so that the bits are the evaluation's.

        Shapes: (rows, inputs) → (rows, outputs).
        """
        network = Network(self.architecture, BLOCK_ROWS)
        outputs = np.empty((len(inputs), self.architecture.layers[-1].units), self.architecture.dtype)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is answered as null
            for start in range(0, len(inputs), BLOCK_ROWS):
                block = slice(start, start + BLOCK_ROWS)
                outputs[block] = network.forward(self.parameters, np.ascontiguousarray(inputs[block]))
        return outputs


class ModelStore:
    """The models of all tenants; keeps the latest used ones in memory."""

    def __init__(self, records: ModelRecords, artifacts: Artifacts) -> None:
        self.records = records
        self._artifacts = artifacts
        self._loaded: OrderedDict[str, Model] = OrderedDict()
        self._lock = Lock()

    def load(self, tenant: str, named: str) -> Model:
        """A model, named by id or alias, ready to predict. Raises: ModelNotFound, NewerFormat, StoreUnavailable."""
        record = self.records.get(tenant, named)
        model_id = record["id"]
        with self._lock:
            if model_id in self._loaded:
                self._loaded.move_to_end(model_id)
                return self._loaded[model_id]
        model = Model(self._content(record))
        with self._lock:
            self._loaded[model_id] = model
            while len(self._loaded) > MODELS_IN_MEMORY:
                self._loaded.popitem(last=False)
        return model

    def download(self, tenant: str, named: str, form: DownloadFormat) -> bytes:
        """The model as a file: its arrays by name, `W` as inputs × units, or all of it as ONNX.

        Raises: ModelNotFound, NewerFormat, StoreUnavailable; TooLarge where the form cannot hold it.
        """
        content = self._content(self.records.get(tenant, named))
        match form:
            case "safetensors":
                return _without_optimizer(content)
            case "npz":
                return _npz(Model(content).parameters)
            case "onnx":
                from service.onnx_export import export_model  # its package takes time, and predicting does not need it

                return export_model(Model(content))

    def optimizer_state(self, tenant: str, named: str) -> OptimizerState | None:
        """What the optimizer carried when the model was made.

        Raises: ModelNotFound, NewerFormat, StoreUnavailable.
        """
        content = self._content(self.records.get(tenant, named))
        steps: int | None = _head(content).get("optimizer_steps")
        if steps is None:
            return None
        arrays = load(content)
        count = sum(name.startswith(OPTIMIZER) for name in arrays)
        return OptimizerState(steps, [arrays[f"{OPTIMIZER}{number}"] for number in range(count)])

    def delete(self, tenant: str, named: str) -> None:
        """Forget a model, then its file. Raises: ModelNotFound; InUse while it has an alias."""
        self._delete_file(self.records.delete(tenant, named))

    def delete_unnamed(self, tenant: str, models: Sequence[str]) -> None:
        """The same for several in one trip; those with an alias stay, and those that another job took by `reuse`."""
        for record in self.records.delete_unnamed(tenant, models):
            self._delete_file(record)

    def _delete_file(self, record: Document) -> None:
        with self._lock:
            self._loaded.pop(record["id"], None)
        self._artifacts.delete(record["path"])

    def _content(self, record: Document) -> bytes:
        try:
            content = self._artifacts.read(record["path"])
        except FileNotFoundError:
            raise StoreUnavailable(f"The file of model {record['id']} is not there.") from None
        if hashlib.sha256(content).hexdigest() != record["sha256"]:
            raise StoreUnavailable(f"The file of model {record['id']} is not the one that was recorded.")
        return content


def _head(content: bytes) -> dict[str, Any]:
    """What a model's file says beside its arrays. Raises: NewerFormat."""
    head = read_metadata(content)
    check_format(head, FORMAT, "the model")
    return head


def _without_optimizer(content: bytes) -> bytes:
    head = _head(content)
    if "optimizer_steps" not in head:
        return content
    arrays = {name: array for name, array in load(content).items() if not name.startswith(OPTIMIZER)}
    rest = {name: value for name, value in head.items() if name != "optimizer_steps"}
    return save(arrays, metadata={"deltaq": orjson.dumps(rest).decode()})


def _npz(parameters: Parameters) -> bytes:
    file = io.BytesIO()
    np.savez(file, **parameters.named())  # type: ignore[arg-type]  # the stubs take the names for its other parameters
    return file.getvalue()
