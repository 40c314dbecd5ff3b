"""Files that the service makes, saved whole or not at all. Knows nothing of what is in them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import httpx

from deltaq.connection import Connection, Params
from deltaq.errors import InvalidInput


def saved(write: Callable[[IO[bytes]], None], path: Path, *, overwrite: bool = True) -> Path:
    """Have a file written, and return where it is; one that was there before is replaced, if it may be.

    Raises: InvalidInput where the file cannot be written, or may not be; what `write` raises.
    """
    if not overwrite and path.exists():
        raise InvalidInput(f"{path} is there already; --force, or overwrite=True, replaces it")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            with part.open("wb") as file:
                write(file)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from error
    return path


def stream_into(file: IO[bytes], connection: Connection, path: str, params: Params) -> None:
    """Write what the service answers into an open file, piece by piece.

    Raises: ApiError, Unreachable.
    """
    try:
        with connection.stream(path, params=params) as answer:
            if not answer.is_success:
                answer.read()
                connection.checked(answer)
            for chunk in answer.iter_bytes():
                file.write(chunk)
    except httpx.TransportError as error:
        raise connection.lost(error) from error
