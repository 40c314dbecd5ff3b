"""What the documentation tells people to type, typed: every block of shell that calls the API, and of Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from service.settings import Settings
from tests.integration.live import LiveService

ROOT = Path(__file__).parents[2]
ADDRESS = "http://127.0.0.1:8000"


def blocks(page: str, language: str) -> str:
    """The blocks of a page in one language, one after the other; shell only where it calls the API."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    return "\n".join(block for block in found if language != "sh" or "U" in block)


def typed(line: list[str], text: str, folder: Path, live: LiveService) -> str:
    """Run what is read from standard input, and return all that it printed."""
    url = live.description["url"]
    ended = subprocess.run(
        line,
        input=text.replace(ADDRESS, url),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=110,
        env={**os.environ, "DELTAQ_URL": url, "PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
@pytest.mark.parametrize(
    ("page", "said", "files"),
    [
        ("README.md", ['"weights_sha256": "', '"class":"setosa"'], ["iris.npz"]),
        (
            "docs/http.md",
            ["/epoch", "weights_sha256", '"class":"small"', '"class":"large"', "\n204\n", '"status":"ready"'],
            ["flowers.npz", "flowers.safetensors", "flowers.onnx", "card.json", "evaluation.json", "step.json"],
        ),
        ("docs/lifecycle.md", ["succeeded"], ["events.txt"]),
        ("docs/sweeps.md", ['"status":"succeeded"', '"trials":10'], ["sweep-events.txt"]),
    ],
)
def test_the_shell_that_a_page_shows_runs(
    page: str, said: list[str], files: list[str], live: LiveService, tmp_path: Path
) -> None:
    out = typed(["bash", "-euo", "pipefail"], blocks(page, "sh"), tmp_path, live)
    assert [words for words in said if words not in out] == [], out
    assert all((tmp_path / name).stat().st_size > 100 for name in files)


def test_the_python_of_the_readme_runs(live: LiveService, tmp_path: Path) -> None:
    rows = "".join(f"{80 + 10 * number},{2 + number % 3},{200 + 15 * number}\n" for number in range(15))
    (tmp_path / "houses.csv").write_text("area,rooms,price\n" + rows)  # the reader's own
    out = typed([sys.executable, "-"], blocks("README.md", "python"), tmp_path, live)
    assert "progress {" in out
    assert re.fullmatch(r"-?\d+\.\d+", out.splitlines()[-1])
    assert re.search(r"^succeeded [0-9a-f]{64}$", out, re.MULTILINE)


def test_the_python_of_the_models_page_runs(live: LiveService, tmp_path: Path) -> None:
    typed([sys.executable, "-W", "error", "-"], python_of_models(torch=False), tmp_path, live)
    assert {path.name for path in tmp_path.iterdir()} == {"iris.npz", "iris.onnx", "diabetes.npz"}


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_the_way_from_a_csv_to_a_model_is_the_same_three_times(live: LiveService, tmp_path: Path) -> None:
    page = "docs/choosing.md"
    shell, command = ["bash", "-euo", "pipefail"], f'deltaq() {{ "{sys.executable}" -m deltaq "$@"; }}\n'
    typed(shell, blocks(page, "shell"), tmp_path, live)
    found = [
        typed(shell, blocks(page, "sh"), tmp_path, live),
        typed(shell, command + blocks(page, "bash"), tmp_path, live),
        typed([sys.executable, "-W", "error", "-"], blocks(page, "python"), tmp_path, live),
    ]
    prices = [float(re.findall(r"\d+\.?\d*", out.strip().splitlines()[-1])[-1]) for out in found]
    assert all(abs(price - 350) < 60 for price in prices), prices
    for name in ("history.json", "trials.csv", "best.json", "contour.json", "homes.journal", "trials.parquet"):
        assert (tmp_path / name).stat().st_size > 100, name
    assert "optimizer.learning_rate" in found[0]


def test_the_python_of_the_sweeps_page_runs(live: LiveService, tmp_path: Path) -> None:
    out = typed([sys.executable, "-W", "error", "-"], blocks("docs/sweeps.md", "python"), tmp_path, live)
    assert out.startswith("succeeded 10 trials\n")


def test_the_python_of_the_glass_box_runs(live: LiveService, tmp_path: Path) -> None:
    out = typed([sys.executable, "-W", "error", "-"], blocks("docs/glass-box.md", "python"), tmp_path, live)
    assert re.search(r"^2 \w+ z \[.*\] a \[.*\]$", out, re.MULTILINE)
    assert re.search(r"^\S+ [Wb]\d\[[\d, ]+\] \d+$", out, re.MULTILINE)


@pytest.mark.oracle
def test_a_model_in_pytorch_answers_as_the_models_page_says(live: LiveService, tmp_path: Path) -> None:
    typed([sys.executable, "-"], python_of_models(torch=True), tmp_path, live)


def python_of_models(*, torch: bool) -> str:
    """The session of the models page, with or without its last part."""
    session, last = blocks("docs/models.md", "python").split("import torch\n")
    assert session.count("assert ") == 7
    return f"{session}import torch\n{last}" if torch else session


def test_every_setting_stands_in_the_readme_with_its_name() -> None:
    page = (ROOT / "README.md").read_text()
    assert [name for name in Settings.model_fields if f"DELTAQ_{name.upper()}" not in page] == []


def test_links_lead_to_files_that_are_there() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
