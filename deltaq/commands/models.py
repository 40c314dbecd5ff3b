"""Commands about models: list, predict, evaluate, card, download, promote."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from deltaq.commands.context import AsJson, Limit, connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltaq.client import Client
    from deltaq.model import Model
    from deltaq.records import Column, Prediction

ModelId = Annotated[str, typer.Argument(metavar="MODEL", help="A model's id or alias.")]


group = typer.Typer(help="List the aliases of models, the newest first; delete them.", rich_markup_mode=None)


class Format(StrEnum):
    """In which form a model may be downloaded."""

    NPZ = "npz"
    SAFETENSORS = "safetensors"
    ONNX = "onnx"


def register(app: typer.Typer) -> None:
    """Put the commands on the application."""
    for command in (models, predict, evaluate, card, download, promote):
        app.command()(command)
    app.add_typer(group, name="aliases")


def models(context: typer.Context, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List models, the newest first."""
    from deltaq import console

    with connect(context) as client:
        records = [model.record for model in client.models(limit=limit)]
    if as_json:
        console.json([record.raw for record in records])
        return
    head = ("id", "job", "data set", "classes", "weights", "created")
    console.table(
        head,
        (
            (
                record.id,
                record.job_id,
                record.dataset_id,
                len(record.classes),
                record.weights_sha256,
                record.created_at,
            )
            for record in records
        ),
    )


def predict(
    context: typer.Context,
    model: ModelId,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Rows in CSV (.csv, with a head), JSON or YAML; - is standard input.")
    ],
    as_json: AsJson = False,
) -> None:
    """Predict each row of a file."""
    import warnings

    from deltaq import console
    from deltaq.table_rows import read_rows

    with connect(context) as client, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = client.model(model)
        predictions = found.predict(read_rows(file, _columns(client, found)))
    for warning in said:
        console.say(f"warning: {warning.message}")
    if as_json:
        console.json([prediction.raw for prediction in predictions])
    else:
        _print(predictions)


def _columns(client: Client, model: Model) -> Sequence[Column] | None:
    """The columns that the model was trained on; None where its data set has been deleted."""
    from deltaq.errors import NotFound

    try:
        return client.datasets.get(model.record.dataset_id).columns if model.record.dataset_id else None
    except NotFound:
        return None


def _print(predictions: Sequence[Prediction]) -> None:
    from deltaq import console

    if predictions[0].probabilities or predictions[0].scores:
        console.table(
            ("row", "class", "probability" if predictions[0].probabilities else "score"),
            (
                (number, one.label, (one.probabilities or one.scores).get(one.label))
                for number, one in enumerate(predictions)
            ),
        )
    elif predictions[0].labels:
        console.table(
            ("row", *predictions[0].labels),
            (
                (number, *(f"{console.shown(label.value)} ({console.shown(label.probability)})" for label in labels))
                for number, labels in enumerate(one.labels.values() for one in predictions)
            ),
        )
    elif predictions[0].values:
        rows = ((number, *one.values.values()) for number, one in enumerate(predictions))
        console.table(("row", *predictions[0].values), rows)
    else:
        console.table(("row", "value"), ((number, one.value) for number, one in enumerate(predictions)))


def evaluate(
    context: typer.Context,
    model: ModelId,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="A data set's id or name; it has the answers.")],
    as_json: AsJson = False,
) -> None:
    """Measure a model on all rows of a data set: every metric of its task."""
    import warnings

    from deltaq import console

    with connect(context) as client, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = client.model(model).evaluate(dataset)
    for warning in said:
        console.say(f"warning: {console.printable(str(warning.message))}")
    if as_json:
        console.json(found.raw)
        return
    console.facts({"rows": found.rows, "loss": found.loss, **found.metrics})
    if found.confusion_matrix:
        rows = zip(found.confusion_matrix["classes"], found.confusion_matrix["matrix"], strict=True)
        numbered = [(f"{number} {console.shown(label)}", *row) for number, (label, row) in enumerate(rows, start=1)]
        console.write("\n")
        console.table(("true, chosen", *(str(number) for number in range(1, len(numbered) + 1))), numbered)


def card(context: typer.Context, model: ModelId) -> None:
    """Print a model's card in JSON: data, spec, metrics, versions, what it takes and gives."""
    from deltaq import console

    with connect(context) as client:
        console.json(client.model(model).card())


def download(
    context: typer.Context,
    model: ModelId,
    format: Annotated[Format, typer.Option(help="The form of the file.")] = Format.NPZ,  # noqa: A002
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Where to; MODEL.FORMAT here, - is standard output.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")] = False,
    as_json: AsJson = False,
) -> None:
    """Save a model: its weights, or as onnx all that predicts from raw columns.

    A file that is there already stays as it is, and the exit code is 2.
    """
    from deltaq import console

    with connect(context) as client:
        found = client.model(model)
        if output == "-":
            found.write(sys.stdout.buffer, format.value)
            return
        path = found.download(format.value, output, overwrite=force)
    if as_json:
        console.json({"path": str(path), "weights_sha256": found.weights_sha256})
    else:
        console.write(f"{path}\n")


def promote(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model's id or alias, or a sweep's id: its best.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The alias, such as production.")],
    as_json: AsJson = False,
) -> None:
    """Give a model, or a sweep's best, an alias, or move the alias to it in one step."""
    import re

    from deltaq import console

    with connect(context) as client:
        is_sweep = re.fullmatch("sweep-[a-z2-7]{20}", model)
        alias = client.get_sweep(model).promote(name) if is_sweep else client.aliases.set(name, model)
    if as_json:
        console.json(alias.raw)
    else:
        console.write(f"{console.printable(alias.name)} {alias.model_id}\n")


@group.callback(invoke_without_command=True)
def aliases(context: typer.Context, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the aliases of models, the newest first; delete them."""
    if context.invoked_subcommand:
        return
    from deltaq import console

    with connect(context) as client:
        found = list(client.aliases.list(limit))
    if as_json:
        console.json([alias.raw for alias in found])
    else:
        console.table(("name", "model", "promoted"), ((each.name, each.model_id, each.promoted_at) for each in found))


@group.command("delete")
def delete_alias(context: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Take an alias away; its model stays."""
    with connect(context) as client:
        client.aliases.delete(name)
