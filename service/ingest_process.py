"""Reads an upload in a child process with limits, so that no bomb reaches the process that asks. Knows no format.

Whatever becomes of the child, what is raised here is BadData or TooLarge.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from service import strict_json
from service.errors import BadData, DeltaqError, FieldError, TooLarge

log = logging.getLogger(__name__)

_ROOT = Path(__file__).resolve().parents[1]  # what `python -m service.ingest` finds the package in
_TOO_MUCH = {-signal.SIGXCPU, -signal.SIGKILL}  # SIGKILL: the hard limit of processor time, or the kernel's for memory


@dataclass(frozen=True)
class Limits:
    """What reading one upload may take."""

    expanded_bytes: int
    seconds: float


def ingest(
    source: Path, parsed: Path, *, form: str, target: str, overrides: Mapping[str, str], limits: Limits
) -> dict[str, Any]:
    """Read the upload `source`, write its columns to `parsed` (Parquet), and answer what was found.

    The answer is the document of `service.ingest_columns.Description`.
    Raises: BadData, TooLarge.
    """
    order = {
        "source": str(source.absolute()),
        "parsed": str(parsed.absolute()),
        "format": form,
        "target": target,
        "overrides": dict(overrides),
        "limits": asdict(limits),
    }
    answer = strict_json.decode(_run(strict_json.encode(order), limits))
    if "refused" not in answer:
        found: dict[str, Any] = answer["found"]
        return found
    raise _refusal(answer["refused"])


def _run(order: str, limits: Limits) -> bytes:
    command = [sys.executable, "-m", "service.ingest"]
    try:
        done = subprocess.run(
            command, input=order.encode(), capture_output=True, cwd=_ROOT, timeout=limits.seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise _too_long(limits) from None
    if done.returncode == 0 and done.stdout:
        return done.stdout
    log.warning("reading an upload ended with %s: %s", done.returncode, done.stderr[-2000:].decode("utf-8", "replace"))
    if done.returncode in _TOO_MUCH:
        raise _too_long(limits)
    raise BadData("the upload cannot be read: its reader broke off", hint="Check that the file opens elsewhere.")


def _too_long(limits: Limits) -> TooLarge:
    return TooLarge(f"the upload took more than the {limits.seconds:g} seconds or the memory that reading one may take")


def _refusal(refused: Mapping[str, Any]) -> DeltaqError:
    errors = [FieldError(**error) for error in refused["errors"]]
    kind = TooLarge if refused["too_large"] else BadData
    return kind(refused["detail"], errors=errors)
