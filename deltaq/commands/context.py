"""What every command has in common: the service's address, the options of the same name, the results for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from deltaq.client import Client

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as strict JSON.")]
Limit = Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="A job's id.")]

JobOrSweepId = Annotated[str, typer.Argument(metavar="JOB", help="The id of a job or a sweep.")]
ReconnectFor = Annotated[
    float,
    typer.Option(
        envvar="DELTAQ_WATCH_TIMEOUT", min=0, help="Give up after so many seconds without the service (exit code 4)."
    ),
]


@dataclass(frozen=True)
class Context:
    """Where the service is; the key comes from DELTAQ_API_KEY, which no process list shows."""

    url: str | None

    def client(self, reconnect_for_s: float | None) -> Client:
        """Make a client that tells the person at the terminal when the connection is lost."""
        from deltaq.client import Client
        from deltaq.console import say

        if reconnect_for_s is None:
            return Client(self.url, notify=say)
        return Client(self.url, retry_for_s=reconnect_for_s, first_for_s=reconnect_for_s, notify=say)


def connect(context: typer.Context, *, reconnect_for_s: float | None = None) -> Client:
    """The client of a running command; one that watches says how long it waits for the service, also at first."""
    found: Context = context.obj
    return found.client(reconnect_for_s)
