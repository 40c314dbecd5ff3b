"""The stream of many jobs: one id for all of them, nothing missing, nothing twice, nothing of another tenant's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from api import following
from api.app import create_app
from api.services import Services
from service.datasets import Dataset
from service.redis_server import RedisServer
from service.settings import Settings
from tests.api.asking import (
    SPEC,
    Claim,
    Submit,
    bearer,
    listening,
    pointers,
    problem,
    record,
    strict,
    succeed,
    two_classes,
    wait_until,
)
from tests.api.streams import Received, events_of, followed, parse, read_to_end

FUTURE = "99999999999999-0"


def of(*job_ids: str) -> str:
    """Where the stream of these jobs is."""
    return f"/v1/events?{'&'.join(f'job={job_id}' for job_id in job_ids)}"


def said(event: Received) -> Any:
    """What an event's data holds."""
    return strict(event.data.encode())


def told(events: list[Received]) -> list[tuple[str, str]]:
    """Job and type of each event that is one of a job."""
    return [(said(event)["job"], event.type) for event in events if event.type in ("status", "metrics")]


@contextmanager
def opened(client: httpx.Client, path: str, **headers: str) -> Iterator[Iterator[Received]]:
    """Read a stream event by event, and go away at the end."""
    with client.stream("GET", path, headers=headers) as stream:
        assert stream.status_code == 200
        yield (event for event in parse(stream.iter_lines()) if event.type != "retry")


@pytest.fixture
def ended(submit: Submit, claim: Claim, services: Services) -> list[str]:
    """Three jobs that have ended, with events of each between those of the others."""
    jobs = [submit(priority=priority)["id"] for priority in (2, 1, 0)]
    claimed = [claim() for _ in jobs]
    for epoch in (1, 2):
        for one in claimed:
            services.queue.record_epoch(one.lease, {"epoch": epoch})
    for one in claimed:
        succeed(services, one)
    return jobs


def test_several_jobs_come_in_one_stream_that_ends_with_the_last(
    client: httpx.Client, submit: Submit, claim: Claim, services: Services
) -> None:
    other, one, two = (submit(priority=priority)["id"] for priority in (-1, 2, 1))
    with followed(client, of(one, two, one)) as follower:
        wait_until(lambda: [event.type for event in follower.received] == ["retry", "snapshot"])
        first, second = claim(), claim()
        services.queue.record_epoch(second.lease, {"epoch": 1, "train_loss": 0.5})
        succeed(services, first)
        succeed(services, claim())  # another job, of which this stream says nothing
        wait_until(lambda: len(follower.received) == 6)
        assert not follower.ended.is_set()
        services.queue.record_epoch(second.lease, {"epoch": 2})
        succeed(services, second)
    retry, snapshot, *events = follower.received
    assert retry.retry == "2000"
    assert [job["id"] for job in said(snapshot)["jobs"]] == [one, two]
    assert [job["status"] for job in said(snapshot)["jobs"]] == ["queued", "queued"]
    assert told(events) == [
        (one, "status"),
        (two, "status"),
        (two, "metrics"),
        (one, "status"),
        (two, "metrics"),
        (two, "status"),
    ]
    assert other not in "".join(event.data for event in follower.received)
    assert len(set(follower.ids())) == len(follower.ids())


def test_the_data_is_that_of_the_jobs_own_stream(client: httpx.Client, ended: list[str]) -> None:
    events = read_to_end(client, of(*ended), "0-0")
    for job_id in ended:
        own = [(event.type, said(event)) for event in read_to_end(client, events_of(job_id))]
        assert [(event.type, said(event)["data"]) for event in events if said(event)["job"] == job_id] == own


@pytest.mark.parametrize("how_many", [1, 2, 3])
def test_every_last_event_id_resumes_all_without_a_gap(client: httpx.Client, ended: list[str], how_many: int) -> None:
    path = of(*ended[:how_many])
    whole, events = read_to_end(client, of(*ended), "0-0"), read_to_end(client, path, "0-0")
    assert (len(whole), len(events)) == (15, 5 * how_many)
    for number in range(1, 16):
        last = whole[number - 1].id or ""
        if rest := [event for event in events if event not in whole[:number]]:
            assert read_to_end(client, path, last) == rest
        else:
            assert client.get(path, headers={"Last-Event-ID": last}).status_code == 204


def test_an_id_sent_in_the_query_resumes_too(client: httpx.Client, ended: list[str]) -> None:
    events = read_to_end(client, of(*ended), "0-0")
    assert read_to_end(client, f"{of(*ended)}&last_event_id={events[3].id}") == events[4:]
    last = {"last_event_id": events[-1].id or "", "job": ended}
    assert client.get("/v1/events", params=last).status_code == 204
    assert client.get("/v1/events", params={**last, "last_event_id": "0-0"}).status_code == 200


