"""How much memory a job's runner holds, counted from its resolved spec. Reads no data and allocates nothing.

What is counted is what `assemble`, a step and a checkpoint allocate; a runner that computes all shards itself holds
the most. Beside it are the interpreter and its libraries, the same for every job.
"""

from __future__ import annotations

from service.metrics import SORTED_AT_ONCE
from service.optimizer import build_optimizer
from service.spec import JobSpec
from workers.evaluation import BLOCK_ROWS
from workers.mlp.activations import find_activation
from workers.mlp.architecture import Architecture
from workers.mlp.dropout import row_width
from workers.mlp.parameters import flat_size

_CHANCE_BYTES = 4  # of a random number for dropout
_PLANES = 3  # of a layer's workspace, as wide as the widest layer
_SAMPLE_NUMBERS, _SAMPLE_BYTES = 4, 33  # of each sample: in the precision; in float64, whole numbers and one truth
_TRUTH_BYTES = 1  # of each output: whether it should be on
_SCORE_BYTES = 32  # of each output: in float64
_SORTED_BYTES, _WEIGHED_BYTES = 16, 64  # of each output that is sorted for the AUC; where rows have weights


def runner_bytes(spec: JobSpec, architecture: Architecture, train_rows: int, validation_rows: int) -> int:
    """What a runner holds when it holds most: once it has written checkpoints, or while it checks its gradient.

    Units: bytes.
    """
    assert isinstance(spec.shards, int)  # it is resolved
    batch_rows = train_rows if spec.batch_size == "full" else min(spec.batch_size, train_rows)
    shard_rows = -(-batch_rows // spec.shards)
    weighted = spec.data.sample_weight is not None or spec.data.class_weight is not None
    row_bytes = (architecture.inputs + architecture.outputs + weighted) * architecture.dtype.itemsize
    mapped = (train_rows + validation_rows + shard_rows) * row_bytes  # and a shard's rows, copied together
    orders = 2 * 8 * train_rows  # an epoch's, while the next one's is drawn
    networks = (shard_rows + BLOCK_ROWS) * _network_row_bytes(architecture)
    scored = _scoring_bytes(architecture, train_rows, validation_rows, weighted=weighted)
    vector = flat_size(architecture) * architecture.dtype.itemsize
    kept, stepped, checked = (count * vector for count in _vectors(spec))
    stepping = networks + scored + stepped  # made after the check, but for folds
    return mapped + orders + kept + (stepping + checked if spec.data.folds else max(stepping, checked))


def _vectors(spec: JobSpec) -> tuple[int, int, int]:
    """How many arrays of the size of all weights are kept, are made by steps and checkpoints, and by the check."""
    assert isinstance(spec.shards, int)
    optimizer = build_optimizer(spec.optimizer)
    kept = 1 + optimizer.state_count() + (spec.early_stopping is not None)  # weights, state, the best weights
    scratch = optimizer.scratch_count()
    waiting = (spec.shards - 1).bit_length()  # right halves of the tree over the shards, one a level
    gradient = 1
    copied = 2 * kept  # one copy is written while the next one is made
    double = 2 if spec.network.precision == "float32" else 1
    apart = 2 if spec.mode != "sync" else 0  # the weights that this process's own worker has read, and its gradient
    checked = 3 * double if spec.gradient_check else 0  # in float64
    return kept, gradient + apart + scratch + waiting + copied, checked


def _scoring_bytes(architecture: Architecture, train_rows: int, validation_rows: int, *, weighted: bool) -> int:
    """Both parts' outputs as they are gathered, and what scoring the larger part takes beside them."""
    outputs, rows = architecture.outputs, max(train_rows, validation_rows)
    gathered = (train_rows + validation_rows) * outputs * (architecture.dtype.itemsize + _TRUTH_BYTES)
    sorted_at_once = min(rows * outputs, max(rows, SORTED_AT_ONCE))
    sorting = sorted_at_once * (_WEIGHED_BYTES if weighted else _SORTED_BYTES)
    return gathered + rows * outputs * _SCORE_BYTES + sorting


def _network_row_bytes(architecture: Architecture) -> int:
    """What `Network` holds for each row of its mini-batches: net input, activation and delta, and the workspace.

    A normalised layer holds ẑ as well; one that units are dropped from, its mask, what is left, and random numbers.
    """
    numbers = _PLANES * max(architecture.sizes[1:]) + _SAMPLE_NUMBERS
    dropped = [architecture.inputs] if architecture.input_dropout else []
    for number, layer in enumerate(architecture.layers, start=1):
        overwritten = number < len(architecture.layers) and not find_activation(layer.activation).keeps_z
        numbers += (2 if overwritten else 3) * layer.units + (layer.units if layer.normalizer else 0)
        dropped += [layer.units] if layer.dropout else []
    chances = _CHANCE_BYTES * sum(map(row_width, dropped))
    return (numbers + 2 * sum(dropped)) * architecture.dtype.itemsize + chances + _SAMPLE_BYTES
