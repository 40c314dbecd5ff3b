"""`python -m service COMMAND`: pins the kernels, then becomes one of the service's processes.

Each command imports what it needs and no more; what is wrong with the settings is said in one line, with exit code 78.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from service.errors import Misconfigured, Unavailable
from workers import kernels

INTERRUPTED = 130  # as shells say it

COMMANDS = {
    "up": ("service.embedded.foreground", "main", "the whole service: Redis, Ray, scheduler, sweeper and API"),
    "redis": ("service.redis_process", "main", "the Redis that deltaq brings along, on the network"),
    "keeper": ("service.embedded.keeper", "main", "what `up` starts to keep the parts running"),
    "scheduler": ("service.scheduler_process", "main", "the scheduler alone"),
    "sweeper": ("service.sweeper_process", "main", "the sweeper alone"),
    "ray-head": ("service.ray_nodes", "head_main", "a Ray head, as the scheduler needs it"),
    "ray-worker": ("service.ray_nodes", "worker_main", "a Ray node that offers slots"),
    "healthy": ("service.health", "main", "whether a part that runs alone is alive: exit code 0"),
}


def main(arguments: Sequence[str]) -> int:
    """Run the command; answers the exit code."""
    if not arguments or arguments[0] not in COMMANDS:
        lines = (f"  {name:<12}{says}" for name, (_, _, says) in COMMANDS.items())
        print("usage: python -m service COMMAND\n" + "\n".join(lines), file=sys.stderr)
        return os.EX_USAGE
    module, function, _ = COMMANDS[arguments[0]]
    try:
        _pin()
        return getattr(import_module(module), function)(arguments[1:]) or 0
    except Misconfigured as error:
        print(f"deltaq: {error.detail}", file=sys.stderr)
        return os.EX_CONFIG  # starting it again does not help
    except Unavailable as error:
        print(f"deltaq: {error.detail}", file=sys.stderr)
        return os.EX_TEMPFAIL
    except KeyboardInterrupt:  # while it is imported: what runs has its own way to end
        return INTERRUPTED


def _pin() -> None:
    try:
        kernels.pin()
    except ValueError as error:
        raise Misconfigured(str(error)) from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
