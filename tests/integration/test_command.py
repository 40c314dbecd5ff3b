"""The `deltaq` command on the whole service: exit codes, predictions, files, verification."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from deltaq import Client
from tests.integration.live import LiveService

DIVERGING = {"dataset": "diabetes", "network": {"hidden": [64]}, "optimizer": {"learning_rate": 1e6}}
IRIS = {"dataset": "iris", "network": {"hidden": [8]}, "epochs": 5, "seed": 0}


def deltaq(live: LiveService, *arguments: str, stdin: Any = None) -> tuple[int, str, str]:
    """Run the command: exit code, output, errors."""
    ended = subprocess.run(
        [sys.executable, "-m", "deltaq", *arguments],
        input="" if stdin is None else json.dumps(stdin),
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "DELTAQ_URL": live.description["url"]},
    )
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stdout, ended.stderr


def test_a_job_that_diverges_is_told_from_one_that_does_not(live: LiveService) -> None:
    code, out, err = deltaq(live, "submit", "-", "--watch", "--json", stdin=DIVERGING)
    assert code == 1
    assert json.loads(out)["status"] == "failed"
    assert "Diverged" in err
    assert "hint: " in err
    code, _, _ = deltaq(live, "submit", "-", "--watch", stdin=IRIS)
    assert code == 0


def test_the_way_of_a_model_from_the_spec_to_a_file(live: LiveService, tmp_path: Path) -> None:
    code, out, err = deltaq(live, "submit", "-", "--watch", "--json", stdin=IRIS)
    assert code == 0, err
    job = json.loads(out)
    model = job["result"]["model_id"]
    rows = tmp_path / "rows.csv"
    columns = [column["name"] for column in live.call("GET", "/v1/datasets/iris").json()["columns"]]
    rows.write_text(",".join(columns) + "\n" + ",".join(["5.1", "3.5", "1.4", "0.2", "setosa"][: len(columns)]) + "\n")
    code, out, err = deltaq(live, "predict", model, str(rows), "--json")
    assert code == 0, err
    (prediction,) = json.loads(out)
    assert abs(sum(prediction["probabilities"].values()) - 1) < 1e-6
    code, out, _ = deltaq(live, "predict", model, str(rows))
    assert str(prediction["class"]) in out

    for form in ("npz", "safetensors", "onnx"):
        path = tmp_path / f"model.{form}"
        code, _, err = deltaq(live, "download", model, "--format", form, "-o", str(path))
        assert code == 0, err
        assert path.stat().st_size > 0
    weights = np.load(io.BytesIO((tmp_path / "model.npz").read_bytes()), allow_pickle=False)
    assert weights["W1"].shape == (4, 8)
    assert sorted(tmp_path.glob(".*")) == []


def test_verify_finds_the_same_bits(live: LiveService) -> None:
    spec = {**IRIS, "shards": 4, "workers": {"min": 2}, "reuse": True}
    code, out, _ = deltaq(live, "submit", "-", "--watch", "--json", stdin=spec)
    assert code == 0
    job = json.loads(out)["id"]
    code, out, err = deltaq(live, "verify", job)
    assert code == 0, err
    assert "equal, bit for bit" in out
    code, out, _ = deltaq(live, "verify", job, "--json")
    assert live.job(json.loads(out)["again_id"])["attempt"] == 1  # it has been trained, and was not answered for


def test_verify_trains_a_pruned_job_to_the_epoch_where_it_was_stopped(live: LiveService) -> None:
    schedule = {"name": "cosine"}  # which the number of epochs decides
    sweep = {
        "base": {**IRIS, "epochs": 9, "optimizer": {"schedule": schedule}},
        "space": {"optimizer.learning_rate": {"grid": [0.3, 0.1, 0.001]}},
        "sampler": "grid",
        "pruner": {"name": "asha", "min_epochs": 2, "reduction_factor": 3},
        "parallel": 1,
    }
    with Client(live.description["url"]) as client:
        found = client.sweep(sweep).wait(100)
        pruned = [trial for trial in found.trials() if trial.status == "pruned"]
        assert pruned
        assert {trial.pruned_at for trial in pruned} <= {2, 6}
        job = client.job(str(pruned[0].job_id))
        code, out, err = deltaq(live, "verify", job.id, "--json")
        assert (code, json.loads(out)["equal"]) == (0, True), err
        assert live.job(json.loads(out)["again_id"])["result"]["epochs"] == pruned[0].pruned_at
        whole = client.submit({**job.spec, "reuse": True}).wait(100)
        assert "reused_from" not in whole.result
        assert job.retry().wait(100).result["weights_sha256"] == whole.result["weights_sha256"]


def test_a_large_table_gets_the_bits_of_one_piece(live: LiveService) -> None:
    with Client(live.description["url"]) as client:
        model = client.submit(IRIS).wait(100).model()
        rows = np.random.default_rng(0).uniform(0, 8, (10_500, 4))
        found = model.predict(rows)
        assert len(found) == 10_500
        assert model.predict(rows[2_560:].tolist()) == found[2_560:]  # whole blocks before it: cut elsewhere
