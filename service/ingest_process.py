"""Reads an upload in a child process with limits, so that no bomb reaches the process that asks. Knows no format.

Whatever becomes of the child, what is raised here is BadData or TooLarge, or StoreUnavailable for a full disk.
The files are handed over open, since they need no name (Linux: the child finds them in /proc/self/fd).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from service import strict_json
from service.errors import BadData, DeltaqError, FieldError, StoreUnavailable, TooLarge

log = structlog.get_logger()

_ROOT = Path(__file__).resolve().parents[1]  # what `python -m service.ingest` finds the package in
_TOO_MUCH = {-signal.SIGXCPU, -signal.SIGKILL}  # SIGKILL: the hard limit of processor time, or the kernel's for memory
REFUSALS: Mapping[str, type[DeltaqError]] = {  # by the words of `service.ingest`
    "bad_data": BadData,
    "too_large": TooLarge,
    "no_room": StoreUnavailable,
}


@dataclass(frozen=True)
class Limits:
    """What reading one upload may take."""

    expanded_bytes: int
    seconds: float


def ingest(
    source: BinaryIO, parsed: BinaryIO, *, form: str, target: str, overrides: Mapping[str, str], limits: Limits
) -> dict[str, Any]:
    """Read the upload `source`, write its columns to `parsed` (Parquet), and answer what was found.

    The answer is the document of `service.ingest_columns.Description`.
    Raises: BadData, TooLarge, StoreUnavailable.
    """
    files = (source.fileno(), parsed.fileno())
    order = {
        "parent": os.getpid(),
        "source": f"/proc/self/fd/{files[0]}",
        "parsed": f"/proc/self/fd/{files[1]}",
        "format": form,
        "target": target,
        "overrides": dict(overrides),
        "limits": asdict(limits),
    }
    answer = strict_json.decode(_run(strict_json.encode(order), files, limits))
    if "refused" not in answer:
        found: dict[str, Any] = answer["found"]
        return found
    raise _refusal(answer["refused"])


def _run(order: str, files: tuple[int, ...], limits: Limits) -> bytes:
    command = [sys.executable, "-m", "service.ingest"]
    try:
        done = subprocess.run(
            command,
            input=order.encode(),
            capture_output=True,
            cwd=_ROOT,
            pass_fds=files,
            timeout=limits.seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _too_long(limits) from None
    if done.returncode == 0 and done.stdout:
        return done.stdout
    said = done.stderr[-2000:].decode("utf-8", "replace")
    log.warning("the reader of an upload broke off", code=done.returncode, said=said)
    if done.returncode in _TOO_MUCH:
        raise _too_long(limits)
    raise BadData("the upload cannot be read: its reader broke off", hint="Check that the file opens elsewhere.")


def _too_long(limits: Limits) -> TooLarge:
    return TooLarge(f"the upload took more than the {limits.seconds:g} seconds or the memory that reading one may take")


def _refusal(refused: Mapping[str, Any]) -> DeltaqError:
    errors = [FieldError(**error) for error in refused["errors"]]
    return REFUSALS[refused["kind"]](refused["detail"], errors=errors)
