"""Commands about sweeps: start one, list them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from deltaq.commands.context import AsJson, Limit, ReconnectFor, connect

if TYPE_CHECKING:
    from deltaq.sweep import Sweep


def register(app: typer.Typer) -> None:
    """Put the commands on the application."""
    for command in (sweep, sweeps, trials):
        app.command()(command)


def sweep(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A sweep's spec in JSON or YAML; - is standard input.")],
    watch: Annotated[bool, typer.Option("--watch", help="Show it to its end; the exit code says how it was.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the spec; start nothing.")] = False,
    reconnect_for: ReconnectFor = 60.0,
    as_json: AsJson = False,
) -> None:
    """Start a search over jobs."""
    from deltaq import console, documents

    spec = documents.read(file)
    with connect(context, reconnect_for_s=reconnect_for if watch else None) as client:
        if dry_run:
            console.json(client.dry_run_sweep(spec))
            return
        found = client.sweep(spec)
        for warning in found.warnings:
            console.say(f"warning: {console.printable(warning)}")
        if watch:
            watch_sweep(found, reconnect_for, as_json)
        elif as_json:
            console.json(found.record.raw)
        else:
            console.write(f"{found.id}\n")


def sweeps(context: typer.Context, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List sweeps, the newest first."""
    from deltaq import console

    with connect(context) as client:
        records = [found.record for found in client.sweeps(limit=limit)]
    if as_json:
        console.json([record.raw for record in records])
        return
    console.table(
        ("id", "status", "name", "trials", "ended", "failed", "best", "created"),
        (
            (
                record.id,
                record.status,
                record.spec.get("name"),
                record.progress.trials,
                record.progress.asked - record.progress.open,
                record.progress.failed,
                record.best[0].value if record.best else None,
                record.created_at,
            )
            for record in records
        ),
    )


def trials(
    context: typer.Context,
    sweep: Annotated[str, typer.Argument(metavar="SWEEP", help="A sweep's id.")],
    as_json: AsJson = False,
) -> None:
    """List a sweep's trials, the best first."""
    from deltaq import console
    from deltaq.sweep_watching import cells, ranked

    with connect(context) as client:
        found = client.get_sweep(sweep)
        rows = ranked(found, found.trials())
    if as_json:
        console.json([row.raw for row in rows])
    else:
        console.table(("trial", "status", "value", "params", "job"), ((*cells(row), row.job_id) for row in rows))


def watch_sweep(found: Sweep, give_up_s: float, as_json: bool) -> NoReturn:
    """Show a sweep to its end, then what was best; the exit code says how it was."""
    from deltaq import console
    from deltaq.sweep_watching import follow

    try:
        code = follow(found, sys.stderr if as_json else sys.stdout, give_up_s=give_up_s)
    except KeyboardInterrupt:
        console.say(f"the sweep goes on; `deltaq watch {found.id}` follows it, `deltaq cancel {found.id}` ends it")
        raise
    if as_json:
        console.json(found.record.raw)
    else:
        for best in found.best:
            values = {"job": best.job_id, **dict(zip(_metrics(found), best.values, strict=False)), **best.params}
            console.facts({f"best {name}": value for name, value in values.items()})
    if found.error:
        console.say(f"{found.id} {found.status.value}: {found.error}")
    raise typer.Exit(code)


def _metrics(found: Sweep) -> list[str]:
    objectives = found.spec.get("objectives") or [found.spec.get("objective") or {}]
    return [objective.get("metric", "validation_loss") for objective in objectives]
