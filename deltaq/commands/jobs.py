"""Commands about jobs: submit, list, show, watch, the verbs, logs, verify."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deltaq.commands.context import AsJson, JobId, JobOrSweepId, Limit, ReconnectFor, connect

if TYPE_CHECKING:
    from deltaq.job import Job


def register(app: typer.Typer) -> None:
    """Put the commands on the application."""
    for command in (submit, jobs, show, watch, cancel, pause, resume, retry, logs, metrics, verify):
        app.command()(command)


def submit(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A job's spec in JSON or YAML; - is standard input.")],
    watch: Annotated[bool, typer.Option("--watch", help="Wait for the end; the exit code says how it was.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and resolve the spec; queue nothing.")] = False,
    reconnect_for: ReconnectFor = 60.0,
    as_json: AsJson = False,
) -> None:
    """Queue a training job."""
    from deltaq import console, documents

    spec = documents.read(file)
    with connect(context, reconnect_for_s=reconnect_for if watch else None) as client:
        if dry_run:
            console.json(client.dry_run(spec))
            return
        job = client.submit(spec)
        for warning in job.warnings:
            console.say(f"warning: {console.printable(warning)}")
        if watch:
            _watch(job, reconnect_for, as_json)
        elif as_json:
            console.json(job.record.raw)
        else:
            console.write(f"{job.id}\n")


def jobs(
    context: typer.Context,
    status: Annotated[str | None, typer.Option(help="Only jobs in this status.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only jobs with this tag: KEY or KEY=VALUE.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first."""
    from deltaq import console

    with connect(context) as client:
        records = [job.record for job in client.jobs(status=status, tag=tag, limit=limit)]
    if as_json:
        console.json([record.raw for record in records])
        return
    console.table(
        ("id", "status", "name", "data set", "epoch", "validation loss", "created"),
        (
            (
                record.id,
                record.status,
                record.spec.get("name"),
                record.spec.get("dataset"),
                record.progress.epoch,
                record.metrics.get("validation_loss"),
                record.created_at,
            )
            for record in records
        ),
    )


def show(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID", help="The id of a job, a sweep, a data set or a model.")],  # noqa: A002
    as_json: AsJson = False,
) -> None:
    """Show a job, a sweep, a data set or a model."""
    from deltaq import console

    with connect(context) as client:
        if id.startswith("ds-"):
            raw = client.datasets.get(id).raw
        elif id.startswith("model-"):
            raw = client.model(id).record.raw
        elif _is_sweep(id):
            raw = client.get_sweep(id).record.raw
        else:
            raw = client.job(id).record.raw
    if as_json:
        console.json(raw)
    else:
        console.facts(console.flat(raw))


def watch(
    context: typer.Context, job: JobOrSweepId, reconnect_for: ReconnectFor = 60.0, as_json: AsJson = False
) -> None:
    """Follow a job or a sweep to its end; the exit code says how it was."""
    from deltaq.commands.sweeps import watch_sweep

    with connect(context, reconnect_for_s=reconnect_for) as client:
        if _is_sweep(job):
            watch_sweep(client.get_sweep(job), reconnect_for, as_json)
        else:
            _watch(client.job(job), reconnect_for, as_json)


def _watch(job: Job, give_up_s: float, as_json: bool) -> None:
    from deltaq import console
    from deltaq.watching import display, follow

    try:
        code = follow(job, display(sys.stderr if as_json else sys.stdout), give_up_s=give_up_s)
    except KeyboardInterrupt:
        console.say(f"the job goes on; `deltaq watch {job.id}` follows it, `deltaq cancel {job.id}` ends it")
        raise
    if as_json:
        console.json(job.record.raw)
    elif job.result:
        console.facts(console.flat({"job": job.id, **job.result}))
    if job.error:
        console.say(f"{job.id} {job.status.value}: {job.error}")
    raise typer.Exit(code)


def _is_sweep(job_id: str) -> bool:
    return job_id.startswith("sweep-")


