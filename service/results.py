"""What trainings leave: the metrics of the weights kept, on both parts, and a confusion matrix. Knows no record.

`train_loss` and `train_accuracy` are means over the epoch's steps as they were made, as in its row. The other metrics
of the training part are computed once, here, as a prediction gives them, with the weights that its rows train with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from service.assembly import part_scorer
from service.folds import Finished, cross_validation
from service.metrics import is_metric
from service.preparation import PreparedData
from service.scoring import answered
from service.training import Training
from workers.datafiles import Part
from workers.evaluation import Evaluation


class Kept(NamedTuple):
    """The metrics of the weights kept, by the names of a row, and the confusion matrix where there is one."""

    metrics: dict[str, float | None]
    confusion: dict[str, Any] | None


def kept(training: Training, prepared: PreparedData) -> Kept:
    """What the training leaves; its best weights are in place.

    Raises: WorkersLost.
    """
    server = training.server
    return kept_by(training, prepared, server.evaluate("train"), server.evaluate("validation"))


def kept_by(
    training: Training, prepared: PreparedData, evaluation: Evaluation | None, validation: Evaluation | None
) -> Kept:
    """The same, by what its best weights say of the two parts."""
    state = training.state
    row = state.last_row if state.best_row is None else state.best_row
    metrics = {name: value for name, value in (row or {}).items() if is_metric(name)}
    scorer = part_scorer(prepared, training.server.parameters.architecture, "train")
    assert evaluation is not None  # there is always a row that trains
    for name, value in scorer.score(evaluation.outputs).items():
        metrics.setdefault(f"train_{name}", value)
    part: Part = "train"
    if validation is not None and training.scorer is not None:
        part, scorer, evaluation = "validation", training.scorer, validation
    matrix = answered(scorer.confusion(evaluation.outputs), prepared.transform.classes)
    return Kept(metrics, None if matrix is None else {"part": part, **matrix})


def left_by(fold: int, training: Training, found: Kept) -> Finished:
    """What a fold, from 1, leaves to the trainings after it."""
    state, span = training.state, training.span
    return {
        "fold": fold,
        "metrics": found.metrics,
        "best_epoch": (state.best_epoch or span.epochs_before + state.epoch) - span.epochs_before,
        "epochs": state.epoch,
        "steps": training.server.version,
        "confusion": found.confusion,
    }


def trained(training: Training) -> dict[str, Any]:
    """How far a training has come, and the weights that it keeps."""
    state = training.state
    return {
        "weights_sha256": training.server.parameters.sha256(),
        "seconds": state.seconds,
        "epochs": training.epochs_done,
        "steps": training.steps_done,
        "best_epoch": state.best_epoch or training.epochs_done,
        "stopped_by": state.stopped_by or "epochs",
    }


def result_of(training: Training, found: Kept) -> dict[str, Any]:
    """What a job's last training, and those before it, give: the result but for what its attempt adds."""
    folds = training.state.folds
    result: dict[str, Any] = {**trained(training), **found.metrics, "confusion_matrix": found.confusion}
    if folds:
        result["folds"] = [{name: fold[name] for name in ("fold", "metrics", "best_epoch", "epochs")} for fold in folds]
        result["cross_validation"] = cross_validation(folds)
        result["confusion_matrix"] = _added([fold["confusion"] for fold in folds])
    return result


def _added(found: Sequence[dict[str, Any] | None]) -> dict[str, Any] | None:
    """The confusion matrix over all folds, in one of which each row validates."""
    there = [each for each in found if each is not None]
    if not there:
        return None
    rows = zip(*(each["matrix"] for each in there), strict=True)
    matrix = [[sum(cells) for cells in zip(*row, strict=True)] for row in rows]
    return {**there[0], "part": "folds", "matrix": matrix}
