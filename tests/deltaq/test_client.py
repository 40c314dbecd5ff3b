"""The client against the real API on a real Redis; the hand plays the scheduler."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deltaq import Client, JobStatus, upload
from deltaq.errors import Conflict, InvalidInput, InvalidRequest, NoModel, NotFound, TooLarge, Unreachable, WaitTimeout
from deltaq.strict_json import encode
from service.errors import Diverged
from tests.deltaq.conftest import POINTS, SPEC, Hand


def test_a_job_from_submission_to_its_result(client: Client, points: str, hand: Hand) -> None:
    job = client.submit({**SPEC, "name": "first", "seed": 0})
    assert repr(job) == f"Job({job.id!r}, queued)"
    assert job.spec["epochs"] == 3
    assert job.spec["seed"] == 0
    lease = hand.claim()
    for number in (1, 2, 3):
        hand.epoch(lease, number, validation_loss=0.0)
    hand.succeed(lease, weights="ab" * 32)

    assert job.wait(timeout=20) is job
    assert job.status is JobStatus.SUCCEEDED
    assert job.result["weights_sha256"] == "ab" * 32
    assert job.progress.fraction == 1.0
    rows = job.metrics()
    assert [row.epoch for row in rows] == [1, 2, 3]
    assert rows[0].validation_loss == 0.0
    assert rows[0].validation_accuracy is None
    assert job.model().record.job_id == job.id


def test_watch_yields_what_happens_and_ends_with_the_job(client: Client, points: str, hand: Hand) -> None:
    job = client.submit(SPEC)
    names: list[tuple[str, Any]] = []

    def run() -> None:
        lease = hand.claim()
        hand.epoch(lease, 1)
        hand.queue.log(lease, "info", "half-way \u2028 there")
        hand.fail(lease, Diverged("the loss is not finite", hint="try a smaller learning rate"))

    runner = threading.Thread(target=run)
    runner.start()
    for event in job.watch(timeout=20):
        names.append((event.name, event.data.get("status") or event.data.get("message")))
    runner.join()
    assert names[0] == ("status", "queued")
    assert ("status", "running") in names
    assert ("log", "half-way \u2028 there") in names
    assert names[-1] == ("status", "failed")
    assert job.error is not None
    assert job.error.hint == "try a smaller learning rate"
    with pytest.raises(NoModel, match="try a smaller learning rate"):
        job.model()


def test_a_retried_job_is_watched_past_its_first_end(client: Client, points: str, hand: Hand) -> None:
    job = client.submit(SPEC)
    hand.fail(hand.claim(), Diverged("the loss is not finite"))
    assert job.wait(20).status is JobStatus.FAILED
    job.retry("start")
    hand.succeed(hand.claim())
    seen = [event.data["status"] for event in job.watch(timeout=20) if event.name == "status"]
    assert seen.index("failed") < seen.index("succeeded")
    assert job.status is JobStatus.SUCCEEDED


def test_several_jobs_are_watched_at_once_to_the_end_of_the_last(client: Client, points: str, hand: Hand) -> None:
    first, second, other = (
        client.submit({**SPEC, "priority": 2}),
        client.submit({**SPEC, "priority": 1}),
        client.submit(SPEC),
    )
    watched = client.watch([first, second.id], timeout=20)
    snapshot = next(watched)
    assert (snapshot.name, snapshot.job) == ("snapshot", None)
    assert [job["id"] for job in snapshot.data["jobs"]] == [first.id, second.id]
    leases = [hand.claim() for _ in range(3)]
    for lease in leases[::-1]:
        hand.epoch(lease, 1)
        hand.succeed(lease)
    events = list(watched)
    assert [event.job for event in events if event.name == "metrics"] == [second.id, first.id]
    said = [(event.job, event.data["status"]) for event in events if event.name == "status"]
    assert said == [
        (first.id, "running"),
        (second.id, "running"),
        (second.id, "succeeded"),
        (first.id, "succeeded"),
    ]
    assert other.id not in {event.job for event in events}
    assert list(client.watch([])) == []


def test_all_jobs_are_watched_until_the_time_given(client: Client, points: str, hand: Hand) -> None:
    watched = client.watch(timeout=2)
    assert next(watched).data == {"jobs": []}
    job = client.submit(SPEC)
    event = next(watched)
    assert (event.name, event.job, event.data["status"]) == ("status", job.id, "queued")
    with pytest.raises(WaitTimeout):
        next(watched)


def test_a_job_that_is_not_there_cannot_be_watched(client: Client) -> None:
    with pytest.raises(NotFound):
        next(client.watch(["job-aaaaaaaaaaaaaaaaaaaa"]))


def test_the_verbs_bring_the_job_as_it_is_then(client: Client, points: str) -> None:
    job = client.submit(SPEC)
    assert job.pause().status is JobStatus.PAUSED
    assert job.pause().status is JobStatus.PAUSED
    assert job.resume().status is JobStatus.QUEUED
    assert job.cancel().status is JobStatus.CANCELLED
    assert job.wait(1).status is JobStatus.CANCELLED
    with pytest.raises(Conflict, match="cancelled"):
        job.resume()
    assert job.retry().status is JobStatus.QUEUED


def test_waiting_ends_with_the_time_given_and_not_the_job(client: Client, points: str) -> None:
    job = client.submit(SPEC)
    with pytest.raises(WaitTimeout):
        job.wait(timeout=0.3)
    assert job.refresh().status is JobStatus.QUEUED


def test_a_refusal_names_the_field_the_value_and_what_is_allowed(client: Client, points: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        client.submit({**SPEC, "epochs": 0})
    assert refused.value.status == 422
    (error,) = refused.value.errors
    assert (error.pointer, error.value) == ("/epochs", 0)
    assert "/epochs" in str(refused.value)
    with pytest.raises(NotFound):
        client.job("job-" + "a" * 20)


def test_the_same_key_is_the_same_job(client: Client, points: str) -> None:
    first = client.submit(SPEC, idempotency_key="mine")
    assert client.submit(SPEC, idempotency_key="mine").id == first.id
    assert client.submit(SPEC).id != first.id
    with pytest.raises(Conflict):
        client.submit({**SPEC, "epochs": 9}, idempotency_key="mine")


@pytest.mark.parametrize("key", ["", "schlüssel", "two\nlines", "x" * 256])
def test_what_is_no_key_is_refused_before_it_is_sent(key: str) -> None:
    with Client("http://127.0.0.1:9") as client:
        for act in (client.submit, client.sweep):
            with pytest.raises(InvalidInput, match="1 to 255 printable ASCII"):
                act(SPEC, idempotency_key=key)


@pytest.mark.parametrize("name", ["", "..", "../cluster", "a/b"])
def test_what_is_no_id_is_refused_before_it_is_sent(name: str) -> None:
    with Client("http://127.0.0.1:9") as client:
        asked: list[Callable[[str], object]] = [client.job, client.get_sweep, client.model, client.datasets.get]
        asked += [client.datasets.delete, client.aliases.delete, partial(client.aliases.set, model="m")]
        for act in asked:
            with pytest.raises(InvalidInput, match=f"'{name}' is no id and no name: expected are"):
                act(name)


def test_jobs_data_sets_and_models_are_named_by_themselves(client: Client, points: str, hand: Hand) -> None:
    dataset = client.datasets.get(points)
    first = client.submit({**SPEC, "dataset": dataset})
    assert first.spec["dataset"] == dataset.id
    assert client.submit({**SPEC, "after": [first]}).spec["after"] == [first.id]
    hand.succeed(hand.claim())
    model = first.wait(20).model()
    asked = {"base": {**SPEC, "after": [first]}, "space": {"seed": {"grid": [3]}}, "sampler": "grid"}
    assert client.sweep(asked).spec["base"]["after"] == [first.id]
    assert encode({"model": model}) == encode({"model": model.id})


def test_a_dry_run_resolves_and_queues_nothing(client: Client, points: str) -> None:
    assert client.dry_run(SPEC)["parameters"] == (2 + 1) * 4 + (4 + 1) * 1
    assert list(client.jobs()) == []


def test_lists_go_through_all_pages(client: Client, points: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [client.submit({**SPEC, "tags": {"n": str(number)}}).id for number in range(7)]
    monkeypatch.setattr("deltaq.listing.PAGE", 3)
    assert [job.id for job in client.jobs()] == made[::-1]
    assert [job.id for job in client.jobs(limit=4)] == made[:2:-1]
    assert [job.id for job in client.jobs(tag="n=0")] == made[:1]
    assert list(client.jobs(status="paused")) == []


def test_a_path_a_pair_and_a_frame_make_data_sets(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "points.CSV"
    path.write_text(POINTS)
    assert client.datasets.add(path, target="label").name == "points"
    first = client.datasets.add(path, "a file", "label")
    assert client.datasets.add(str(path), "a file", "label").id == first.id
    assert (first.rows, first.target, first.classes) == (40, "label", ("no", "yes"))
    assert [column.name for column in first.columns] == ["x", "y", "label"]

    features = np.arange(80, dtype=np.float32).reshape(40, 2)
    pair = client.datasets.add((features, [i % 2 for i in range(40)]), "a pair")
    assert (pair.rows, len(pair.columns), pair.task) == (40, 3, "binary")

    frame = client.datasets.add(Frame({"x": list(range(40)), "label": ["a", "b"] * 20}), "a frame", "label")
    assert frame.classes == ("a", "b")
    assert {dataset.name for dataset in client.datasets} >= {"a file", "a pair", "a frame"}
    client.datasets.delete(frame.id)
    with pytest.raises(NotFound):
        client.datasets.get(frame.id)


def test_columns_are_taken_as_the_caller_says(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text(POINTS)
    dataset = client.datasets.add(path, "points", "label", columns={"x": "categorical", "y": "ignore"})
    assert {column.name: column.type for column in dataset.columns} == {
        "x": "categorical",
        "y": "ignore",
        "label": "categorical",
    }


def test_what_is_too_large_is_refused_before_it_is_sent(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.truncate((1 << 30) + 1)  # a hole: nothing is written
    sent = 0

    def pieces(*given: Any) -> Iterable[bytes]:
        nonlocal sent
        for piece in read(*given):
            sent += len(piece)
            yield piece

    read = upload._chunks
    monkeypatch.setattr(upload, "_chunks", pieces)
    with pytest.raises(TooLarge):
        client.datasets.add(path, "large", "y")
    assert 0 < sent < 1 << 28, "as much as the sockets took before the answer came"


class Frame:
    """What a pandas DataFrame does, as far as the client asks, on a table of pyarrow's."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self.columns = list(columns)
        self._values = columns

    def rename(self, *, columns: type[str]) -> Frame:
        return Frame({columns(name): values for name, values in self._values.items()})

    def to_parquet(self, file: io.BytesIO, *, index: bool) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        assert index is False
        parquet.write_table(pa.table(self._values), file)


