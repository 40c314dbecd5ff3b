"""The foreground process of `deltaq up`: starts the keeper, says when the service is ready, and ends it.

Does as little as it can, so that it lives as long as it is wanted; cleans up when the keeper dies.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from service import processes
from service.embedded.deployment import Deployment, deploy
from service.embedded.directories import locked_data_dir, remove, runtime_dir
from service.embedded.readiness import is_ready, write_service_file
from service.embedded.signal_pipe import SignalPipe
from service.settings import Settings, load_settings

READY_POLL_S = 0.1
STOP_S = 5.0  # the keeper needs less than two; then it is ended


def main(arguments: Sequence[str]) -> int:
    """`python -m service up`: run the whole service until a signal; answers the exit code."""
    parser = argparse.ArgumentParser(prog="deltaq up", description="Start Redis, Ray, scheduler and API, and wait.")
    parser.add_argument("--host", help="the address that the API listens on [DELTAQ_HOST, 127.0.0.1]")
    parser.add_argument("--port", help="its port; 0 takes a free one [DELTAQ_PORT, 8000]")
    parser.add_argument("--data-dir", help="where everything lasting is [DELTAQ_DATA_DIR, ~/.deltaq]")
    parser.add_argument("--workers", help="slots, one a gradient worker [DELTAQ_WORKERS, the number of cores]")
    flags = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    settings = load_settings(**flags)
    settings = settings.model_copy(update={"data_dir": settings.data_dir.expanduser().absolute()})
    os.umask(0o077)  # all that the parts write is for this user alone
    check_own_redis(settings)
    with locked_data_dir(settings.data_dir) as lock, runtime_dir() as (folder, held):
        return run(deploy(settings, folder), descriptors=(lock, held))


def check_own_redis(settings: Settings) -> None:
    """A Redis of the user's own must be there, and keep what it is given."""
    if settings.redis_url is not None:
        from service.redis_server import await_suitable

        await_suitable(settings.redis_url, deadline_s=10.0)


def run(deployment: Deployment, descriptors: tuple[int, ...]) -> int:
    """Start the keeper, wait, and leave nothing behind; `descriptors` hold the folders and go to the keeper too."""
    processes.adopt_orphans()
    service_file = Path(deployment.plan.service_file)
    service_file.unlink(missing_ok=True)  # that of a run that was killed
    with SignalPipe(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD) as signals:
        try:
            keeper, lifeline = start_keeper(deployment, descriptors)
            code = wait(deployment, keeper, signals)
            os.close(lifeline)
            return code
        finally:
            processes.end_descendants()
            service_file.unlink(missing_ok=True)
            remove(Path(deployment.plan.runtime_dir))


def start_keeper(deployment: Deployment, descriptors: tuple[int, ...]) -> tuple[subprocess.Popen[bytes], int]:
    """The keeper, in a session of its own so that Ctrl-C is ours alone, and the pipe end that keeps it going."""
    plan = Path(deployment.plan.runtime_dir) / "plan.json"
    deployment.plan.write(plan)
    read_end, write_end = os.pipe()  # neither is inherited but by pass_fds
    keeper = subprocess.Popen(
        [sys.executable, "-m", "service", "keeper", f"--lifeline={read_end}", f"--plan={plan}"],
        env={**os.environ, **deployment.environment},
        stdin=subprocess.DEVNULL,
        pass_fds=(read_end, *descriptors),
        start_new_session=True,
    )
    os.close(read_end)
    return keeper, write_end


def wait(deployment: Deployment, keeper: subprocess.Popen[bytes], signals: SignalPipe) -> int:
    """Until a signal or the keeper's end; tells once when everything is ready."""
    ready = False
    while True:
        came, _ = signals.wait(None if ready else READY_POLL_S)
        if (code := keeper_code(keeper)) is not None:
            return code or 1
        if came - {signal.SIGCHLD}:
            return stop(keeper, signals)
        if not ready and is_ready(deployment.url):
            ready = True
            write_service_file(deployment)
            print(f"deltaq is ready at {deployment.url} (Ctrl-C stops it)", flush=True)


def keeper_code(keeper: subprocess.Popen[bytes]) -> int | None:
    """Reap what ended; the keeper's exit code if it was among it, 1 when it was killed."""
    for pid, code in processes.reap():
        if pid == keeper.pid:
            keeper.returncode = code
            if code < 0:
                print("deltaq: the keeper was killed; everything it kept is ended", file=sys.stderr, flush=True)
            return code if code >= 0 else 1
    return None


def stop(keeper: subprocess.Popen[bytes], signals: SignalPipe) -> int:
    """Have the keeper end all in good order; a second signal, or too long a time, ends it hard."""
    keeper.terminate()
    deadline = time.monotonic() + STOP_S
    while (left := deadline - time.monotonic()) > 0:
        came, _ = signals.wait(left)
        if keeper_code(keeper) is not None or came - {signal.SIGCHLD}:
            break
    return 0
