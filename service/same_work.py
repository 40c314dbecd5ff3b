"""When two jobs are the same work: they give the same bits, so that one's model answers for the other.

That is said by digests: of the data and of every field of the spec that can change a bit or the course of a training,
and of the kernels' fingerprint. Knows neither Redis nor jobs.
"""

from __future__ import annotations

from service import strict_json
from service.datasets import Dataset
from service.spec import JobSpec

# How a job is named, queued and served; `dataset` stands for bytes, which are compared themselves.
_WITHOUT_EFFECT = frozenset(
    {"name", "tags", "dataset", "priority", "retries", "time_limit_s", "not_before", "after", "reuse"}
)


def work_digest(spec: JobSpec, dataset: Dataset, validation: Dataset | None) -> str:
    """The work that a resolved spec asks for, on these data."""
    fields = {name: value for name, value in spec.model_dump(mode="json").items() if name not in _WITHOUT_EFFECT}
    if spec.mode == "sync":
        del fields["workers"]
    fields["data"].pop("validation_dataset")
    return strict_json.sha256([fields, dataset.content, None if validation is None else validation.content])
