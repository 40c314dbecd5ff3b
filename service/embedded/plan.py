"""What the keeper is told: which parts there are, by which command lines. Standard library only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

DRAIN_S = 1.0  # the most that running jobs get for their checkpoints: a Ctrl-C ends all within two seconds


@dataclass(frozen=True)
class Part:
    """One process that the keeper starts, and starts again."""

    name: str
    command: tuple[str, ...]
    drains: bool = False  # is asked to end, and waited for, before those that it works with


@dataclass(frozen=True)
class Plan:
    """Everything the keeper has to know; it reads no settings."""

    runtime_dir: str
    log_dir: str
    service_file: str
    parts: tuple[Part, ...]

    def write(self, path: Path) -> None:
        """Hand it to the keeper."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")  # its folder is for this user alone

    @classmethod
    def read(cls, path: Path) -> Plan:
        """What `write` wrote."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        parts = tuple(Part(**{**part, "command": tuple(part["command"])}) for part in fields.pop("parts"))
        return cls(parts=parts, **fields)
