"""Sweeps by the client and the command: a real API, and a sweeper and jobs moved by hand."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deltaq.client import Client
from deltaq.errors import InvalidRequest, NoModel
from deltaq.records import JobStatus
from deltaq.sweep_records import TrialStatus
from deltaq.sweep_watching import Table, cells, ranked
from service.errors import Diverged
from service.settings import Settings
from service.sweeper_process import sweeper_of
from service.sweeps.sweeper import Sweeper
from tests.deltaq.conftest import SPEC, Command, Hand, until

SWEEP: dict[str, Any] = {"base": SPEC, "space": {"seed": {"grid": [3, 4, 5]}}, "sampler": "grid"}


@pytest.fixture
def sweeper(redis_url: str, hand: Hand, tmp_path: Path) -> Sweeper:
    return sweeper_of(hand.store, Settings(redis_url=redis_url, data_dir=tmp_path))


@pytest.fixture
def carried_out(sweeper: Sweeper, hand: Hand) -> Iterator[Callable[..., None]]:
    """Have sweeps gone through, each job ended by its loss; None: it diverges."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def go(*losses: float | None) -> None:
        def run() -> None:
            for loss in losses:
                sweeper.tick()
                lease = hand.claim()
                if loss is None:
                    hand.fail(lease, Diverged("the loss is not finite", hint="a smaller rate"))
                else:
                    hand.succeed(lease, validation_loss=loss)
            while not over.is_set():
                sweeper.tick()

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield go
    over.set()
    for thread in threads:
        thread.join(20)


def test_a_sweep_is_waited_for_and_its_best_found(client: Client, points: str, carried_out: Any) -> None:
    sweep = client.sweep(SWEEP)
    carried_out(3.0, 1.0, 2.0)
    assert sweep.wait(30).status is JobStatus.SUCCEEDED
    assert sweep.progress.succeeded == 3
    assert (sweep.best[0].number, sweep.best[0].value) == (1, 1.0)
    rows = sweep.trials()
    assert [row.number for row in rows] == [0, 1, 2]
    assert {row.params["seed"] for row in rows} == {3, 4, 5}
    assert sweep.best_job().id == rows[1].job_id
    assert {job.id for job in sweep.jobs()} == {row.job_id for row in rows}
    assert [found.id for found in client.sweeps()] == [sweep.id]
    assert client.get_sweep(sweep.id).spec == sweep.spec
    assert [row.number for row in ranked(sweep, rows)] == [1, 2, 0]


def test_a_sweep_is_steered(client: Client, points: str) -> None:
    sweep = client.sweep({**SWEEP, "space": {"seed": {"int": [1, 9]}}, "sampler": "random", "trials": 4})
    assert sweep.pause().status is JobStatus.PAUSED
    assert sweep.resume().status is JobStatus.QUEUED
    assert sweep.extend(6).progress.trials == 6
    assert sweep.cancel().status is JobStatus.CANCELLED
    assert sweep.wait(5).status is JobStatus.CANCELLED
    with pytest.raises(NoModel):
        sweep.model()
    with pytest.raises(InvalidRequest, match="no field x"):
        client.sweep({**SWEEP, "space": {"x": {"grid": [1]}}})
    assert client.dry_run_sweep(SWEEP)["trials"] == 3


def test_the_events_of_all_jobs_go_on_beside_those_of_sweeps(client: Client, points: str) -> None:
    events = client.watch()
    assert next(events).name == "snapshot"
    sweep = client.sweep(SWEEP)
    job = client.submit({**SPEC})
    assert next(events).sweep == sweep.id
    assert next(events).job == job.id


def test_the_command_shows_a_sweep_to_its_end(command: Command, points: str, carried_out: Any) -> None:
    carried_out(3.0, None, 2.0)
    code, out, _ = command.run("sweep", "-", "--watch", stdin=json.dumps(SWEEP))
    assert code == 0
    assert "trial 0 succeeded  3  seed" in out
    assert "Diverged: the loss is not finite" in out
    assert "3/3 trials ended (2 succeeded, 1 failed); best 2" in out
    assert "best validation_loss" in out


