"""Commands about what a sweep has found: the best spec, importances, figures, all trials as a file."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from deltaq.commands.context import AsJson, connect

SweepId = Annotated[str, typer.Argument(metavar="SWEEP", help="A sweep's id.")]


class FigureForm(StrEnum):
    """What a figure is given as."""

    JSON = "json"
    PLOTLY = "plotly"


class ExportForm(StrEnum):
    """As what all trials are saved."""

    CSV = "csv"
    PARQUET = "parquet"
    JOURNAL = "journal"


def register(app: typer.Typer) -> None:
    """Put the commands on the application."""
    for command in (best, importances, figure, export):
        app.command()(command)


def best(
    context: typer.Context,
    sweep: SweepId,
    trial: Annotated[int | None, typer.Option(min=0, help="Which of several best ones; else the first.")] = None,
) -> None:
    """Print the best trial's job in JSON, as `deltaq submit -` takes it."""
    from deltaq import console

    with connect(context) as client:
        console.json(client.get_sweep(sweep).best_spec(trial))


def importances(context: typer.Context, sweep: SweepId, as_json: AsJson = False) -> None:
    """List the paths by how much they decide whether a trial is among the best."""
    from deltaq import console

    with connect(context) as client:
        found = client.get_sweep(sweep).importances()
    if as_json:
        console.json(found)
    else:
        console.table(("path", "importance"), found.items())


def figure(
    context: typer.Context,
    sweep: SweepId,
    name: Annotated[str, typer.Argument(metavar="FIGURE", help="history, slices, contour, pareto_front …")],
    format: Annotated[FigureForm, typer.Option(help="Its data, or what Plotly takes.")] = FigureForm.JSON,  # noqa: A002
    path: Annotated[list[str] | None, typer.Option(help="Of this path alone; may be repeated.")] = None,
    metric: Annotated[str | None, typer.Option(help="For Plotly: of this one of several objectives.")] = None,
) -> None:
    """Print a figure of a sweep's trials in JSON."""
    from deltaq import console

    with connect(context) as client:
        found = client.get_sweep(sweep)
        console.json(found.figure(name, format=format.value, paths=path or (), metric=metric))


def export(
    context: typer.Context,
    sweep: SweepId,
    format: Annotated[ExportForm, typer.Option(help="A table, or a journal of Optuna's.")] = ExportForm.CSV,  # noqa: A002
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Where to; SWEEP.FORMAT here, - is standard output.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")] = False,
    as_json: AsJson = False,
) -> None:
    """Save all trials of a sweep as a table, or as a journal, which optuna-dashboard opens."""
    from deltaq import console

    with connect(context) as client:
        found = client.get_sweep(sweep)
        if output == "-":
            found.write(sys.stdout.buffer, format.value)
            return
        path = found.export(output or f"{sweep}.{format.value}", format.value, overwrite=force)
    if as_json:
        console.json({"path": str(path)})
    else:
        console.write(f"{path}\n")
