"""The first `make demo` of a fresh clone and a later one, and where their time goes; the start beside Ray's alone.

    python -m benchmarks.demo [--rounds 5]

Cold: a clone with a home and caches of its own, all empty, as of somebody who has git, make and Python; what uv says
that it needed to prepare the packages is the time of downloading and unpacking them. Warm: the same again. The start
is that of `deltaq up` until it is ready (Redis, Ray, scheduler and API), the floor beside it that of a Ray head with
the same options until a driver is attached to it; the two take turns. Times are on the clock.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import cpu_name
from benchmarks.service import running_service
from service import processes
from service.embedded.deployment import free_port
from service.ray_nodes import LOOPBACK, LOOPBACK_ENVIRONMENT, head_command

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("setting up the environment", "starting the service", "waiting in the queue", "training")
CACHES = ("XDG_CACHE_HOME", "UV_CACHE_DIR", "PIP_CACHE_DIR", "PIP_NO_CACHE_DIR", "PYTHONPYCACHEPREFIX")
DRIVER = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="error")
print("attached", flush=True)
sys.stdin.read()
"""


class Clone:
    """A fresh clone of this repository with an empty home."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "deltaq"
        home = folder / "home"
        home.mkdir()
        unwanted = ("MAKE", "MFLAGS", "DELTAQ_", "VIRTUAL_ENV", *CACHES)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        self.environment = {**kept, "HOME": str(home)}
        subprocess.run(["git", "clone", "--quiet", ROOT, self.path], check=True)

    def make_demo(self) -> tuple[float, str]:
        """Seconds that it takes, and all that is printed."""
        begun = time.perf_counter()
        done = subprocess.run(
            ["make", "demo", "QUIET="],
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        took_s = time.perf_counter() - begun
        if done.returncode:
            sys.exit(f"make demo ended with code {done.returncode}:\n{done.stdout}")
        return took_s, done.stdout


def show_demos() -> None:
    """A cold and a warm `make demo`."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Clone(Path(folder))
        for title, what in (("cold", "make demo, the first of a fresh clone"), ("warm", "make demo, again")):
            took_s, said = clone.make_demo()
            show(title, took_s, what)
            for stage in STAGES:
                if match := re.search(rf"^ *{stage} +([\d.]+)", said, re.MULTILINE):
                    show("", float(match[1]), f"of it {stage}")
            if prepared := preparing_s(said):
                show("", prepared, "downloading and unpacking packages, within the set-up")


def preparing_s(said: str) -> float:
    """Seconds in uv's lines, such as "Prepared 61 packages in 1m 02s", "… in 5.31s" or "… in 120ms"."""
    units = {"m": 60.0, "s": 1.0, "ms": 1e-3}
    spans = re.findall(r"^Prepared \d+ packages? in (.+)$", said, re.MULTILINE)
    return sum(float(number) * units[unit] for span in spans for number, unit in re.findall(r"([\d.]+)(ms|m|s)", span))


def show(title: str, took_s: float, what: str) -> None:
    print(f"{title:<9} {took_s:7.2f} s   {what}", flush=True)


def start_deltaq() -> float:
    """Seconds until `deltaq up` is ready."""
    begun = time.perf_counter()
    with running_service():
        return time.perf_counter() - begun


def start_ray() -> float:
    """Seconds until a driver is attached to a Ray head that was started at the same moment."""
    port, pipe, begun = free_port(LOOPBACK), subprocess.PIPE, time.perf_counter()
    environment = {**os.environ, **LOOPBACK_ENVIRONMENT}
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        head = head_command(2, port=port, node_ip=LOOPBACK, temp_dir=folder)
        driver = [sys.executable, "-c", DRIVER, f"{LOOPBACK}:{port}"]
        subprocess.Popen(head, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with subprocess.Popen(driver, env=environment, stdin=pipe, stdout=pipe, text=True) as attached:
            assert attached.stdout
            said = attached.stdout.readline()
            took_s = time.perf_counter() - begun
            processes.end_descendants()
    if said != "attached\n":
        sys.exit("the driver has not attached to the Ray head")
    return took_s


def compare_starts(rounds: int) -> None:
    """Start each in turn and print the table."""
    processes.adopt_orphans()
    for start in (start_deltaq, start_ray):
        start()  # files are in memory
    pairs = [(start_deltaq(), start_ray()) for _ in range(rounds)]
    ratios = sorted(theirs / mine for mine, theirs in pairs)
    show("deltaq", statistics.median(mine for mine, _ in pairs), "deltaq up, until it is ready")
    show("floor", statistics.median(theirs for _, theirs in pairs), "a Ray head alone, until a driver is attached")
    spread = f"median of {rounds} ({ratios[0]:.2f} … {ratios[-1]:.2f})"
    print(f"ratio     {statistics.median(ratios):7.2f}     floor / deltaq, {spread}")


def main() -> None:
    parser = argparse.ArgumentParser(description="make demo, cold and warm, and the service's start beside Ray's")
    parser.add_argument("--rounds", type=int, default=5, help="of the starts")
    rounds = parser.parse_args().rounds
    print(f"machine   {cpu_name()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}")
    compare_starts(rounds)
    show_demos()


if __name__ == "__main__":
    main()
