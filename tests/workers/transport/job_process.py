"""A job with two workers of its own, trained until it is killed: `python -m tests.workers.transport.job_process DATA`.

It prints the numbers of its workers' processes when they serve.
"""

from __future__ import annotations

import sys
from pathlib import Path

from workers import kernels

if __name__ == "__main__":
    kernels.pin()

from tests.worker_process import Workers
from tests.workers.transport.made_job import assignment_in, train

if __name__ == "__main__":
    assignment = assignment_in(Path(sys.argv[1]))
    with Workers() as workers:
        gang = workers.gang(assignment, 3)
        assert gang.workers == 3
        print(*workers.pids, flush=True)
        train(gang, assignment, sys.maxsize)
