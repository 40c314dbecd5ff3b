"""A trained model as its owner holds it: predictions, evaluations and downloads. Knows the API's paths alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal

from deltaq.aliases import Aliases
from deltaq.connection import Connection
from deltaq.errors import warn_of
from deltaq.files import saved, stream_into
from deltaq.listing import address
from deltaq.records import Alias, Dataset, Evaluation, ModelRecord, Prediction, label_text
from deltaq.rows import body, pages

Format = Literal["npz", "safetensors", "onnx"]

_EVALUATION_S = 600.0  # the service reads and computes all rows before it answers


class Model:
    """A handle on one model; a model never changes, so `record` stays as it was read."""

    def __init__(self, connection: Connection, document: Mapping[str, Any]) -> None:
        self._connection = connection
        self.record = ModelRecord.read(document)

    def __repr__(self) -> str:
        return f"Model({self.id!r})"

    @property
    def id(self) -> str:
        """The model's identifier."""
        return self.record.id

    @property
    def weights_sha256(self) -> str | None:
        """The SHA-256 of the weights, as the job's result has it."""
        return self.record.weights_sha256

    def predict(self, rows: Any) -> list[Prediction]:
        """Predict each row, in order; a large table goes in pages and gets the bits of one piece.

        Shapes: rows is a list of rows (lists, or mappings of column to value), an array (rows, features) or a
        DataFrame; raw values, the model applies its own transform. None and NaN are missing values.
        Warns: DataWarning, by Python's warnings, of levels that the training data did not have, and of nulls.
        Raises: InvalidInput, ApiError, Unreachable.
        """
        path = address("models", self.id, "predict")
        labels = {label_text(label): label for label in self.record.classes}
        found: list[Prediction] = []
        for page in pages(rows):
            answer = self._connection.call("POST", path, json=body(page, len(found)))
            found += [Prediction.read(document, labels) for document in answer["predictions"]]
            warn_of(answer.get("warnings") or ())
        return found

    def evaluate(self, dataset: Dataset | str) -> Evaluation:
        """Measure the model on all rows of a data set, given itself or by id or name, that has the answers.

        Warns: DataWarning, as `predict`.
        Raises: InvalidRequest naming the column that does not fit; ApiError, Unreachable.
        """
        named = dataset if isinstance(dataset, str) else dataset.id
        path = address("models", self.id, "evaluate")
        found = Evaluation.read(self._connection.call("POST", path, json={"dataset": named}, timeout_s=_EVALUATION_S))
        warn_of(found.warnings)
        return found

    def explain_step(self, row: Any, target: Any, learning_rate: float | None = None) -> dict[str, Any]:
        """One plain step of gradient descent on one row, layer by layer; the model stays as it is.

        `row` is a list or a mapping of column to value, `target` its label or value, or of several targets a mapping;
        without a `learning_rate` it is the spec's.
        Warns: DataWarning, as `predict`.
        Raises: InvalidInput, ApiError, Unreachable.
        """
        asked = {"row": row, "target": target, "learning_rate": learning_rate}
        found: dict[str, Any] = self._connection.call("POST", address("models", self.id, "explain-step"), json=asked)
        warn_of(found.get("warnings") or ())
        return found

    def card(self) -> dict[str, Any]:
        """What the model is made of, what it takes and what it gives.

        Raises: ApiError, Unreachable.
        """
        found: dict[str, Any] = self._connection.call("GET", address("models", self.id, "card"))
        return found

    def download(
        self,
        format: Format = "npz",  # noqa: A002 (the API's own word)
        to: str | os.PathLike[str] | None = None,
        *,
        overwrite: bool = True,
    ) -> Path:
        """Save the model, by default as `<model id>.<format>` here, and return where it is.

        npz and safetensors hold the weights; onnx takes raw columns and predicts.
        A file is there whole or not at all; one that was there before is replaced, unless `overwrite` is False.

        Raises: InvalidInput where the file cannot be written, or may not be; ApiError, Unreachable.
        """
        path = Path(to) if to is not None else Path(f"{self.id}.{format}")
        return saved(lambda file: self.write(file, format), path, overwrite=overwrite)

    def write(self, file: IO[bytes], format: Format = "npz") -> None:  # noqa: A002 (the API's own word)
        """Write the model into an open file.

        Raises: ApiError, Unreachable.
        """
        stream_into(file, self._connection, address("models", self.id, "download"), {"format": format})

    def promote(self, name: str) -> Alias:
        """Give the model this alias; one that there is moves from its model to this one, in one step.

        Raises: InvalidRequest where that is no name for a model; Unreachable.
        """
        return Aliases(self._connection).set(name, self.id)

    def delete(self) -> None:
        """Delete the model.

        Raises: Conflict while it has an alias.
        """
        self._connection.call("DELETE", address("models", self.id))
