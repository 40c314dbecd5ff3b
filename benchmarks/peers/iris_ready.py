"""What RQ's workers load before their first job (`rq worker --config`): NumPy and the rows, which each job then has."""

from __future__ import annotations

from benchmarks.peers.iris import iris

iris()
