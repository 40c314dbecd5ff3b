"""The `deltaq` command: its options, its commands and its exit codes. Imports nothing heavy before it must.

  0   done; a watched job or sweep succeeded; `verify` found the same bits
  1   a watched job or sweep failed; `verify` found other bits; anything that went wrong otherwise
  2   refused: the command line, the file, or the request (what the service answered is printed)
  3   a watched job or sweep was cancelled
  4   the service cannot be reached, or was away for longer than the watch's deadline
  5   `verify` cannot compare: the machine that trained again has another fingerprint
 75   `up`: the Redis that it was given does not answer
 78   `up`: it cannot start as it is set up
130   interrupted; a job that was submitted goes on
141   the reader of the output has gone
"""

from __future__ import annotations

import sys
import warnings
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer

from deltaq import __version__
from deltaq.commands import datasets, jobs, models, service, sweep_results, sweeps
from deltaq.commands.context import Context

app = typer.Typer(
    name="deltaq",
    help="Train multi-layer perceptrons as jobs in a queue, and use what comes out.",
    epilog="Exit codes: 0 done, 1 failed, 2 refused, 3 cancelled, 4 service not reached, 5 not comparable; "
    "`up`: 75 no Redis, 78 set up wrongly.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (service, jobs, sweeps, sweep_results, datasets, models):
    commands.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"deltaq {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    url: Annotated[str | None, typer.Option(envvar="DELTAQ_URL", help="Where the service is.")] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train multi-layer perceptrons as jobs in a queue, and use what comes out."""
    context.obj = Context(url)


def main() -> NoReturn:
    """Run the command and exit with its code; no user ever sees a traceback for a mistake of theirs."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no "–" shows something else
    sys.exit(_run())


def _run() -> int:
    from deltaq.errors import ApiError, DataWarning, DeltaqClientError, InvalidInput, Unreachable

    warnings.simplefilter("ignore", DataWarning)  # a command that has any to show prints them its own way
    try:
        app()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except DeltaqClientError as error:
        print(f"deltaq: {error}", file=sys.stderr)
        return 4 if isinstance(error, Unreachable) else 2 if isinstance(error, ApiError | InvalidInput) else 1
    return 0
