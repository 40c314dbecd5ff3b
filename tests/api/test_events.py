"""Event streams: nothing missing, nothing twice, an end, and nothing left behind by a client that has gone."""

from __future__ import annotations

import gc
import socket
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from api import following
from api.app import create_app
from api.services import Services
from service.redis_server import RedisServer
from service.settings import Settings
from tests.api.asking import (
    SPEC,
    Claim,
    Submit,
    listening,
    pointers,
    problem,
    record,
    strict,
    succeed,
    two_classes,
    wait_until,
)
from tests.api.streams import events_of, followed, read_to_end


def test_a_whole_life_comes_in_order_and_the_stream_ends(
    client: httpx.Client, submit: Submit, claim: Claim, services: Services
) -> None:
    job = submit()
    with followed(client, events_of(job["id"])) as follower:
        wait_until(lambda: follower.statuses() == ["queued"])
        claimed = claim()
        wait_until(lambda: follower.statuses()[-1] == "running", 2)
        services.queue.beat(claimed.lease, {"epoch": 0, "step": 1, "fraction": 0.1})
        services.queue.record_epoch(claimed.lease, {"epoch": 1, "train_loss": 0.5})
        services.queue.log(claimed.lease, "warning", "a line with ü")
        succeed(services, claimed)
    assert follower.ended.is_set()
    first, *events = follower.received
    assert first.retry == "2000"
    assert [event.type for event in events] == ["status", "status", "progress", "metrics", "log", "status"]
    assert follower.statuses() == ["queued", "running", "succeeded"]
    assert strict(events[3].data.encode())["train_loss"] == 0.5
    assert strict(events[4].data.encode())["message"] == "a line with ü"


def test_the_answer_says_that_it_must_not_be_kept(client: httpx.Client, submit: Submit) -> None:
    with client.stream("GET", events_of(submit()["id"])) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in stream.headers


@pytest.fixture
def ended(client: httpx.Client, submit: Submit, claim: Claim, services: Services) -> str:
    """A job that has ended, with a few events."""
    job_id: str = submit()["id"]
    claimed = claim()
    for epoch in (1, 2, 3):
        services.queue.record_epoch(claimed.lease, {"epoch": epoch})
    succeed(services, claimed)
    return job_id


def test_every_last_event_id_resumes_without_a_gap(client: httpx.Client, ended: str) -> None:
    events = read_to_end(client, events_of(ended))
    assert len(events) == 6
    for place, event in enumerate(events[:-1]):
        assert read_to_end(client, events_of(ended), event.id) == events[place + 1 :]


def test_the_last_event_of_an_ended_job_leaves_nothing(client: httpx.Client, ended: str) -> None:
    last = read_to_end(client, events_of(ended))[-1].id
    assert last is not None
    path = events_of(ended)
    assert client.get(path, headers={"Last-Event-ID": last}).status_code == 204
    assert client.get(path, params={"last_event_id": last}).status_code == 204
    assert client.get(path, headers={"Last-Event-ID": last}, params={"last_event_id": "0-1"}).status_code == 204


def test_the_last_event_of_a_living_job_waits_for_more(
    client: httpx.Client, submit: Submit, claim: Claim, services: Services
) -> None:
    job_id = submit()["id"]
    last = services.follower.events.read(job_id).last_id
    with followed(client, events_of(job_id), **{"Last-Event-ID": last}) as follower:
        wait_until(lambda: follower.received)
        succeed(services, claim())
    assert follower.statuses() == ["running", "succeeded"]


FUTURE = "99999999999999-0"


def test_an_id_later_than_all_events_of_an_ended_job_gives_a_snapshot_and_the_end(
    client: httpx.Client, ended: str
) -> None:
    (snapshot,) = read_to_end(client, events_of(ended), FUTURE)
    assert snapshot.type == "snapshot"
    assert strict(snapshot.data.encode()) == client.get(f"/v1/jobs/{ended}").json()
    again = client.get(events_of(ended), headers={"Last-Event-ID": snapshot.id or ""})
    assert again.status_code == 204  # else a browser would come back for ever


