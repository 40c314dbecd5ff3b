"""Commands about the service itself: up, demo, cluster, key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deltaq.commands.context import AsJson, connect


def register(app: typer.Typer) -> None:
    """Put the commands on the application."""
    for command in (up, demo, cluster, key):
        app.command()(command)


def up(
    host: Annotated[str | None, typer.Option(help="The address to listen on; 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The port; 8000, 0 is any free one.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where everything is kept; ~/.deltaq.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Slots, one a gradient worker; the cores.")] = None,
) -> None:
    """Start the service here, until Ctrl-C: Redis, Ray, scheduler and API."""
    from deltaq.launch import become_service

    given = {"--host": host, "--port": port, "--data-dir": data_dir, "--workers": workers}
    become_service([part for name, value in given.items() if value is not None for part in (name, str(value))])


def demo(as_json: AsJson = False) -> None:
    """Start the service, train on handwritten digits with two workers, show what came out, stop everything."""
    from deltaq.demo import run

    raise typer.Exit(run(as_json=as_json))


def cluster(context: typer.Context, as_json: AsJson = False) -> None:
    """Show nodes, workers and the depth of the queue."""
    from deltaq import console

    with connect(context) as client:
        picture = client.cluster()
    if as_json:
        console.json(picture)
        return
    console.facts(
        {"slots": picture.get("slots"), "queue depth": picture.get("queue_depth"), "seen s ago": picture.get("age_s")}
    )
    for name in ("nodes", "workers", "runners"):
        rows = picture.get(name) or []
        head = list(dict.fromkeys(field for row in rows for field in row))
        if rows:
            console.write("\n")
            console.table(head, ([row.get(field) for field in head] for row in rows))


def key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is.")],
    scopes: Annotated[str, typer.Option(help="What it may do: read, write, or both with a comma.")] = "read,write",
    tenant: Annotated[str, typer.Option(help="Whose jobs, data sets and models it reaches.")] = "default",
    as_json: AsJson = False,
) -> None:
    """Make an API key, and its record for the file that DELTAQ_API_KEYS_FILE names."""
    import orjson

    from deltaq import console
    from deltaq.keys import new_key

    secret, record = new_key(name, [scope.strip() for scope in scopes.split(",")], tenant)
    if as_json:
        console.json({"key": secret, "record": record})
        return
    console.say("the key is shown this once; its record goes into the JSON list of the service's key file")
    console.write(f"key     {secret}\nrecord  {orjson.dumps(record).decode()}\n")