def _of_a_job(job_id: str) -> str:
    """The id of what only jobs have or allow. Raises: InvalidInput where it is a sweep's."""
    from deltaq.errors import InvalidInput

    if _is_sweep(job_id):
        raise InvalidInput(
            f"{job_id} is a sweep, which allows cancel, pause, resume and watch; "
            f"this needs one of its jobs, which `deltaq trials {job_id}` lists"
        )
    return job_id


def _verb(context: typer.Context, job_id: str, as_json: bool, act: Callable[[Any], Any]) -> None:
    from deltaq import console
    from deltaq.watching import status_line

    with connect(context) as client:
        job = act(client.get_sweep(job_id) if _is_sweep(job_id) else client.job(job_id))
    if as_json:
        console.json(job.record.raw)
    else:
        console.write(status_line(job.id, job.record.raw) + "\n")


def cancel(context: typer.Context, job: JobOrSweepId, as_json: AsJson = False) -> None:
    """Stop a job for good, or a sweep with its jobs."""
    _verb(context, job, as_json, lambda found: found.cancel())


def pause(context: typer.Context, job: JobOrSweepId, as_json: AsJson = False) -> None:
    """Stop a job for now, at a checkpoint, or a sweep with its jobs."""
    _verb(context, job, as_json, lambda found: found.pause())


def resume(context: typer.Context, job: JobOrSweepId, as_json: AsJson = False) -> None:
    """Put a paused job back into the queue, or let a paused sweep go on."""
    _verb(context, job, as_json, lambda found: found.resume())


def retry(
    context: typer.Context,
    job: JobId,
    from_start: Annotated[bool, typer.Option("--from-start", help="Forget the checkpoint.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put a failed or cancelled job back into the queue."""
    _verb(context, _of_a_job(job), as_json, lambda found: found.retry("start" if from_start else "checkpoint"))


def logs(context: typer.Context, job: JobId, as_json: AsJson = False) -> None:
    """Print a job's log lines."""
    from deltaq import console

    with connect(context) as client:
        lines = client.job(_of_a_job(job)).logs()
    if as_json:
        console.json(lines)
        return
    for line in lines:
        console.write(" ".join(console.shown(line.get(name)) for name in ("at", "level", "message")) + "\n")


def metrics(context: typer.Context, job: JobId, as_json: AsJson = False) -> None:
    """Print a job's metrics, one row an epoch."""
    from deltaq import console
    from deltaq.watching import MEASURES

    with connect(context) as client:
        rows = client.job(_of_a_job(job)).metrics()
    if as_json:
        console.json([row.raw for row in rows])
        return
    names = ("epoch", *MEASURES, "learning_rate", "samples_per_s")
    console.table(names, ([getattr(row, name) for name in names] for row in rows))


def verify(context: typer.Context, job: JobId, reconnect_for: ReconnectFor = 60.0, as_json: AsJson = False) -> None:
    """Train a job again with one worker and compare fingerprint and weights; exit 0: the same bits."""
    from deltaq import console
    from deltaq.verification import differences
    from deltaq.verification import verify as compare
    from deltaq.watching import display, follow

    shown_on = display(sys.stderr)
    with connect(context, reconnect_for_s=reconnect_for) as client:
        original = client.job(_of_a_job(job))
        found = compare(client, original, lambda again: follow(again, shown_on, give_up_s=reconnect_for))
    if as_json:
        console.json(found.document())
        raise typer.Exit(found.exit_code)
    for difference in differences(found.fingerprint, found.fingerprint_again):
        console.write(f"fingerprints differ: {console.printable(difference)}\n")
    console.facts({f"weights of {found.job_id}": found.weights_sha256, "trained again": found.weights_sha256_again})
    verdict = {0: "equal, bit for bit", 1: "different", 5: "different, and so is the fingerprint: not comparable"}
    console.write(f"{verdict[found.exit_code]}\n")
    raise typer.Exit(found.exit_code)
