"""A model that is there, and the data set that it is of, without any training."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
import numpy as np
from numpy.typing import NDArray

from api.services import Services
from service.datasets import Dataset
from service.models import save_model
from service.preparation import prepare
from service.resolution import resolve
from tests.api.asking import Claim
from workers import kernels
from workers.mlp.initializers import initialize
from workers.mlp.parameters import Parameters

CSV = b"x,colour,label\n" + b"".join(
    b"%f,%s,%s\n" % (n / 7, [b"red", b"green"][n % 2], [b"no", b"yes"][n % 3 == 0]) for n in range(60)
)


@dataclass(frozen=True)
class Trained:
    """A model as it is after no step at all, which is as good as any here."""

    id: str
    job: str
    parameters: Parameters

    @property
    def arrays(self) -> dict[str, NDArray[np.floating]]:
        return self.parameters.named()


def make_trained(client: httpx.Client, services: Services, claim: Claim) -> Trained:
    """One by way of a job that is accepted, claimed and succeeds."""
    params, headers = {"name": "colours", "target": "label"}, {"Content-Type": "text/csv"}
    assert client.post("/v1/datasets", params=params, content=CSV, headers=headers).status_code == 201
    assert client.post("/v1/jobs", json={"dataset": "colours", "network": {"hidden": [5, 3]}}).status_code == 202
    claimed = claim()
    dataset = Dataset.from_document(services.datasets.find("default", "colours"))
    resolution = resolve(claimed.job.spec, dataset)
    prepared = prepare(resolution.spec, dataset, services.artifacts, services.datasets, services.settings.cache_path)
    parameters = Parameters(resolution.architecture)
    initialize(parameters, 0)
    result = {"weights_sha256": parameters.sha256(), "fingerprint": kernels.fingerprint(), "train_loss": 0.5}
    document = save_model(
        claimed.job, claimed.lease, result, parameters, dataset, resolution, prepared, services.artifacts
    )
    services.queue.succeed(claimed.lease, {**result, "model_id": document["id"]}, document)
    return Trained(document["id"], claimed.job.id, parameters)