def test_who_comes_when_all_have_ended_gets_a_snapshot_and_the_end(client: httpx.Client, ended: list[str]) -> None:
    for last in (None, FUTURE):
        (snapshot,) = read_to_end(client, of(*ended), last)
        assert snapshot.type == "snapshot"
        assert said(snapshot) == {"jobs": [client.get(f"/v1/jobs/{job_id}").json() for job_id in ended]}
        again = client.get(of(*ended), headers={"Last-Event-ID": snapshot.id or ""})
        assert again.status_code == 204  # else a browser would come back for ever


def test_without_names_all_jobs_are_told_of_and_there_is_no_end(
    client: httpx.Client, ended: list[str], submit: Submit, claim: Claim, services: Services
) -> None:
    lives = submit()["id"]
    with opened(client, "/v1/events") as events:
        snapshot = next(events)
        assert [job["id"] for job in said(snapshot)["jobs"]] == [lives]
        assert said(snapshot)["jobs"] == client.get("/v1/jobs", params={"status": "queued"}).json()["items"]
        succeed(services, claim())
        later = submit()["id"]
        client.post(f"/v1/jobs/{later}/cancel")
        came = [next(events) for _ in range(4)]
    assert told(came) == [(lives, "status")] * 2 + [(later, "status")] * 2
    wait_until(lambda: services.listener.readers == 0)
    with opened(client, "/v1/events", **{"Last-Event-ID": came[1].id or ""}) as events:
        assert [next(events) for _ in range(2)] == came[2:]
    with opened(client, "/v1/events", **{"Last-Event-ID": snapshot.id or ""}) as events:
        assert [next(events) for _ in range(4)] == came


def test_where_there_is_nothing_yet_the_first_event_comes(client: httpx.Client, submit: Submit) -> None:
    with opened(client, "/v1/events") as events:
        snapshot = next(events)
        assert (snapshot.id, said(snapshot)) == ("0-0", {"jobs": []})
        job = submit()["id"]
        first = next(events)
        assert told([first]) == [(job, "status")]
    with opened(client, "/v1/events", **{"Last-Event-ID": "0-0"}) as events:
        assert next(events) == first


def test_older_than_what_is_kept_begins_with_a_snapshot(
    client: httpx.Client, submit: Submit, claim: Claim, services: Services
) -> None:
    early, job_id = submit()["id"], submit()["id"]
    client.post(f"/v1/jobs/{early}/cancel")
    first = services.follower.events.read_all("default").events[0].id
    claimed = claim()
    for begin in range(1, 22_500, 2500):
        services.queue.record_epochs(claimed.lease, [{"epoch": epoch} for epoch in range(begin, begin + 2500)])
    succeed(services, claimed)
    kept = int(services.store.command("XLEN", "deltaq:events:default"))
    snapshot, *rest = read_to_end(client, of(early, job_id), first)
    assert (snapshot.type, snapshot.id) == ("snapshot", first)  # who breaks off here asks from the same place again
    assert [job["id"] for job in said(snapshot)["jobs"]] == [early, job_id]
    assert told(rest) == [(job_id, "metrics")] * (kept - 1) + [(job_id, "status")]
    assert read_to_end(client, of(early, job_id), rest[0].id) == rest[1:]
    (snapshot,) = read_to_end(client, of(early), first)  # of whose events none is kept
    assert said(snapshot)["jobs"][0]["status"] == "cancelled"
    assert client.get(of(early), headers={"Last-Event-ID": snapshot.id or ""}).status_code == 204
    with opened(client, "/v1/events", **{"Last-Event-ID": first}) as events:
        assert said(next(events)) == {"jobs": []}
        assert next(events) == rest[0]


def test_an_id_later_than_all_events_gives_a_snapshot_and_what_comes(
    client: httpx.Client, submit: Submit, claim: Claim, services: Services
) -> None:
    job_id = submit()["id"]
    with followed(client, of(job_id), **{"Last-Event-ID": FUTURE}) as follower:
        wait_until(lambda: [event.type for event in follower.received] == ["retry", "snapshot"])
        succeed(services, claim())
    assert told(follower.received) == [(job_id, "status")] * 2


@pytest.mark.parametrize("job_id", ["job-aaaaaaaaaaaaaaaaaaaa", "x", "", "*", "%00", "%20", "%ff", "x" * 4000])
def test_a_job_that_is_not_there_is_not_found(client: httpx.Client, submit: Submit, job_id: str) -> None:
    problem(client.get(of(submit()["id"], job_id)), 404)


def test_at_most_a_hundred_are_named(client: httpx.Client, submit: Submit) -> None:
    job_id = submit()["id"]
    assert pointers(problem(client.get(of(*[job_id] * 101)), 422)) == ["/job"]
    with opened(client, of(*[job_id] * 100)) as events:
        assert len(said(next(events))["jobs"]) == 1


