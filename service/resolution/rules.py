"""Whether the figures that rules act on are there."""

from __future__ import annotations

from collections.abc import Sequence

from service.layer_figures import FIGURES
from service.resolution.refusal import refuse
from service.spec import JobSpec
from workers.mlp.architecture import Architecture


def check_rules(spec: JobSpec, metrics: Sequence[str], architecture: Architecture) -> None:
    """Hold each rule against the figures of a row; `metrics` are those that do not belong to a layer.

    Raises: InvalidSpec.
    """
    layers = [f"layers.{number}.{name}" for number in range(len(architecture.layers)) for name in FIGURES]
    allowed = [*metrics, "learning_rate", *layers]
    for number, rule in enumerate(spec.rules):
        pointer = f"/rules/{number}"
        if (rule.above is None) == (rule.below is None):
            given = [name for name in ("above", "below") if getattr(rule, name) is not None]
            refuse(pointer, given, "a rule has one line that its figure crosses", ["above", "below"])
        if rule.metric not in allowed:
            why = " (a job must not depend on a clock)" if rule.metric == "samples_per_s" else ""
            detail = f"there is no figure {rule.metric!r} that rules may act on{why}"
            refuse(f"{pointer}/metric", rule.metric, detail, allowed)