def test_an_id_later_than_all_events_of_a_living_job_gives_a_snapshot_and_what_comes(
    client: httpx.Client, submit: Submit, claim: Claim, services: Services
) -> None:
    job_id = submit()["id"]
    with followed(client, events_of(job_id), **{"Last-Event-ID": FUTURE}) as follower:
        wait_until(lambda: [event.type for event in follower.received] == ["retry", "snapshot"])
        succeed(services, claim())
    assert follower.statuses() == ["running", "succeeded"]


@pytest.mark.parametrize("event_id", ["x", "1-2-3", "-1", "1-", "1e3-0", "9" * 30, "0x1-0", "9" * 101])
def test_what_is_no_event_id_is_named(client: httpx.Client, ended: str, event_id: str) -> None:
    path = events_of(ended)
    assert pointers(problem(client.get(path, headers={"Last-Event-ID": event_id}), 422)) == ["/Last-Event-ID"]
    problem(client.get(path, params={"last_event_id": event_id}), 422)


def test_older_than_what_is_kept_begins_with_a_snapshot(
    client: httpx.Client, submit: Submit, claim: Claim, services: Services
) -> None:
    job_id = submit()["id"]
    claimed = claim()
    services.queue.record_epochs(claimed.lease, [{"epoch": epoch} for epoch in range(1, 501)])
    early = services.follower.events.read(job_id).events
    services.queue.record_epochs(claimed.lease, [{"epoch": epoch} for epoch in range(501, 3001)])
    succeed(services, claimed)
    for last in (None, "1", "1-0", early[0].id, early[-1].id):
        snapshot, *rest = read_to_end(client, events_of(job_id), last)
        assert snapshot.type == "snapshot"
        assert snapshot.id == (last or "0-0")  # who breaks off here asks from the same place again
        assert strict(snapshot.data.encode()) == client.get(f"/v1/jobs/{job_id}").json()
        assert [event.type for event in rest] == ["metrics"] * 1999 + ["status"]
    assert read_to_end(client, events_of(job_id), rest[0].id) == rest[1:]


def test_a_failed_job_that_is_retried_is_followed_to_its_second_end(
    client: httpx.Client, submit: Submit, claim: Claim, services: Services
) -> None:
    job_id = submit()["id"]
    client.post(f"/v1/jobs/{job_id}/cancel")
    client.post(f"/v1/jobs/{job_id}/retry")
    with followed(client, events_of(job_id)) as follower:
        wait_until(lambda: follower.statuses() == ["queued", "cancelled", "queued"])
        succeed(services, claim())
    assert follower.statuses()[-2:] == ["running", "succeeded"]


def test_silence_is_filled_with_comments(client: httpx.Client, submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "COMMENT_S", 0.05)
    job_id = submit()["id"]
    with followed(client, events_of(job_id)) as follower:
        wait_until(lambda: [event.type for event in follower.received].count("comment") >= 3)
        client.post(f"/v1/jobs/{job_id}/cancel")
    assert follower.statuses() == ["queued", "cancelled"]


def test_many_streams_share_one_subscription(client: httpx.Client, submit: Submit, services: Services) -> None:
    def subscriptions() -> int:
        return int(services.store.command("PUBSUB", "NUMSUB", "deltaq:hints")[1])

    job_id = submit()["id"]
    wait_until(lambda: subscriptions() == 0)  # all jobs of the service make hints: nobody follows, nobody listens
    with (
        followed(client, events_of(job_id)) as one,
        followed(client, events_of(job_id)) as two,
        followed(client, events_of(job_id)) as three,
    ):
        wait_until(lambda: all(follower.statuses() for follower in (one, two, three)))
        wait_until(lambda: subscriptions() == 1)
        client.post(f"/v1/jobs/{job_id}/cancel")
    assert one.ids() == two.ids() == three.ids()
    wait_until(lambda: services.listener.readers == subscriptions() == 0)