class Features(Frame):
    """A frame that takes one column more, as pandas' do."""

    def assign(self, **columns: Any) -> Frame:
        return Frame({**self._values, **columns})


def test_a_frame_and_its_target_keep_the_names_of_the_columns(client: Client) -> None:
    features = Features({"x": list(range(40)), "z": [0.5] * 40})
    dataset = client.datasets.add((features, ["a", "b"] * 20), "named", "label")
    assert [column.name for column in dataset.columns] == ["x", "z", "label"]
    with pytest.raises(InvalidInput, match="X has a column 'x' of its own"):
        client.datasets.add((features, [0, 1] * 20), "named", "x")
    with pytest.raises(InvalidInput, match="cannot be written as Parquet"):
        client.datasets.add(Frame({"x": [1, "a"]}), "mixed", "x")


@pytest.mark.parametrize(
    ("source", "message"),
    [("nowhere.csv", "no such file"), ("notes.txt", r"\.csv, \.parquet"), (3, "not a int"), ([1, 2], "not a list")],
)
def test_what_is_no_data_set_is_said_before_it_is_sent(source: Any, message: str) -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(InvalidInput, match=message):
        client.datasets.add(source, "name", "target")


def test_what_is_no_file_needs_a_name() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(InvalidInput, match=r"a tuple has no name.*name="):
        client.datasets.add(([[1], [2]], [0, 1]))


def test_a_service_that_is_not_there_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELTAQ_DATA_DIR", str(tmp_path))  # where no service has left its address
    with Client("http://127.0.0.1:9", first_for_s=0) as client, pytest.raises(Unreachable) as refused:
        list(client.jobs())
    assert "127.0.0.1:9" in str(refused.value)
    assert "deltaq up" in str(refused.value)
