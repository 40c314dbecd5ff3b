"""Commands about data sets: list, add, delete."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deltaq.commands.context import AsJson, Limit, connect

group = typer.Typer(help="List data sets, the newest first; add and delete them.", rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Put the group on the application."""
    app.add_typer(group, name="datasets")


@group.callback(invoke_without_command=True)
def datasets(context: typer.Context, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List data sets, the newest first; add and delete them."""
    if context.invoked_subcommand:
        return
    from deltaq import console

    with connect(context) as client:
        found = list(client.datasets.list(limit))
    if as_json:
        console.json([dataset.raw for dataset in found])
        return
    head = ("id", "name", "rows", "columns", "target", "task", "classes", "created")
    console.table(
        head,
        (
            (
                dataset.id,
                dataset.name,
                dataset.rows,
                len(dataset.columns),
                dataset.target,
                dataset.task,
                len(dataset.classes),
                dataset.created_at,
            )
            for dataset in found
        ),
    )


@group.command()
def add(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .csv, .parquet or .npz file.")],
    target: Annotated[str, typer.Option(help="The column to learn.")],
    name: Annotated[str | None, typer.Option(help="What to call it; the file's name without its ending.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=TYPE", help="Take a column as numeric, categorical or ignore; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Upload a data set; the same file once more is the same data set."""
    from deltaq import console

    types = dict(_override(text) for text in column or ())
    with connect(context) as client:
        dataset = client.datasets.add(file, name, target, columns=types or None)
    for warning in dataset.warnings:
        console.say(f"warning: {console.printable(warning)}")
    if as_json:
        console.json(dataset.raw)
    else:
        console.write(f"{dataset.id}\n")


def _override(text: str) -> tuple[str, str]:
    name, equals, kind = text.rpartition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not NAME=TYPE", param_hint="--column")
    return name, kind


@group.command()
def delete(
    context: typer.Context, dataset: Annotated[str, typer.Argument(metavar="DATASET", help="An id or a name.")]
) -> None:
    """Delete a data set that no live job uses."""
    with connect(context) as client:
        client.datasets.delete(dataset)
