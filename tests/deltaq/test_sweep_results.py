"""A sweep's results by the client and by the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deltaq.client import Client
from deltaq.errors import InvalidInput, NotFound
from tests.deltaq.conftest import SPEC, Command
from tests.deltaq.scripted import Scripted, says

SWEEP = {"id": "sweep-1", "status": "succeeded", "best": [{"number": 3, "job_id": "job-3", "values": [0.5]}]}
JOB = {"id": "job-3", "status": "succeeded", "result": {"model_id": "model-3"}}
SEARCH: dict[str, Any] = {"base": SPEC, "space": {"optimizer.learning_rate": {"log_uniform": [1e-3, 1.0]}}, "trials": 2}


def test_results_are_asked_for_by_name() -> None:
    weights = {"importances": [{"path": "b", "importance": 0.75}, {"path": "a", "importance": 0.25}], "note": None}
    answers = [says(SWEEP), says({"dataset": "points"}), says(weights), says({"data": [], "layout": {}})]
    with Scripted(answers) as server, Client(server.url) as client:
        sweep = client.get_sweep("sweep-1")
        assert sweep.best_spec(3) == {"dataset": "points"}
        assert list(sweep.importances().items()) == [("b", 0.75), ("a", 0.25)]
        assert sweep.figure("contour", format="plotly", paths=["a", "b"]) == {"data": [], "layout": {}}
    assert [seen.path for seen in server.seen[1:]] == [
        "/v1/sweeps/sweep-1/best?trial=3",
        "/v1/sweeps/sweep-1/importances",
        "/v1/sweeps/sweep-1/figures/contour?format=plotly&path=a&path=b",
    ]


def test_all_trials_are_saved_in_the_form_of_the_ending(tmp_path: Path) -> None:
    answers = [says(SWEEP), *(says("rows", kind="text/csv") for _ in range(3))]
    with Scripted(answers) as server, Client(server.url) as client:
        sweep = client.get_sweep("sweep-1")
        for path, form in (("trials.csv", None), ("trials.parquet", None), ("trials.log", "journal")):
            assert sweep.export(tmp_path / path, form).read_text() == "rows"  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match=r"trials\.txt: .* allowed are \.csv, \.parquet, \.journal"):
            sweep.export(tmp_path / "trials.txt")
        with pytest.raises(InvalidInput, match=r"trials\.csv is there already"):
            sweep.export(tmp_path / "trials.csv", overwrite=False)
    assert [seen.path.partition("=")[2] for seen in server.seen[1:]] == ["csv", "parquet", "journal"]


def test_the_best_model_is_promoted() -> None:
    alias = {"name": "production", "model_id": "model-3"}
    with (
        Scripted([says(SWEEP), says(JOB), says({"id": "model-3"}), says(alias)]) as server,
        Client(server.url) as client,
    ):
        assert client.get_sweep("sweep-1").promote("production").model_id == "model-3"
    assert (server.seen[-1].method, server.seen[-1].path) == ("PUT", "/v1/models/aliases/production")
    assert json.loads(server.seen[-1].body) == {"model": "model-3"}


def test_the_command_gives_what_there_is(command: Command, client: Client, points: str, tmp_path: Path) -> None:
    sweep = client.sweep(SEARCH)
    code, out, _ = command.run("importances", sweep.id, "--json")
    assert (code, json.loads(out)) == (0, {})
    code, out, _ = command.run("figure", sweep.id, "history")
    assert (code, json.loads(out)["note"]) == (0, "none of the 0 trials has succeeded")
    code, out, _ = command.run("figure", sweep.id, "history", "--format", "plotly")
    assert (code, json.loads(out)["data"]) == (0, [])
    code, out, _ = command.run("export", sweep.id, "-o", "-")
    assert (code, out.splitlines()[0].split(",")[0]) == (0, '"number"')
    path = tmp_path / "trials.parquet"
    assert command.run("export", sweep.id, "--format", "parquet", "-o", str(path))[:2] == (0, f"{path}\n")
    assert command.run("export", sweep.id, "-o", str(path))[0] == 2
    for words in (("best", sweep.id), ("promote", sweep.id, "production")):
        code, _, err = command.run(*words)
        assert code in (1, 2)
        assert "has succeeded" in err
    with pytest.raises(NotFound, match="none of the 0 trials has succeeded"):
        sweep.best_spec()
