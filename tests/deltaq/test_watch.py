"""Watching a job by the command: how it ended, whatever became of the service meanwhile."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from deltaq.client import Client
from deltaq.console import SIGPIPE_CODE
from deltaq.records import Epoch
from deltaq.watching import Lines
from service.errors import Diverged
from tests.deltaq.conftest import SPEC, ApiProcess, Command, Hand

SPEC_TEXT = json.dumps(SPEC)


def read_until(process: subprocess.Popen[str], words: str) -> None:
    """Read what a command prints until a line holds the words."""
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(f"{words!r} was never printed: {process.communicate()}")


@pytest.fixture
def meanwhile(hand: Hand) -> Callable[[Callable[[], Any]], None]:
    """Do something in another thread while a command runs."""
    return lambda act: threading.Thread(target=act, daemon=True).start()


def test_a_job_that_succeeds_ends_with_0(command: Command, points: str, hand: Hand, meanwhile: Any) -> None:
    def run() -> None:
        lease = hand.claim()
        hand.epoch(lease, 1, validation_loss=0.0, validation_accuracy=None)
        hand.succeed(lease, weights="ab" * 32)

    meanwhile(run)
    code, out, _ = command.run("submit", "-", "--watch", stdin=SPEC_TEXT)
    assert code == 0
    assert "epoch 1/3  train loss 1  validation loss 0  validation accuracy –  100 samples/s" in out
    assert "ab" * 32 in out


def test_a_job_that_diverges_ends_with_1_and_the_hint(
    command: Command, points: str, hand: Hand, meanwhile: Any
) -> None:
    meanwhile(lambda: hand.fail(hand.claim(), Diverged("the loss is not finite", hint="try a smaller learning rate")))
    code, out, err = command.run("submit", "-", "--watch", "--json", stdin=SPEC_TEXT)
    assert code == 1
    assert "Diverged: the loss is not finite" in err
    assert "hint: try a smaller learning rate" in err
    assert json.loads(out)["status"] == "failed"


def test_a_spec_that_is_refused_ends_with_2(command: Command, points: str) -> None:
    code, out, err = command.run("submit", "-", "--watch", stdin='{"dataset": "points", "epoch": 3}')
    assert (code, out) == (2, "")
    assert "/epoch" in err


def test_a_job_cancelled_elsewhere_ends_with_3(command: Command, client: Client, points: str, hand: Hand) -> None:
    job = client.submit(SPEC)
    watching = command.start("watch", job.id)
    read_until(watching, "queued")
    lease = hand.claim()
    job.cancel()
    read_until(watching, "running (cancel asked for)")
    hand.queue.release(lease, "cancelled")
    out, err = watching.communicate(timeout=20)
    assert watching.returncode == 3
    assert "cancelled" in out
    assert "Traceback" not in err


def test_a_paused_job_is_waited_for_and_the_watcher_says_so(
    command: Command, client: Client, points: str, hand: Hand
) -> None:
    job = client.submit(SPEC)
    watching = command.start("watch", job.id)
    read_until(watching, "queued")
    job.pause()
    read_until(watching, f"paused: waiting until somebody says `deltaq resume {job.id}`")
    assert watching.poll() is None
    job.resume()
    hand.succeed(hand.claim())
    watching.communicate(timeout=20)
    assert watching.returncode == 0


def test_the_watch_goes_on_when_the_api_is_killed_and_comes_back(
    command: Command, client: Client, api: ApiProcess, points: str, hand: Hand
) -> None:
    job = client.submit(SPEC)
    lease = hand.claim()
    watching = command.start("watch", job.id)
    read_until(watching, "running")
    api.kill()
    hand.epoch(lease, 1)
    hand.epoch(lease, 2)
    api.restart()
    read_until(watching, "epoch 1/")
    hand.epoch(lease, 3)
    hand.succeed(lease)
    out, err = watching.communicate(timeout=20)
    assert watching.returncode == 0
    assert "connection lost" in err
    assert "connected again" in err
    assert out.count("epoch 3/") == 1
    assert "Traceback" not in err


def test_a_watch_begins_before_the_api_is_there(
    command: Command, client: Client, api: ApiProcess, points: str, hand: Hand
) -> None:
    job = client.submit(SPEC)
    hand.succeed(hand.claim())
    api.kill()
    watching = command.start("watch", job.id)
    assert watching.stderr is not None
    assert "connection refused: trying again for 60 s" in watching.stderr.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        watching.wait(3)  # longer than any other command waits
    api.restart()
    watching.communicate(timeout=20)
    assert watching.returncode == 0


def test_an_api_that_never_comes_ends_the_watch_with_4(command: Command) -> None:
    for arguments in (("watch", "job-" + "a" * 20), ("submit", "-", "--watch"), ("sweep", "-", "--watch")):
        line = (*arguments, "--reconnect-for", "0.3")
        code, _, err = command.run(*line, stdin=SPEC_TEXT, DELTAQ_URL="http://127.0.0.1:9")
        assert code == 4
        assert "no deltaq service answers at" in err


def test_an_api_that_stays_away_ends_the_watch_with_4(
    command: Command, client: Client, api: ApiProcess, points: str
) -> None:
    job = client.submit(SPEC)
    watching = command.start("watch", job.id, DELTAQ_WATCH_TIMEOUT="1")
    read_until(watching, "queued")
    api.kill()
    _, err = watching.communicate(timeout=20)
    assert watching.returncode == 4
    assert "connection lost" in err
    assert "lost the connection to" in err
    assert "Traceback" not in err


def test_ctrl_c_leaves_the_job_alone_and_says_how_to_go_on(command: Command, client: Client, points: str) -> None:
    job = client.submit(SPEC)
    watching = command.start("watch", job.id)
    read_until(watching, "queued")
    watching.send_signal(2)
    _, err = watching.communicate(timeout=20)
    assert watching.returncode == 130
    assert f"deltaq watch {job.id}" in err
    assert "Traceback" not in err
    assert job.refresh().status == "queued"


def test_a_watcher_whose_reader_has_gone_ends_quietly(
    command: Command, client: Client, points: str, hand: Hand
) -> None:
    job = client.submit(SPEC)
    watching = command.start("watch", job.id)
    read_until(watching, "queued")
    assert watching.stdout is not None
    watching.stdout.close()
    hand.epoch(hand.claim(), 1)
    assert watching.stderr is not None
    assert watching.stderr.read() == ""
    assert watching.wait(20) == SIGPIPE_CODE


def test_plain_lines_are_few_and_the_last_epoch_is_among_them() -> None:
    class Kept(list[str]):
        def write(self, text: str) -> None:
            self.append(text)

        def flush(self) -> None: ...

    out, now = Kept(), 0.0
    lines = Lines(out, every_s=1.0, clock=lambda: now)  # type: ignore[arg-type]  # it writes and flushes: no more is asked
    for number in range(1, 1001):
        now += 0.01
        lines.epoch(Epoch(epoch=number, raw={"train_loss": 0.0}, train_loss=0.0))
    lines.say("done")
    written = [text for text in out if text != "\n"]
    assert 10 <= len(written) <= 13
    assert written[-2:] == ["epoch 1000  train loss 0  – samples/s", "done"]


def succeed_next(hand: Hand, result: dict[str, Any]) -> None:
    hand.succeed(hand.claim(), **result)


def test_verify_tells_equal_from_different_from_not_comparable(
    command: Command, client: Client, points: str, hand: Hand, meanwhile: Any
) -> None:
    job = client.submit(SPEC)
    hand.succeed(hand.claim(), weights="a" * 64)
    for expected, result in (
        (0, {"weights": "a" * 64}),
        (1, {"weights": "b" * 64}),
        (5, {"weights": "b" * 64, "fingerprint": {"numpy": "3"}}),
    ):
        meanwhile(partial(succeed_next, hand, result))
        code, out, err = command.run("verify", job.id, "--json")
        found = json.loads(out)
        assert code == expected, err
        assert found["equal"] is (expected == 0)
        assert found["same_fingerprint"] is (expected != 5)
        again = client.job(found["again_id"])
        assert again.spec["workers"] == {"min": 1, "max": 1}
        assert {**again.spec, "name": None, "workers": None} == {**job.spec, "name": None, "workers": None}
    unsure = client.submit({**SPEC, "mode": "async", "batch_size": 2})
    hand.succeed(hand.claim())
    code, _, err = command.run("verify", unsure.id)
    assert code == 1
    assert "was trained in mode async, which does not promise the same bits twice" in err
    code, _, err = command.run("verify", client.submit(SPEC).id)
    assert code == 1
    assert "only one that succeeded or was pruned can be verified" in err