@pytest.mark.parametrize("path", ["/v1/jobs/{}/events", "/v1/events?job={}", "/v1/events"])
def test_a_client_that_goes_away_leaves_nothing_behind(
    client: httpx.Client, submit: Submit, services: Services, shared_server: str, path: str
) -> None:
    job_id = submit()["id"]  # stays queued: nothing is ever sent that would find the client gone

    def clients() -> int:
        return int(services.store.command("INFO", "clients")["connected_clients"])

    def leave(count: int) -> None:
        address = urlsplit(shared_server)
        asked = f"GET {path.format(job_id)} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode()
        with ExitStack() as sockets:
            for _ in range(count):
                one = sockets.enter_context(socket.create_connection((address.hostname or "", address.port or 0)))
                one.sendall(asked)
                assert one.recv(20).startswith(b"HTTP/1.1 200")
            wait_until(lambda: services.listener.readers == count)
        wait_until(lambda: services.listener.readers == 0)

    leave(50)  # threads, connections and buffers that stay for good
    gc.collect()
    process = psutil.Process()
    descriptors, connections, memory = process.num_fds(), clients(), process.memory_info().rss
    for _ in range(6):
        leave(50)
    gc.collect()
    wait_until(lambda: process.num_fds() <= descriptors)
    assert clients() < connections + 6  # one more may be asked for at once, but none is left by each crowd
    assert process.memory_info().rss - memory < 20 << 20


def test_a_stream_outlives_redis(tmp_path: Path, runtime_dir: Path) -> None:
    sockets = runtime_dir / "outlived"
    sockets.mkdir()
    with RedisServer(tmp_path / "redis", sockets) as redis:
        app = create_app(Settings(redis_url=redis.url, data_dir=tmp_path / "data"))
        services: Services = app.state.services
        record(services, two_classes(tenant=None))
        with listening(app) as url, httpx.Client(base_url=url, timeout=30) as client:
            job_id = client.post("/v1/jobs", json=SPEC).json()["id"]
            with followed(client, events_of(job_id)) as follower:
                wait_until(lambda: follower.statuses() == ["queued"])
                redis.kill()
                redis.start()
                wait_until(lambda: client.post(f"/v1/jobs/{job_id}/pause").status_code == 202)
                client.post(f"/v1/jobs/{job_id}/cancel")
            assert follower.statuses() == ["queued", "paused", "cancelled"]
            assert len(set(follower.ids())) == len(follower.ids())


def test_without_redis_calls_are_unavailable_and_the_process_lives(tmp_path: Path) -> None:
    app = create_app(Settings(redis_url=f"unix://{tmp_path}/nothing.sock", data_dir=tmp_path))
    with listening(app) as url, httpx.Client(base_url=url, timeout=30) as client:
        for path in ("/v1/jobs", "/v1/jobs/job-aaaaaaaaaaaaaaaaaaaa/events", "/metrics", "/v1/cluster"):
            answer = client.get(path)
            problem(answer, 503)
            assert int(answer.headers["retry-after"]) >= 1
        parts = problem(client.get("/readyz"), 503)["parts"]
        assert not parts["redis"]["ready"]
        assert client.get("/healthz").status_code == 200


def test_an_archived_job_is_shown_as_it_was_and_its_stream_is_a_snapshot(
    client: httpx.Client, ended: str, services: Services
) -> None:
    here = f"/v1/jobs/{ended}"
    shown = [client.get(here + part).json() for part in ("", "/metrics", "/logs")]
    last = read_to_end(client, events_of(ended))[-1].id
    assert services.history.archive(age_s=-1) == [ended]
    assert [client.get(here + part).json() for part in ("", "/metrics", "/logs")] == shown
    for place in (None, "0-0"):
        (snapshot,) = read_to_end(client, events_of(ended), place)
        assert (snapshot.type, snapshot.id, strict(snapshot.data.encode())) == ("snapshot", last, shown[0])
    assert client.get(events_of(ended), headers={"Last-Event-ID": str(last)}).status_code == 204
    assert client.get("/v1/jobs").json()["items"] == []
