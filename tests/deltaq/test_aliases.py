"""Aliases by the client and by the command, against a server that answers what the service would."""

from __future__ import annotations

import json

from deltaq.client import Client
from tests.deltaq.conftest import SPEC, Command, Hand
from tests.deltaq.scripted import Scripted, says

ALIAS = {"name": "production", "model_id": "model-1", "promoted_at": "2026-01-01T00:00:00.000Z"}
PAGE = {"items": [ALIAS], "next_cursor": None}


def test_a_model_is_promoted_by_its_handle() -> None:
    with Scripted([says({"id": "model-1"}), says(ALIAS)]) as server, Client(server.url) as client:
        alias = client.model("staging").promote("production")
    assert (alias.name, alias.model_id, alias.raw) == ("production", "model-1", ALIAS)
    asked, promoted = server.seen
    assert asked.path == "/v1/models/staging"
    assert (promoted.method, promoted.path) == ("PUT", "/v1/models/aliases/production")
    assert json.loads(promoted.body) == {"model": "model-1"}


def test_the_collection_lists_sets_and_deletes() -> None:
    with Scripted([says(PAGE), says(ALIAS, 201), says("", 204)]) as server, Client(server.url) as client:
        assert [alias.name for alias in client.aliases] == ["production"]
        assert client.aliases.set("a b", "model-1").raw == ALIAS
        client.aliases.delete("a b")
    assert [(seen.method, seen.path.partition("?")[0]) for seen in server.seen] == [
        ("GET", "/v1/models/aliases"),
        ("PUT", "/v1/models/aliases/a%20b"),
        ("DELETE", "/v1/models/aliases/a%20b"),
    ]


def test_the_command_promotes_lists_and_deletes(command: Command, client: Client, points: str, hand: Hand) -> None:
    client.submit(SPEC)
    hand.succeed(hand.claim())
    (model,) = client.models()
    code, out, _ = command.run("promote", model.id, "production")
    assert (code, out) == (0, f"production {model.id}\n")
    assert client.model("production").id == model.id
    code, out, _ = command.run("promote", "production", "best", "--json")
    assert (code, json.loads(out)["model_id"]) == (0, model.id)
    code, out, _ = command.run("aliases", "--json")
    assert (code, [one["name"] for one in json.loads(out)]) == (0, ["best", "production"])
    assert model.id in command.run("aliases")[1]
    assert command.run("aliases", "delete", "best")[0] == 0
    assert [alias.name for alias in client.aliases] == ["production"]
    code, _, err = command.run("promote", "nothing", "production")
    assert code == 2
    assert "the id or an alias of a model of yours" in err
