"""deltaq for those who use it: a client of the HTTP API and the `deltaq` command. Knows HTTP alone.

    from deltaq import Client

    job = Client().submit({"dataset": "digits", "network": {"hidden": [64]}}).wait()
    job.model().predict(rows)

It imports none of `api`, `service` and `workers`, and nothing at all until a name is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deltaq.client import Client
    from deltaq.errors import DataWarning, DeltaqClientError
    from deltaq.job import Job
    from deltaq.model import Model
    from deltaq.records import Alias, Dataset, Epoch, Evaluation, JobStatus, Prediction, Progress
    from deltaq.sweep import Sweep
    from deltaq.sweep_records import Trial

__version__ = "0.1.0"
__all__ = [
    "Alias",
    "Client",
    "DataWarning",
    "Dataset",
    "DeltaqClientError",
    "Epoch",
    "Evaluation",
    "Job",
    "JobStatus",
    "Model",
    "Prediction",
    "Progress",
    "Sweep",
    "Trial",
]

_HOMES = {
    "Client": "client",
    **dict.fromkeys(("DataWarning", "DeltaqClientError"), "errors"),
    "Job": "job",
    "Model": "model",
    **dict.fromkeys(("Alias", "Dataset", "Epoch", "Evaluation", "JobStatus", "Prediction", "Progress"), "records"),
    "Sweep": "sweep",
    "Trial": "sweep_records",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for, so that `deltaq --help` pays for none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"deltaq.{_HOMES[name]}"), name)