def test_what_cannot_be_taken_is_named(client: httpx.Client, ended: list[str]) -> None:
    for path, pointer in ((of(ended[0]), "/Last-Event-ID"), ("/v1/events", "/Last-Event-ID")):
        for event_id in ("x", "1-2-3", "9" * 30, "9" * 101):
            assert pointers(problem(client.get(path, headers={"Last-Event-ID": event_id}), 422)) == [pointer]
    assert pointers(problem(client.get("/v1/events?jobs=x"), 422)) == ["/jobs"]
    assert pointers(problem(client.get("/v1/events?last_event_id=1&last_event_id=2"), 422)) == ["/last_event_id"]


def test_a_tenant_hears_nothing_of_anothers_jobs(guarded: httpx.Client, points: Dataset, services: Services) -> None:
    def submit(key: str) -> str:
        answer = guarded.post("/v1/jobs", json=SPEC, headers=bearer(key))
        job_id: str = answer.json()["id"]
        return job_id

    mine, theirs = submit("owner"), submit("stranger")
    problem(guarded.get(of(mine, theirs), headers=bearer("owner")), 404)
    problem(guarded.get(of(mine), headers=bearer("stranger")), 404)
    with opened(guarded, "/v1/events", **bearer("owner")) as events:
        assert [job["id"] for job in said(next(events))["jobs"]] == [mine]
        guarded.post(f"/v1/jobs/{theirs}/cancel", headers=bearer("stranger"))
        guarded.post(f"/v1/jobs/{mine}/cancel", headers=bearer("owner"))
        assert told([next(events)]) == [(mine, "status")]
    with opened(guarded, "/v1/events", **bearer("stranger"), **{"Last-Event-ID": "0-0"}) as events:
        assert told([next(events), next(events)]) == [(theirs, "status")] * 2


def test_the_answer_is_an_event_stream_that_must_not_be_kept(client: httpx.Client, points: Dataset) -> None:
    with client.stream("GET", "/v1/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-store"


def test_silence_is_filled_with_comments(client: httpx.Client, submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "COMMENT_S", 0.05)
    with opened(client, of(submit()["id"])) as events:
        assert [next(events).type for _ in range(4)] == ["snapshot", *["comment"] * 3]


def test_streams_of_all_kinds_share_one_subscription(client: httpx.Client, submit: Submit, services: Services) -> None:
    def subscriptions() -> int:
        return int(services.store.command("PUBSUB", "NUMSUB", "deltaq:hints")[1])

    one, two = submit()["id"], submit()["id"]
    with opened(client, "/v1/events") as everything, followed(client, of(one, two)) as both:
        with followed(client, events_of(one)) as alone:
            next(everything)
            wait_until(lambda: len(both.received) == 2 and len(alone.received) == 2)
            wait_until(lambda: subscriptions() == 1)
            assert services.listener.readers == 3
            client.post(f"/v1/jobs/{one}/cancel")
        client.post(f"/v1/jobs/{two}/cancel")
        assert told([next(everything) for _ in range(2)]) == [(one, "status"), (two, "status")]
    assert told(both.received) == [(one, "status"), (two, "status")]
    wait_until(lambda: services.listener.readers == 0)


def test_a_stream_of_many_outlives_redis(tmp_path: Path, runtime_dir: Path) -> None:
    sockets = runtime_dir / "outlived-by-many"
    sockets.mkdir()
    with RedisServer(tmp_path / "redis", sockets) as redis:
        app = create_app(Settings(redis_url=redis.url, data_dir=tmp_path / "data"))
        services: Services = app.state.services
        record(services, two_classes(tenant=None))
        with listening(app) as url, httpx.Client(base_url=url, timeout=30) as client:
            one, two = (client.post("/v1/jobs", json=SPEC).json()["id"] for _ in range(2))
            with followed(client, of(one, two)) as follower:
                wait_until(lambda: len(follower.received) == 2)
                redis.kill()
                redis.start()
                wait_until(lambda: client.post(f"/v1/jobs/{one}/cancel").status_code == 202)
                client.post(f"/v1/jobs/{two}/cancel")
            assert told(follower.received) == [(one, "status"), (two, "status")]
            assert len(set(follower.ids())) == len(follower.ids())


def test_archived_jobs_are_shown_beside_those_that_live(
    client: httpx.Client, ended: list[str], submit: Submit, services: Services
) -> None:
    assert sorted(services.history.archive(age_s=-1)) == sorted(ended)
    (snapshot,) = read_to_end(client, of(*ended))
    assert [job["id"] for job in said(snapshot)["jobs"]] == ended
    assert client.get(of(*ended), headers={"Last-Event-ID": str(snapshot.id)}).status_code == 204
    living = submit()["id"]
    with followed(client, of(ended[0], living)) as follower:
        wait_until(lambda: bool(follower.received[1:]))
        assert [job["id"] for job in said(follower.received[1])["jobs"]] == [living, ended[0]]
        client.post(f"/v1/jobs/{living}/cancel")
    assert told(follower.received[2:]) == [(living, "status")]
