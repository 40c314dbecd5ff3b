"""What is to be tried when a training diverges, by what its spec has not tried yet. Knows no training."""

from __future__ import annotations

from service.spec import JobSpec
from workers.mlp.choices import name_of
from workers.mlp.intervals import REALS
from workers.mlp.losses import LOSSES

UNCLIPPED = ("rprop", "lbfgs")  # clipping is refused for them


def diverged_hint(spec: JobSpec) -> str:
    """What to try; `spec` is resolved."""
    tries = ["a smaller optimizer.learning_rate"]
    if spec.data.scale == "none":
        tries.append("data.scale standard")
    if spec.data.task == "regression" and spec.data.scale_target == "none":
        tries.append(f"data.scale_target {'standard' if LOSSES[name_of(spec.loss)].targets == REALS else 'mean'}")
    if spec.optimizer.clip_norm is None and spec.optimizer.name not in UNCLIPPED:
        tries.append("optimizer.clip_norm")
    return f"Try {', or '.join(tries)}."
