"""API keys: no way in is left open, no tenant sees another, and what changes in the file counts at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from api.app import create_app
from api.auth import KeyRing, key_ring
from api.services import Services
from service.datasets import Dataset
from service.errors import Misconfigured, Unauthorized
from service.settings import Settings
from tests.api.asking import SPEC, Claim, bearer, problem, record, succeed, two_classes, write_keys

OPEN = {"/healthz", "/readyz"}
BESIDE = ["/openapi.json", "/docs", "/redoc", "/static/app.js", "/favicon.ico", "/v1/jobs/", "/nothing", "//v1/jobs"]


@pytest.fixture
def theirs(services: Services, guarded: httpx.Client, claim: Claim) -> dict[str, str]:
    """Ids of things that the tenant `default` has, by path parameter."""
    dataset = record(services, two_classes())
    answer = guarded.post("/v1/jobs", json=SPEC, headers=bearer("owner"))
    assert answer.status_code == 202
    model_id = succeed(services, claim())
    services.aliases.set("default", "production", model_id)
    found = {"job_id": answer.json()["id"], "dataset": dataset.id, "model_id": model_id, "name": "production"}
    answer = guarded.post("/v1/sweeps", json=SWEEP, headers=bearer("owner"))
    assert answer.status_code == 202
    return {**found, "sweep_id": answer.json()["id"], "figure": "history"}


def calls(client: httpx.Client) -> Iterator[tuple[str, str]]:
    """Every method and path there is: those documented, and those that are not."""
    document = client.get("/openapi.json", headers=bearer("owner")).json()
    for path, methods in document["paths"].items():
        yield from ((method.upper(), path) for method in methods)
    yield from (("GET", path) for path in BESIDE)


SWEEP: dict[str, Any] = {"base": SPEC, "space": {"seed": {"int": [1, 9]}}, "trials": 3}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/sweeps": SWEEP,
    "{sweep_id}": {"trials": 5},
    "/aliases/{name}": {"model": "production"},
    "/predict": {"rows": [[0, 0]]},
    "/explain-step": {"row": [0, 0], "target": "small"},
    "/evaluate": {"dataset": "points"},
}


def ask(client: httpx.Client, method: str, path: str, ids: dict[str, str], key: str | None) -> httpx.Response:
    headers = {} if key is None else bearer(key)
    where = re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], path)
    body = next((given for end, given in BODIES.items() if path.endswith(end)), SPEC)
    if method == "POST" and path == "/v1/datasets":
        headers |= {"Content-Type": "text/csv"}
        return client.post(where, params={"name": "n", "target": "a"}, content=b"a\n1\n2\n", headers=headers)
    return client.request(method, where, headers=headers, json=body if method in ("POST", "PUT", "PATCH") else None)


@pytest.mark.parametrize("key", [None, "wrong"])
def test_nothing_but_health_is_open(guarded: httpx.Client, theirs: dict[str, str], key: str | None) -> None:
    found = list(calls(guarded))
    assert len(found) > 25
    for method, path in found:
        if path in OPEN:
            assert ask(guarded, method, path, theirs, key).status_code in (200, 503)
            continue
        answer = ask(guarded, method, path, theirs, key)
        problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_read_only_key_changes_nothing(guarded: httpx.Client, theirs: dict[str, str]) -> None:
    for method, path in calls(guarded):
        if path in OPEN:
            continue
        if method != "GET":
            problem(ask(guarded, method, path, theirs, "reader"), 403)
        elif path not in BESIDE and not path.endswith(("/events", "/download", "/preview", "/card", "/best")):
            assert ask(guarded, method, path, theirs, "reader").status_code == 200, path
    assert guarded.get(f"/v1/models/{theirs['model_id']}", headers=bearer("owner")).status_code == 200


def test_another_tenants_things_are_not_there(guarded: httpx.Client, theirs: dict[str, str]) -> None:
    asked = [(method, path) for method, path in calls(guarded) if "{" in path]
    assert len(asked) >= 15
    for method, path in asked:
        problem(ask(guarded, method, path, theirs, "stranger"), 422 if method == "PUT" else 404)  # a PUT would make it
    for path in ("/v1/jobs", "/v1/models", "/v1/models/aliases", "/v1/datasets", "/v1/sweeps"):
        assert guarded.get(path, headers=bearer("stranger")).json()["items"] == []
    by_name = guarded.get("/v1/datasets/points", headers=bearer("stranger"))
    problem(by_name, 404)
    job = {**SPEC, "dataset": theirs["dataset"]}
    problem(guarded.post("/v1/jobs", json=job, headers=bearer("stranger")), 422)
    for path in (f"/v1/jobs/{theirs['job_id']}", f"/v1/models/{theirs['model_id']}"):
        assert guarded.get(path, headers=bearer("owner")).status_code == 200


def test_an_idempotency_key_is_its_tenants_own(guarded: httpx.Client, points: Dataset) -> None:
    def submit(key: str, seed: int) -> httpx.Response:
        headers = {**bearer(key), "Idempotency-Key": "k"}
        return guarded.post("/v1/jobs", json={**SPEC, "seed": seed}, headers=headers)

    ours, other = submit("owner", 1), submit("stranger", 2)
    assert (ours.status_code, other.status_code) == (202, 202)
    assert ours.json()["id"] != other.json()["id"]
    problem(guarded.get(f"/v1/jobs/{ours.json()['id']}", headers=bearer("stranger")), 404)


def test_the_cluster_shows_no_tenant_anothers_jobs(
    guarded: httpx.Client, services: Services, points: Dataset, claim: Claim
) -> None:
    job = guarded.post("/v1/jobs", json=SPEC, headers=bearer("owner")).json()["id"]
    claim()
    epoch = services.queue.lead("test", 3.0)
    assert epoch is not None
    services.queue.publish_cluster(epoch, {"nodes": [], "workers": [{"name": "w", "state": "busy", "job": job}]})
    seen = {
        key: guarded.get("/v1/cluster", headers=bearer(key)).json()["workers"][0]["job"]
        for key in ("owner", "stranger")
    }
    assert seen == {"owner": job, "stranger": None}


@pytest.mark.parametrize(
    "header", [b"owner", b"Basic owner", b"Bearer", b"Bearer owner owner", b"Token owner", b"Bearer owner\xe9"]
)
def test_a_key_is_sent_as_bearer(guarded: httpx.Client, header: bytes) -> None:
    problem(guarded.get("/v1/jobs", headers={b"Authorization": header}), 401)


def test_the_scheme_may_be_written_small(guarded: httpx.Client) -> None:
    assert guarded.get("/v1/jobs", headers={"Authorization": "bearer owner"}).status_code == 200


class TestKeyFile:
    def test_a_change_counts_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        write_keys(path, {"one": ("default", ["read"])})
        ring = KeyRing(path)
        assert ring.principal("Bearer one").tenant == "default"
        write_keys(path, {"another": ("lab", ["read", "write"])})
        assert ring.principal("Bearer another").tenant == "lab"
        with pytest.raises(Unauthorized):
            ring.principal("Bearer one")

    def test_while_it_cannot_be_read_the_keys_before_it_stay(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        write_keys(path, {"one": ("default", ["read"])})
        ring = KeyRing(path)
        path.write_text("[{")
        assert ring.principal("Bearer one").tenant == "default"
        path.unlink()
        assert ring.principal("Bearer one").tenant == "default"
        write_keys(path, {})
        with pytest.raises(Unauthorized):
            ring.principal("Bearer one")

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{}",
            '[{"name": "a"}]',
            json.dumps([{"name": "a", "scopes": ["read"], "sha256": "secret"}]),
            json.dumps([{"name": "a", "scopes": ["admin"], "sha256": "0" * 64}]),
            json.dumps([{"name": "a", "scopes": [], "sha256": "0" * 64}]),
            json.dumps([{"name": "a", "tenant": "a:b", "scopes": ["read"], "sha256": "0" * 64}]),
            json.dumps([{"name": "a", "scope": ["read"], "scopes": ["read"], "sha256": "0" * 64}]),
            json.dumps([{"name": name, "scopes": ["read"], "sha256": "0" * 64} for name in "ab"]),
        ],
    )
    def test_one_that_is_wrong_keeps_the_process_from_starting(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "keys.json"
        path.write_text(text)
        with pytest.raises(Misconfigured, match=str(path)) as refused:
            KeyRing(path)
        assert "secret" not in refused.value.detail

    def test_one_that_is_not_there_keeps_the_process_from_starting(self, tmp_path: Path) -> None:
        with pytest.raises(Misconfigured, match="cannot be read"):
            KeyRing(tmp_path / "nothing.json")

    def test_one_that_others_can_read_is_warned_of(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        write_keys(path, {})
        with capture_logs() as lines:
            KeyRing(path)
        assert lines == []
        path.chmod(0o644)
        with capture_logs() as lines:
            KeyRing(path)
        assert "0600" in lines[0]["event"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_without_keys_no_open_address_is_served(settings: Settings, host: str) -> None:
    with pytest.raises(Misconfigured, match="no API keys"):
        create_app(settings.model_copy(update={"host": host}))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_without_keys_loopback_is_served(settings: Settings, host: str) -> None:
    assert key_ring(settings.model_copy(update={"host": host})).principal(None).tenant == "default"


def test_with_keys_any_address_is_served(settings: Settings, keys_file: Path) -> None:
    create_app(settings.model_copy(update={"host": "0.0.0.0", "api_keys_file": keys_file}))
