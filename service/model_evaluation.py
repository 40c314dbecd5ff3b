"""A model on rows whose answers are known: its loss and every metric of its task. Knows no HTTP; free of ray."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from service.artifacts import Artifacts
from service.dataset_records import DatasetRecords
from service.datasets import Dataset
from service.errors import DatasetNotFound
from service.models import Model, ModelStore
from service.refusals import unknown_dataset
from service.scoring import answered, scorer_for
from workers.datafiles import PartData
from workers.evaluation import BLOCK_ROWS, Evaluation, Gathering, evaluate_block
from workers.mlp.network import Network

if TYPE_CHECKING:
    from service.labelled import Labelled


class ModelEvaluations:
    """Evaluates the models of all tenants; a data set lies in memory meanwhile."""

    def __init__(self, models: ModelStore, datasets: DatasetRecords, artifacts: Artifacts) -> None:
        self._models = models
        self._datasets = datasets
        self._artifacts = artifacts

    def evaluate(self, tenant: str, named: str, dataset: str) -> dict[str, Any]:
        """Evaluate a model, named by id or alias, on all rows of a data set, named by id or name.

        Raises: ModelNotFound; UnknownDataset; InvalidSpec naming the column that does not fit; StoreUnavailable.
        """
        from service.labelled import labelled_arrays  # reading data takes pyarrow, which is heavy

        model = self._models.load(tenant, named)
        try:
            found = Dataset.from_document(self._datasets.find(tenant, dataset))
        except DatasetNotFound:
            raise unknown_dataset(dataset) from None
        answer = evaluate(model, labelled_arrays(model.transform, found, self._artifacts))
        return {"model_id": model.document["id"], "dataset_id": found.id, "rows": found.rows, **answer}


def evaluate(model: Model, labelled: Labelled) -> dict[str, Any]:
    """The loss, in scaled units, and the metrics; what has no value is None.

    The rows are computed in blocks of 256, as those of a validation part are, so that the same rows give its figures.
    """
    rows = PartData(labelled.x, labelled.y, labelled.weights)
    found = _forward(model, rows)
    scorer = scorer_for(model.transform.target, model.architecture, rows)
    total, weight = float(found.sums.loss), float(found.sums.weight)
    return {
        "loss": total / weight if weight and math.isfinite(total) else None,
        "metrics": scorer.score(found.outputs),
        "confusion_matrix": answered(scorer.confusion(found.outputs), model.transform.classes),
        "warnings": labelled.warnings,
    }


def _forward(model: Model, rows: PartData) -> Evaluation:
    network, shape = Network(model.architecture, BLOCK_ROWS), model.architecture
    gathering = Gathering(len(rows.x), shape.outputs, shape.dtype)
    for block in range(gathering.blocks):
        outputs = gathering.rows_of(block)
        gathering.add(block, evaluate_block(network, model.parameters, rows, block, outputs))
    whole = gathering.whole()
    assert whole is not None  # a data set has a row
    return whole