def test_a_sweep_whose_trials_all_failed_ends_with_1(command: Command, points: str, carried_out: Any) -> None:
    carried_out(None, None, None)
    code, out, err = command.run("sweep", "-", "--watch", "--json", stdin=json.dumps(SWEEP))
    assert code == 1
    assert json.loads(out)["status"] == "failed"
    assert "none of its 3 trials has succeeded" in err


def test_the_command_lists_and_steers_sweeps(command: Command, points: str, client: Client) -> None:
    code, out, _ = command.run("sweep", "-", stdin=json.dumps(SWEEP))
    assert code == 0
    sweep = out.strip()
    assert sweep in command.run("sweeps")[1]
    assert json.loads(command.run("sweeps", "--json")[1])[0]["id"] == sweep
    assert json.loads(command.run("show", sweep, "--json")[1])["id"] == sweep
    assert "paused" in command.run("pause", sweep)[1]
    assert "queued" in command.run("resume", sweep)[1]
    assert "cancelled" in command.run("cancel", sweep)[1]
    assert command.run("trials", sweep, "--json")[1].strip() == "[]"
    code, _, err = command.run("sweep", "-", stdin=json.dumps({**SWEEP, "trials": 9}))
    assert code == 2
    assert "/trials" in err


@pytest.mark.parametrize("verb", ["retry", "metrics", "logs", "verify"])
def test_what_only_jobs_have_is_not_asked_of_a_sweep(command: Command, verb: str) -> None:
    code, out, err = command.run(verb, "sweep-" + "a" * 20)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "is a sweep, which allows cancel, pause, resume and watch" in err
    assert "`deltaq trials sweep-aaaaaaaaaaaaaaaaaaaa`" in err


def test_a_sweep_is_watched_by_its_id(command: Command, client: Client, points: str, carried_out: Any) -> None:
    sweep = client.sweep(SWEEP)
    watching = command.start("watch", sweep.id)
    carried_out(3.0, 1.0, 2.0)
    out, err = watching.communicate(timeout=30)
    assert (watching.returncode, err) == (0, "")
    assert "3/3 trials ended (3 succeeded); best 1" in out
    assert "best validation_loss" in out
    client.sweep(SWEEP, idempotency_key="again").cancel()
    again = client.sweep(SWEEP, idempotency_key="again").id
    code, out, _ = command.run("watch", again, "--json")
    assert (code, json.loads(out)["id"]) == (3, again)


def test_ctrl_c_leaves_a_sweep_alone_and_says_how_to_go_on(
    command: Command, client: Client, points: str, carried_out: Any
) -> None:
    sweep = client.sweep(SWEEP)
    carried_out(3.0)
    until(lambda: sweep.refresh().progress.succeeded, what="the first trial's end")
    watching = command.start("watch", sweep.id)
    assert watching.stdout is not None
    assert "trial 0 succeeded" in watching.stdout.readline()
    watching.send_signal(2)
    _, err = watching.communicate(timeout=20)
    assert watching.returncode == 130
    assert f"`deltaq watch {sweep.id}` follows it" in err


def test_a_terminal_has_a_table_of_the_best(client: Client, points: str, carried_out: Any) -> None:
    sweep = client.sweep(SWEEP)
    carried_out(3.0, 1.0, 2.0)
    sweep.wait(30)
    out = io.StringIO()
    table = Table(out)
    table.show(sweep, sweep.trials())
    table.close()
    text = out.getvalue()
    assert text.index("seed") > text.index("3/3 trials ended")
    number, status, value, params = cells(sweep.trials()[1])
    assert (number, status, value) == ("1", TrialStatus.SUCCEEDED, "1")
    assert params in text
