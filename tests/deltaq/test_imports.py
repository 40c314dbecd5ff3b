"""What the command costs before it does anything, and what the client must never import."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = ("api", "service", "workers", "numpy", "pandas", "polars", "pyarrow", "ray", "redis", "pydantic", "fastapi")
MODULES = sorted(path.stem for path in Path("deltaq").glob("*.py") if not path.stem.startswith("__"))


def imported_by(code: str) -> set[str]:
    """The top-level modules that a fresh Python holds after the code."""
    line = [sys.executable, "-c", f"{code}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"]
    return set(subprocess.run(line, capture_output=True, text=True, check=True).stdout.split())


def test_help_answers_within_three_tenths_of_a_second() -> None:
    def seconds() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "deltaq", "--help"], check=True, capture_output=True)
        return time.perf_counter() - start

    assert any(seconds() < 0.3 for _ in range(20))  # a busy machine makes some slow, not all


def test_the_command_imports_nothing_heavy_until_it_must() -> None:
    assert not imported_by("import deltaq.cli") & {*HEAVY, "httpx", "rich", "orjson", "yaml", "asyncio"}


@pytest.mark.parametrize("module", MODULES)
def test_nothing_in_the_client_imports_the_service_or_a_library_of_arrays(module: str) -> None:
    assert not imported_by(f"import deltaq.{module}") & set(HEAVY)


def test_names_are_found_where_they_live_and_others_are_not() -> None:
    import deltaq

    assert all(hasattr(deltaq, name) for name in deltaq.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Clint'"):
        deltaq.Clint  # noqa: B018
