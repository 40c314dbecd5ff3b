"""A sweep's results over HTTP: every call answers whatever became of its trials; what is asked wrongly is named."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pyarrow import parquet

from api.services import Services
from service.datasets import Dataset
from service.errors import Diverged
from service.sweeper_process import sweeper_of
from service.sweeps.figures import FIGURES
from tests.api.asking import SPEC, Claim, pointers, problem, strict, succeed
from tests.api.test_openapi import hold

RATE, HIDDEN = "optimizer.learning_rate", "network.hidden"
SEARCH: dict[str, Any] = {
    "base": SPEC,
    "space": {RATE: {"log_uniform": [1e-3, 1.0]}, HIDDEN: {"categorical": [[4], [8, 8]]}},
    "sampler": "random",
    "trials": 4,
    "parallel": 4,
}
RESULT = {"weights_sha256": "0" * 64, "fingerprint": {}, "seconds": 1.0, "workers_used": 1, "stopped_by": None}
Ended = Callable[..., str]


@pytest.fixture
def ended(client: httpx.Client, services: Services, points: Dataset, claim: Claim) -> Ended:
    """The path of a sweep whose trials have ended with these values, None being a failure."""

    def make(*values: float | None, **fields: Any) -> str:
        sweeper = sweeper_of(services.store, services.settings)
        answer = client.post("/v1/sweeps", json={**SEARCH, **fields, "trials": max(1, len(values))})
        assert answer.status_code == 202, answer.text
        if values:
            sweeper.tick()
        for value in values:
            claimed = claim()
            if value is None:
                services.queue.fail(claimed.lease, Diverged("the loss is not finite"))
            else:
                services.queue.record_epoch(claimed.lease, {"epoch": 1, "validation_loss": value, "train_loss": value})
                succeed(services, claimed, **RESULT, best_epoch=1, validation_loss=value)
        if values:
            sweeper.tick()
        return str(answer.headers["location"])

    return make


def get(client: httpx.Client, where: str, **params: Any) -> Any:
    answer = client.get(where, params=params)
    assert answer.status_code == 200, answer.text
    return strict(answer.content)


def test_the_best_spec_can_be_submitted_as_it_is(client: httpx.Client, ended: Ended) -> None:
    sweep = ended(0.5, None, 0.25, 0.75)
    best = get(client, sweep)["best"][0]
    spec = get(client, f"{sweep}/best")
    assert spec["optimizer"]["learning_rate"] == best["params"][RATE]
    assert spec["network"]["hidden"] == best["params"][HIDDEN]
    assert best["value"] == 0.25
    job = client.post("/v1/jobs", json=spec)
    assert job.status_code == 202
    tried = get(client, f"/v1/jobs/{best['job_id']}")["spec"]
    assert {**tried, "tags": {}} == {**job.json()["spec"], "tags": {}}


def test_of_equal_values_the_first_is_the_best(client: httpx.Client, ended: Ended) -> None:
    sweep = ended(*[0.5] * 12, parallel=12)
    assert get(client, sweep)["best"][0]["number"] == 0
    assert get(client, f"{sweep}/best", trial=0) == get(client, f"{sweep}/best")
    refused = problem(client.get(f"{sweep}/best", params={"trial": 3}), 422)
    assert (pointers(refused), refused["errors"][0]["allowed"]) == (["/trial"], [0])


def test_where_there_is_no_best_it_says_why(client: httpx.Client, ended: Ended) -> None:
    for values, said in (((), "none of the 0 trials"), ((None, None), "none of the 2 trials has succeeded")):
        assert said in problem(client.get(f"{ended(*values)}/best"), 404)["detail"]


@pytest.mark.parametrize("values", [(), (None, None), (0.5,), (0.5, 0.5, 0.5), (0.5, None, 0.25, 0.75)])
def test_every_result_answers_and_is_as_documented(
    client: httpx.Client, ended: Ended, values: tuple[float | None, ...]
) -> None:
    sweep, document = ended(*values), get(client, "/openapi.json")
    for path in ("importances", *(f"figures/{name}" for name in FIGURES)):
        described = "/v1/sweeps/{sweep_id}/" + ("figures/{figure}" if "/" in path else path)
        hold(document, document["paths"][described]["get"], client.get(f"{sweep}/{path}"))
    for name in FIGURES:
        drawn = get(client, f"{sweep}/figures/{name}", format="plotly")
        assert set(drawn) == {"data", "layout"}
        assert bool(drawn["data"]) != ("meta" in drawn["layout"])


def test_figures_are_of_the_paths_that_are_asked_for(client: httpx.Client, ended: Ended) -> None:
    sweep = ended(0.5, 0.25)
    assert [each["path"] for each in get(client, f"{sweep}/figures/slices", path=RATE)["slices"]] == [RATE]
    contour = get(client, f"{sweep}/figures/contour", path=[HIDDEN, RATE])
    assert (contour["x"]["path"], contour["y"]["path"], len(contour["points"])) == (HIDDEN, RATE, 2)


def test_all_trials_are_exported(client: httpx.Client, ended: Ended) -> None:
    sweep = ended(0.5, None, 0.25, 0.75)
    answers = {form: client.get(f"{sweep}/export", params={"format": form}) for form in ("csv", "parquet", "journal")}
    for form, answer in answers.items():
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].endswith(f'.{form}"')
    rows = parquet.read_table(io.BytesIO(answers["parquet"].content)).to_pylist()
    assert [row["values.validation_loss"] for row in rows] == [0.5, None, 0.25, 0.75]
    assert [row["status"] for row in rows].count("failed") == 1
    assert client.get(f"{sweep}/export").content == answers["csv"].content
    assert answers["csv"].text.count("\n") == 5
    assert answers["csv"].headers["content-type"].startswith("text/csv")


@pytest.mark.parametrize(
    ("path", "params", "pointer"),
    [
        ("figures/scatter", {}, "/figure"),
        ("figures/history", {"format": "svg"}, "/format"),
        ("figures/slices", {"path": "network.width"}, "/path"),
        ("figures/contour", {"path": RATE}, "/path"),
        ("figures/history", {"format": "plotly", "metric": "auc"}, "/metric"),
        ("export", {"format": "xlsx"}, "/format"),
        ("best", {"trial": -1}, "/trial"),
        ("best", {"rank": 1}, "/rank"),
    ],
)
def test_what_is_asked_wrongly_is_named(
    client: httpx.Client, ended: Ended, path: str, params: dict[str, Any], pointer: str
) -> None:
    refused = problem(client.get(f"{ended(0.5)}/{path}", params=params), 422)
    assert pointers(refused) == [pointer]
    assert refused["errors"][0]["allowed"]


def test_a_sweep_that_is_not_there_has_no_results(client: httpx.Client) -> None:
    for path in ("best", "importances", "figures/history", "export"):
        problem(client.get(f"/v1/sweeps/sweep-aaaaaaaaaaaaaaaaaaaa/{path}"), 404)


@pytest.mark.parametrize(("keep", "kept"), [(2, [3, 10]), (0, []), (20, [n for n in range(12) if n != 5])])
def test_the_models_of_the_best_are_kept(
    client: httpx.Client, services: Services, ended: Ended, keep: int, kept: list[int]
) -> None:
    values = [0.5, 0.6, 0.7, 0.1, 0.8, None, 0.9, 0.55, 0.65, 0.75, 0.2, 0.85]
    sweep = ended(*values, parallel=12, keep_models=keep)
    trials = get(client, f"{sweep}/trials")["items"]
    there = {model["job_id"] for model in get(client, "/v1/models")["items"]}
    assert [trial["number"] for trial in trials if trial["job_id"] in there] == kept
    for trial in trials:
        job = get(client, f"/v1/jobs/{trial['job_id']}")
        named = (job["result"] or {}).get("model_id")
        assert (named is not None, job["links"]["model"] is not None) == (trial["number"] in kept,) * 2
        assert bool(job["result"]) is (trial["values"] is not None)
    listed = {job["id"]: job["result"] for job in get(client, "/v1/jobs?limit=500")["items"]}
    assert {job_id for job_id, result in listed.items() if result and result["model_id"]} == there
    again = services.sweeps.get("default", sweep.rpartition("/")[2])
    assert sorted(services.sweeps.models(again.id)) == kept


def test_a_model_that_has_an_alias_is_not_dropped(
    client: httpx.Client, services: Services, ended: Ended, claim: Claim
) -> None:
    sweep = ended(0.5, keep_models=1)
    (first,) = get(client, "/v1/models")["items"]
    assert client.put("/v1/models/aliases/mine", json={"model": first["id"]}).status_code == 201
    assert client.patch(sweep, json={"trials": 2}).status_code == 202
    sweeper = sweeper_of(services.store, services.settings)
    sweeper.tick()
    succeed(services, claim(), **RESULT, best_epoch=1, validation_loss=0.25)
    sweeper.tick()
    assert get(client, sweep)["best"][0]["number"] == 1
    assert len(get(client, "/v1/models")["items"]) == 2
