"""No web page of somebody else's can use the API through its visitor's browser."""

from __future__ import annotations

import httpx
import pytest

from api.guards import BrowserGuard, host_name
from service.datasets import Dataset
from service.errors import Forbidden
from service.settings import Settings
from tests.api.asking import SPEC, problem

FOREIGN = [
    "evil.example",
    "evil.example:8000",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "169.254.169.254",
    "",
    "[::2]",
]


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("path", ["/", "/v1/jobs", "/healthz", "/openapi.json", "/nothing"])
def test_a_foreign_host_reaches_nothing(client: httpx.Client, host: str, path: str) -> None:
    problem(client.get(path, headers={"Host": host}), 403)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1234", "LOCALHOST", "[::1]:8000", "127.5.5.5", "localhost."])
def test_loopback_by_any_name_does(client: httpx.Client, host: str) -> None:
    assert client.get("/v1/jobs", headers={"Host": host}).status_code == 200


def test_names_of_the_settings_do() -> None:
    guard = BrowserGuard(Settings(host="127.0.0.1", allowed_hosts=("Deltaq.Example",)))
    guard.check("GET", {"host": "deltaq.example:443"})
    with pytest.raises(Forbidden, match=r"other\.example") as refused:
        guard.check("GET", {"host": "other.example"})
    assert "DELTAQ_ALLOWED_HOSTS" in refused.value.hint


def test_an_open_address_is_reached_by_any_address_but_not_by_any_name() -> None:
    guard = BrowserGuard(Settings(host="0.0.0.0"))
    guard.check("GET", {"host": "10.1.2.3:8000"})
    guard.check("GET", {"host": "[2001:db8::1]:8000"})
    with pytest.raises(Forbidden):
        guard.check("GET", {"host": "rebound.example:8000"})


CROSS_SITE = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://127.0.0.1:1"},  # another port is another site's page
    {"Origin": "http://[broken"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", CROSS_SITE)
def test_another_sites_page_changes_nothing(client: httpx.Client, points: Dataset, headers: dict[str, str]) -> None:
    problem(client.post("/v1/jobs", json=SPEC, headers=headers), 403)
    problem(client.post("/v1/jobs/job-aaaaaaaaaaaaaaaaaaaa/cancel", headers=headers), 403)
    problem(client.delete(f"/v1/datasets/{points.id}", headers=headers), 403)
    assert client.get("/v1/jobs").json()["items"] == []


def test_our_own_page_does(client: httpx.Client, points: Dataset) -> None:
    ours = {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert client.post("/v1/jobs", json=SPEC, headers=ours).status_code == 202


@pytest.mark.parametrize("headers", CROSS_SITE)
def test_what_a_foreign_page_reads_its_browser_keeps_from_it(client: httpx.Client, headers: dict[str, str]) -> None:
    for path in ("/v1/jobs", "/openapi.json", "/healthz"):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 200
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_preflight_is_not_answered(client: httpx.Client) -> None:
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client.options("/v1/jobs", headers=asked)
    problem(answer, 405)
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("header", "name"),
    [("a.b:80", "a.b"), ("[::1]:8", "::1"), ("[::1]", "::1"), ("A.", "a"), ("", ""), ("[", ""), (":80", "")],
)
def test_a_host_header_is_split_from_its_port(header: str, name: str) -> None:
    assert host_name(header) == name
