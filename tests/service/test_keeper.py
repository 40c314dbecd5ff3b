"""The foreground process and the keeper, with plain parts: whoever is killed, nothing is left."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.embedded.plan import Part, Plan
from tests.service.families import Family, until

# A part that also starts a process which leaves its family: a session of its own, its parent gone.
RUNAWAY = "setsid sh -c 'sleep 986 & sleep 987' & exec sleep 985"
SLEEPERS = ("sleep 985", "sleep 986", "sleep 987")

FOREGROUND = """
import sys
from pathlib import Path
from service.embedded.deployment import Deployment
from service.embedded.foreground import run
from service.embedded.plan import Plan
plan = Plan.read(Path(sys.argv[1]))
sys.exit(run(Deployment(plan, "http://127.0.0.1:9", "", "", None, {}), ()))
"""


def written(log: Path) -> str:
    """What a log has; nothing while there is none, as when it has just been put aside for the next run's."""
    try:
        return log.read_text()
    except FileNotFoundError:
        return ""


@contextmanager
def running(folder: Path, *parts: Part) -> Iterator[Family]:
    runtime = folder / "runtime"
    runtime.mkdir()
    (folder / "data").mkdir(exist_ok=True)
    plan = Plan(str(runtime), str(folder / "data" / "logs"), str(folder / "data" / "service.json"), parts)
    plan.write(folder / "plan.json")
    with Family("-c", FOREGROUND, str(folder / "plan.json"), folder=folder) as family:
        yield family


def shell(name: str, script: str, *, drains: bool = False) -> Part:
    return Part(name, ("/bin/sh", "-c", script), drains)


@pytest.mark.parametrize("victim", ["foreground", "keeper"])
def test_whoever_is_killed_nothing_is_left(tmp_path: Path, victim: str) -> None:
    with running(tmp_path, shell("part", RUNAWAY)) as family:
        until(lambda: all(family.find(sleeper) for sleeper in SLEEPERS), "the part and its runaways run")
        os.kill(family.process.pid if victim == "foreground" else family.pid_of("service keeper"), signal.SIGKILL)
        started = time.monotonic()
        until(lambda: not family.members(), "all are gone")
        assert time.monotonic() - started < 2.0
        assert not (tmp_path / "runtime").exists()
        if victim == "keeper":
            assert family.process.wait(timeout=5) == 1
            assert "the keeper was killed" in family.said()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_in_good_order(tmp_path: Path, number: int) -> None:
    with running(tmp_path, shell("part", RUNAWAY)) as family:
        until(lambda: all(family.find(sleeper) for sleeper in SLEEPERS), "the part and its runaways run")
        family.process.send_signal(number)
        assert family.process.wait(timeout=5) == 0
        assert not family.members()
        assert not (tmp_path / "runtime").exists()


def test_those_that_drain_end_before_those_that_they_need(tmp_path: Path) -> None:
    note = "trap 'echo {name} >> ../order; exit' TERM; echo up; while :; do sleep 0.02; done"
    parts = [
        shell("store", note.format(name="store")),
        shell("scheduler", note.format(name="scheduler").replace("'echo", "'sleep 0.3; echo"), drains=True),
    ]
    with running(tmp_path, *parts) as family:
        logs = tmp_path / "data" / "logs"
        until(
            lambda: all(
                (logs / f"{part.name}.log").exists() and (logs / f"{part.name}.log").read_text() for part in parts
            ),
            "both run",
        )
        family.process.send_signal(signal.SIGTERM)
        assert family.process.wait(timeout=5) == 0
    assert (tmp_path / "order").read_text().split() == ["scheduler", "store"]


def test_a_part_that_will_not_end_is_ended_within_two_seconds(tmp_path: Path) -> None:
    stubborn = shell("stubborn", "trap '' TERM; echo up; while :; do sleep 0.1; done", drains=True)
    with running(tmp_path, stubborn) as family:
        log = tmp_path / "data" / "logs" / "stubborn.log"
        until(lambda: written(log), "it runs")
        family.process.send_signal(signal.SIGINT)
        started = time.monotonic()
        assert family.process.wait(timeout=5) == 0
        assert time.monotonic() - started < 2.0


def test_a_part_that_dies_alone_starts_again_without_what_it_had_started(tmp_path: Path) -> None:
    with running(tmp_path, shell("part", RUNAWAY), shell("other", "exec sleep 984")) as family:
        until(lambda: all(map(family.find, (*SLEEPERS, "sleep 984"))), "the parts and the runaways run")
        other, first = family.pid_of("sleep 984"), family.pid_of("sleep 985")
        runaways = {family.pid_of("sleep 986"), family.pid_of("sleep 987")}
        os.kill(first, signal.SIGKILL)
        until(lambda: (again := family.find("sleep 985")) is not None and again.pid != first, "it runs again")
        until(lambda: not runaways & {member.pid for member in family.members()}, "the old runaways are gone")
        assert family.pid_of("sleep 984") == other
        until(lambda: "the part ended (SIGKILL)" in family.said(), "it is said")


def test_a_part_that_keeps_dying_is_started_ever_more_slowly(tmp_path: Path) -> None:
    with running(tmp_path, shell("part", "echo up; exit 3")) as family:
        until(lambda: "it starts again in 0.8 s" in family.said(), "five starts")
    waits = re.findall(r"exit code 3.* in (.*) s;", family.said())
    assert waits[:5] == ["0.05", "0.1", "0.2", "0.4", "0.8"]


def test_what_a_part_said_that_keeps_dying_is_quoted_from_the_second_time_on(tmp_path: Path) -> None:
    script = "date +%N; echo 'no space' ; echo exiting; exit 1"
    with running(tmp_path, shell("part", script), shell("mute", "exit 3")) as family:
        until(lambda: family.said().count("starts again in 0.2 s") == 2, "three starts of each")
    log = tmp_path / "data" / "logs" / "part.log"
    first, *later = re.findall(r"the part ended.*\n(?:  .*\n)*", family.said())
    assert first == f"the part ended (exit code 1); it starts again in 0.05 s; its log is {log}\n"
    words = f"again (exit code 1); it starts again in 0.1 s; its log {log} says:\n  no space\n  exiting\n"
    assert later[0].endswith(words)
    assert re.search(r"the mute ended again .* says:\n  nothing\n", family.said())


def test_a_part_that_refuses_its_settings_ends_all_and_is_quoted(tmp_path: Path) -> None:
    refusing = shell("api", f"echo 'DELTAQ_API_KEYS_FILE is not there' >&2; exit {os.EX_CONFIG}")
    with running(tmp_path, refusing, shell("other", "exec sleep 984")) as family:
        assert family.process.wait(timeout=10) == os.EX_CONFIG
        assert not family.members()
        assert "the api refuses to start:\nDELTAQ_API_KEYS_FILE is not there" in family.said()


def test_the_log_of_the_run_before_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "data" / "logs" / "part.log"
    for word in ("first", "second", "third"):
        with running(tmp_path, shell("part", f"echo {word}; exec sleep 983")):
            until(lambda: written(log) == f"{word}\n", "it runs")  # noqa: B023 - used at once
    assert log.with_suffix(".log.1").read_text() == "second\n"
    assert sorted(path.name for path in log.parent.iterdir()) == ["part.log", "part.log.1"]
