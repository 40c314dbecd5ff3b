"""Ray Tune on a warm Ray, two trials at a time. Asked how many trials, the side answers the seconds of a search.

The second form keeps its two actors from trial to trial (`reuse_actors=True`, a `Trainable` with `reset_config`, the
whole training in one step): of all that Ray Tune offers for trials as short as these the fastest. The first is the
function as it comes, with an actor for each trial. The command line says which: `reused` or `new`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.peers.local_ray import local_ray
from benchmarks.peers.search import HIGHEST, LOWEST, train
from benchmarks.sides import Ready, serve

AT_ONCE = 2


def reused() -> Any:
    """The training as a class whose actors are used again."""
    from ray import tune

    class Training(tune.Trainable):  # type: ignore[misc]  # Ray carries no types
        def setup(self, config: dict[str, Any]) -> None:
            self.rate = config["rate"]

        def step(self) -> dict[str, Any]:
            return {"loss": train(self.rate), "done": True}

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.rate = new_config["rate"]
            return True

    return Training


def new() -> Any:
    """The training as a function."""

    def training(config: dict[str, Any]) -> dict[str, float]:
        return {"loss": train(config["rate"])}

    return training


def search(trainable: Any, trials: int, folder: str, reuse: bool) -> float:
    """Seconds of so many trials."""
    from ray import tune

    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"rate": tune.loguniform(LOWEST, HIGHEST)},
        tune_config=tune.TuneConfig(
            num_samples=trials, metric="loss", mode="min", max_concurrent_trials=AT_ONCE, reuse_actors=reuse
        ),
        run_config=tune.RunConfig(
            storage_path=folder, verbose=0, checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False)
        ),
    )
    begun = time.perf_counter()
    found = tuner.fit()
    took = time.perf_counter() - begun
    if found.errors or len(found) != trials:
        sys.exit(f"Ray Tune: {len(found)} of {trials} trials, errors {found.errors}")
    return took


@contextmanager
def ray_tune() -> Iterator[Ready]:
    """The side."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = (
        "1"  # CSV, JSON and TensorBoard a trial: time that it need not take
    )
    import ray
    import ray.tune  # it lacks packages where Ray alone is installed, and is absent then

    form = sys.argv[1]
    with local_ray() as folder:
        trainable = {"reused": reused, "new": new}[form]()
        yield f"Ray Tune {ray.__version__}", lambda trials: search(trainable, trials, folder, form == "reused")


if __name__ == "__main__":
    serve(ray_tune)
