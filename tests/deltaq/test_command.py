"""The `deltaq` command as a process: what it prints for people and for programs, and its exit codes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from api.auth import read_keys
from deltaq.client import Client
from deltaq.console import shown, table
from service.errors import Diverged
from tests.deltaq.conftest import POINTS, SPEC, Command, Hand
from tests.deltaq.scripted import Scripted, says


def strict(text: str) -> Any:
    """Read strict JSON."""

    def refuse(word: str) -> Any:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("datasets", "--json"), "name"),
        (("jobs", "--json"), "id"),
        (("models", "--json"), "job_id"),
        (("metrics", "JOB", "--json"), "epoch"),
        (("logs", "JOB", "--json"), "message"),
        (("show", "JOB", "--json"), None),
        (("show", "MODEL", "--json"), None),
        (("show", "DATASET", "--json"), None),
        (("cluster", "--json"), None),
        (("cancel", "QUEUED", "--json"), None),
        (("retry", "QUEUED", "--json"), None),
        (("pause", "QUEUED", "--json"), None),
        (("resume", "QUEUED", "--json"), None),
        (("submit", "-", "--json"), None),
        (("submit", "-", "--dry-run", "--json"), None),
        (("watch", "JOB", "--json"), None),
        (("key", "ada", "--json"), None),
    ],
)
def test_json_is_strict_and_a_list_is_one_array(
    arguments: tuple[str, ...], key: str | None, command: Command, client: Client, points: str, hand: Hand
) -> None:
    job = client.submit(SPEC)
    lease = hand.claim()
    hand.epoch(lease, 1, validation_loss=float("nan"))
    hand.queue.log(lease, "info", "here")
    hand.succeed(lease)
    queued = client.submit(SPEC)
    names = {"JOB": job.id, "MODEL": job.model().id, "DATASET": job.spec["dataset"], "QUEUED": queued.id}
    if "retry" in arguments:
        queued.cancel()
    if "resume" in arguments:
        queued.pause()
    code, out, err = command.run(*(names.get(word, word) for word in arguments), stdin=json.dumps(SPEC))
    assert code == 0, err
    document = strict(out)
    if key is None:
        assert isinstance(document, dict)
    else:
        assert key in document[0]


def test_people_see_0_as_0_and_what_is_missing_as_a_dash(
    command: Command, client: Client, points: str, hand: Hand
) -> None:
    job = client.submit({**SPEC, "priority": 0, "seed": 0, "tags": {"zero": "0"}})
    lease = hand.claim()
    hand.epoch(lease, 1, validation_loss=0.0, learning_rate=0.0)
    code, out, _ = command.run("jobs")
    head, row = out.splitlines()
    assert code == 0
    assert head.split("  ")[0] == "ID"
    assert row.split()[:3] == [job.id, "running", "–"]
    assert row.split()[5] == "0"
    _, out, _ = command.run("metrics", job.id)
    assert out.splitlines()[1].split() == ["1", "1", "0", "–", "–", "0", "100"]
    _, out, _ = command.run("show", job.id)
    facts = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert (facts["spec.priority"], facts["spec.seed"], facts["spec.tags.zero"], facts["error"]) == ("0", "0", "0", "–")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0, "0"),
        (False, "no"),
        (None, "–"),
        ("", "–"),
        ([], "–"),
        (1 / 3, "0.3333"),
        (12345.6, "12,346"),
        (list(range(20)), "[0,1,2, … 17 more]"),
    ],
)
def test_values_are_shown_as_people_read_them(value: Any, text: str) -> None:
    assert shown(value) == text


def test_a_warning_is_said_once_and_not_as_pythons(command: Command, points: str) -> None:
    spec = json.dumps({**SPEC, "early_stopping": {"metric": "train_loss", "patience": 3}})
    code, out, err = command.run("submit", "-", stdin=spec)
    assert (code, out.startswith("job-")) == (0, True)
    assert err.splitlines() == [
        "deltaq: warning: early_stopping.patience is 3, and the job has 3 epoch(s): it does not end early;"
        " the best epoch's weights are kept all the same"
    ]


def test_a_long_table_is_written_whole(capsys: pytest.CaptureFixture[str]) -> None:
    table(("row", "half"), ((number, number / 2) for number in range(2_500)))
    head, *rows = capsys.readouterr().out.splitlines()
    assert head == "ROW   HALF"
    assert [row.split() for row in rows] == [[str(number), shown(number / 2)] for number in range(2_500)]


def test_the_name_of_another_cannot_move_the_cursor(command: Command, client: Client, points: str) -> None:
    client.submit({**SPEC, "name": "a\x1b[2Jb\nc"})
    _, out, _ = command.run("jobs")
    assert "\x1b" not in out
    assert r"a\x1b[2Jb\nc" in out
    assert len(out.splitlines()) == 2


def test_a_reader_that_takes_one_line_is_no_fault(command: Command, client: Client, points: str) -> None:
    for number in range(30):
        client.submit({**SPEC, "tags": {str(n): "x" * 200 for n in range(30)}, "name": str(number)})
    code, out, err = command.run("jobs", "--json")
    assert (code, err) == (0, "")
    assert len(out) > 150_000  # more than any pipe holds at once
    line = f"{sys.executable} -m deltaq jobs --json 2>errors | head -1"
    environment = {**os.environ, "DELTAQ_URL": client.url}
    found = subprocess.run(line, shell=True, capture_output=True, text=True, env=environment, check=True)
    errors = Path("errors")
    try:
        assert (found.stdout, errors.read_text()) == ("[\n", "")
    finally:
        errors.unlink()


@pytest.mark.parametrize(
    ("text", "place"),
    [('{"dataset": "points",\n "epochs" 3}', "standard input, line 2, column 11"), ("epochs: [", "line 1, column 10")],
)
def test_a_file_that_is_wrong_is_told_with_line_and_column(text: str, place: str, command: Command) -> None:
    code, out, err = command.run("submit", "-", stdin=text)
    assert (code, out) == (2, "")
    assert place in err


def test_files_that_are_not_there_are_refused(command: Command) -> None:
    for arguments in (("submit", "nowhere.yaml"), ("datasets", "add", "nowhere.csv", "--target", "y")):
        code, _, err = command.run(*arguments)
        assert code == 2
        assert "o such file" in err


def test_refusals_show_the_field_and_what_is_allowed(command: Command, points: str) -> None:
    code, _, err = command.run("submit", "-", stdin="dataset: points\nepochs: '1e2'\n")
    assert code == 2
    assert '  /epochs: should be an integer from 1 to 1000000 (given: "1e2")\n' in err
    code, _, err = command.run("jobs", "--status", "sleeping")
    assert code == 2
    assert "queued" in err
    code, _, err = command.run("show", "job-nothing")
    assert code == 2
    code, _, err = command.run("submit")
    assert code == 2
    assert "FILE" in err


@pytest.mark.parametrize(("text", "message"), [("", "the spec is empty"), ("- 1\n", "the spec must be an object")])
def test_what_is_no_spec_is_said_so(text: str, message: str, command: Command) -> None:
    code, out, err = command.run("submit", "-", stdin=text)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", ""),
        ("watch", ""),
        ("cancel", "a/b"),
        ("predict", "", "f"),
        ("datasets", "delete", ""),
        ("promote", "prices", "a/b"),
    ],
)
def test_what_is_no_id_is_said_in_a_line(arguments: tuple[str, ...], command: Command) -> None:
    code, out, err = command.run(*arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "is no id and no name: expected are one or more characters, none of them a slash" in err


def test_a_table_without_rows_is_refused(
    command: Command, client: Client, points: str, hand: Hand, tmp_path: Path
) -> None:
    job = client.submit(SPEC)
    hand.succeed(hand.claim())
    path = tmp_path / "head.csv"
    path.write_text("x,y\n")
    code, out, err = command.run("predict", job.model().id, str(path))
    assert (code, out) == (2, "")
    assert "head.csv: no rows to predict" in err


@pytest.mark.parametrize(
    ("prediction", "shown"),
    [
        ({"values": {"a": 1.5, "b": None}}, ["ROW", "A", "B", "0", "1.5", "–"]),
        ({"labels": {"wet": {"value": "yes", "probability": 0.75}}}, ["ROW", "WET", "0", "yes", "(0.75)"]),
    ],
)
def test_predictions_of_several_targets_have_a_column_each(
    command: Command, tmp_path: Path, prediction: dict[str, Any], shown: list[str]
) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[[1, "Red"]]')
    dataset = {"id": "ds-1", "columns": []}
    answer = {"predictions": [prediction], "warnings": ["column 'colour': 'Red' is new"]}
    with Scripted([says({"id": "model-1", "dataset_id": "ds-1"}), says(dataset), says(answer)]) as server:
        code, out, err = command.run("predict", "model-1", str(path), DELTAQ_URL=server.url)
    assert code == 0
    assert out.split() == shown
    assert "warning: column 'colour': 'Red' is new" in err


def test_an_evaluation_is_shown_with_its_confusion_matrix(command: Command) -> None:
    answer = {
        "rows": 3,
        "loss": 0.5,
        "metrics": {"accuracy": 1.0, "auc": None},
        "confusion_matrix": {"classes": ["no", "Yes"], "matrix": [[1, 0], [0, 2]]},
        "warnings": ["column 'colour': 'Red' is new"],
    }
    with Scripted([says({"id": "model-1"}), says(answer)]) as server:
        code, out, err = command.run("evaluate", "model-1", "new", DELTAQ_URL=server.url)
    assert code == 0
    figures, matrix = out.split("\n\n")
    assert figures.split() == ["rows", "3", "loss", "0.5", "accuracy", "1", "auc", "–"]
    assert [line.split() for line in matrix.splitlines()[1:]] == [["1", "no", "1", "0"], ["2", "Yes", "0", "2"]]
    assert "warning: column 'colour': 'Red' is new" in err
    with Scripted([says({"id": "model-1"}), says(answer)]) as server:
        code, out, err = command.run("evaluate", "model-1", "new", "--json", DELTAQ_URL=server.url)
    assert json.loads(out) == answer


def test_a_card_is_printed_in_json(command: Command) -> None:
    with Scripted([says({"id": "model-1"}), says({"format": 1, "metrics": {"train_loss": None}})]) as server:
        code, out, _ = command.run("card", "model-1", DELTAQ_URL=server.url)
    assert (code, json.loads(out)) == (0, {"format": 1, "metrics": {"train_loss": None}})


def test_a_download_replaces_no_file_unasked(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    path.write_text("mine")

    def download(*options: str) -> tuple[int, str, str]:
        answers = [says({"id": "model-1"}), says("weights", kind="application/octet-stream")]
        with Scripted(answers) as server:
            return command.run("download", "model-1", *options, DELTAQ_URL=server.url)

    code, out, err = download("-o", str(path))
    assert (code, out, path.read_text()) == (2, "", "mine")
    assert "--force" in err
    assert download("-o", str(path), "--force")[:2] == (0, f"{path}\n")
    assert path.read_text() == "weights"
    assert download("-o", "-")[:2] == (0, "weights")


def test_a_service_that_is_not_there_ends_with_4_and_what_to_do(command: Command, tmp_path: Path) -> None:
    code, _, err = command.run("jobs", DELTAQ_URL="http://127.0.0.1:9", DELTAQ_DATA_DIR=str(tmp_path))
    assert code == 4
    assert "127.0.0.1:9" in err
    assert "deltaq up" in err


def test_data_sets_are_added_listed_and_deleted(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text(POINTS)
    code, out, _ = command.run("datasets", "add", str(path), "--target", "label", "--column", "x=categorical", "--json")
    assert code == 0
    assert strict(out)["name"] == "points"
    assert strict(out)["columns"][0]["type"] == "categorical"
    code, out, _ = command.run("datasets")
    assert "points" in out
    code, _, err = command.run("datasets", "add", str(path), "--target", "y", "--name", "points")
    assert code == 2
    assert "points" in err
    assert command.run("datasets", "delete", "points")[0] == 0
    assert command.run("datasets", "delete", "points")[0] == 2
    code, _, err = command.run("datasets", "add", str(path), "--target", "label", "--column", "x")
    assert code == 2
    assert "NAME=TYPE" in err


def test_the_error_of_a_failed_job_is_shown(command: Command, client: Client, points: str, hand: Hand) -> None:
    job = client.submit(SPEC)
    hand.fail(hand.claim(), Diverged("the loss is not finite", hint="try a smaller learning rate"))
    _, out, _ = command.run("show", job.id)
    assert "try a smaller learning rate" in out
    code, _, err = command.run("watch", job.id)
    assert code == 1
    assert "try a smaller learning rate" in err


def test_a_key_is_what_the_service_takes(command: Command, tmp_path: Path) -> None:
    code, out, _ = command.run("key", "ada", "--scopes", "read", "--tenant", "lab", "--json")
    assert code == 0
    made = strict(out)
    path = tmp_path / "keys.json"
    path.write_text(json.dumps([made["record"]]))
    path.chmod(0o600)
    (key,) = read_keys(path)
    assert (key.name, key.tenant, key.scopes) == ("ada", "lab", frozenset({"read"}))
    assert key.sha256 == hashlib.sha256(made["key"].encode()).hexdigest()
    code, out, _ = command.run("key", "ada")
    assert code == 0
    assert out.split()[0] == "key"
    for arguments in (("--scopes", "admin"), ("--scopes", ""), ("--tenant", "A B")):
        assert command.run("key", "ada", *arguments)[0] == 2


def test_up_starts_the_service_that_is_installed_and_no_folder_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "__init__.py").write_text("raise SystemExit('the wrong service')")
    line = [sys.executable, "-P", "-m", "deltaq", "up", "--host", "0.0.0.0", "--data-dir", str(tmp_path / "data")]
    ended = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 78
    assert "DELTAQ_API_KEYS_FILE" in ended.stderr
    assert "the wrong service" not in ended.stderr


def test_up_that_is_interrupted_while_it_is_imported_ends_quietly(tmp_path: Path) -> None:
    line = [sys.executable, "-P", "-X", "importtime", "-m", "service", "up", "--data-dir", str(tmp_path / "data")]
    with subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as starting:
        assert starting.stderr is not None
        for imported in starting.stderr:
            if "pydantic_core" in imported:
                break
        starting.send_signal(signal.SIGINT)
        rest = starting.stderr.read()
    assert starting.returncode == 130
    assert "Traceback" not in rest
    assert not (tmp_path / "data").exists()
