"""The environment of a fresh clone, on machines that lack something: .ci/environment, offline."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Debian's Python without its venv package: all but ensurepip.
WITHOUT_ENSUREPIP = """#!/bin/sh
case "$2" in "import ensurepip, venv" | virtualenv) exit 1;; esac
exec {python} "$@"
"""


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def environment(venv: Path, python: Path | str, *, path: Path) -> subprocess.CompletedProcess[str]:
    """Run the script with nothing on PATH but the system's plain tools and what is in `path`."""
    return subprocess.run(
        [ROOT / ".ci" / "environment", venv],
        env={"HOME": str(path), "PATH": f"{path}:/usr/bin:/bin", "PYTHON": str(python), "UV_PYTHON_DOWNLOADS": "never"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_without_ensurepip_the_uv_on_path_makes_it(tmp_path: Path) -> None:
    uv = Path(sys.executable).parent / "uv"
    if not uv.exists():
        pytest.skip("this environment was not made by the Makefile")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "uv").symlink_to(uv.resolve())
    python = script(tmp_path / "python", WITHOUT_ENSUREPIP.format(python=os.path.realpath(sys.executable)))
    done = environment(tmp_path / "venv", python, path=tmp_path / "bin")
    assert done.returncode == 0, done.stderr
    made = subprocess.run([tmp_path / "venv/bin/python", "-V"], capture_output=True, text=True, check=True)
    assert made.stdout.split()[1] == sys.version.split()[0]
    assert subprocess.run([tmp_path / "venv/bin/uv", "--version"], check=False, capture_output=True).returncode == 0


def test_without_ensurepip_and_uv_it_says_the_one_command_that_helps(tmp_path: Path) -> None:
    python = script(tmp_path / "python", WITHOUT_ENSUREPIP.format(python=sys.executable))
    (tmp_path / "bin").mkdir()
    done = environment(tmp_path / "venv", python, path=tmp_path / "bin")
    assert done.returncode == 1
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"sudo apt install python{version}-venv" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_a_python_of_another_version_is_refused(tmp_path: Path) -> None:
    old = script(tmp_path / "python", "#!/bin/sh\nexit 1\n")
    done = environment(tmp_path / "venv", old, path=tmp_path)
    assert done.returncode == 1
    assert f"PYTHON={old} is not a Python of 3.11 to 3.14" in done.stderr


def test_the_locks_hold_no_address_of_a_machine() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        text = lock.read_text(encoding="utf-8")
        assert "--hash=sha256:" in text
        for wrong in ("://", "--index", "--find-links", "/opt/", "/home/", "/tmp/"):
            assert wrong not in text, f"{lock.name}: {wrong}"


# Stands for what sets up: takes a moment, and makes a uv that installs nothing and a demo that shows what it is told.
SETUP = """#!/bin/sh
mkdir -p "$1/bin"
printf '#!/bin/sh\nsleep 0.2\n' > "$1/bin/uv"
printf '#!/bin/sh\necho "setup ${DELTAQ_SETUP_S-none}"\n' > "$1/bin/deltaq"
chmod +x "$1/bin/uv" "$1/bin/deltaq"
"""


def test_make_demo_tells_the_demo_what_the_set_up_took_when_there_was_one(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements-uv.lock", "requirements.lock", "pyproject.toml", "deltaq/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / ".ci").mkdir()
    script(tmp_path / ".ci" / "environment", SETUP)
    kept = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    first, second = (
        subprocess.run(["make", "demo"], cwd=tmp_path, env=kept, capture_output=True, text=True, check=True, timeout=60)
        for _ in range(2)
    )
    assert 0.4 <= float(first.stdout.removeprefix("setup ")) < 60
    assert second.stdout == "setup none\n"


@pytest.mark.parametrize("given", ["", "inner.example", "inner.example,localhost,127.0.0.1,::1"])
def test_make_asks_no_proxy_for_loopback(given: str) -> None:
    kept = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    answer = subprocess.run(
        ["make", "--silent", "--eval=shown: ; @echo $$NO_PROXY $$no_proxy", "shown"],
        cwd=ROOT,
        env={**kept, "NO_PROXY": given, "no_proxy": ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    names = ",".join(filter(None, [given, "localhost,127.0.0.1,::1"]))
    assert answer.stdout.split() == [names, names]
