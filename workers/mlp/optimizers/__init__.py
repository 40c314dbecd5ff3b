"""The update of the weights from summed gradients: one short class an optimizer.

`OPTIMIZERS` has those by name whose update needs one gradient alone, `EVERY_OPTIMIZER` also those that search. A new
one is a class here with a `name`; its fields are what users may set of it.
"""

from workers.mlp.optimizers.adam import Adam, AdamW, Nadam
from workers.mlp.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from workers.mlp.optimizers.base import Optimizer
from workers.mlp.optimizers.lbfgs import LBFGS
from workers.mlp.optimizers.regularization import Regularization
from workers.mlp.optimizers.sgd import SGD
from workers.mlp.optimizers.signs import Lion, Rprop

__all__ = ["EVERY_OPTIMIZER", "LBFGS", "OPTIMIZERS", "SGD", "Optimizer", "Regularization"]

OPTIMIZERS: dict[str, type[Optimizer]] = {
    kind.name: kind for kind in (SGD, Adagrad, RMSprop, Adam, AdamW, Nadam, Adadelta, Lion, Rprop)
}
EVERY_OPTIMIZER: dict[str, type[Optimizer]] = {**OPTIMIZERS, LBFGS.name: LBFGS}
