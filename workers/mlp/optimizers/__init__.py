"""The update of the weights from summed gradients: one short class an optimizer.

`OPTIMIZERS` has them by name. A new one is a class here with a `name`; its fields are what users may set of it.
"""

from workers.mlp.optimizers.adam import Adam, AdamW, Nadam
from workers.mlp.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from workers.mlp.optimizers.base import Optimizer, per_network
from workers.mlp.optimizers.regularization import Regularization
from workers.mlp.optimizers.sgd import SGD
from workers.mlp.optimizers.signs import Lion, Rprop

__all__ = ["OPTIMIZERS", "SGD", "Optimizer", "Regularization", "per_network"]

OPTIMIZERS: dict[str, type[Optimizer]] = {
    kind.name: kind for kind in (SGD, Adagrad, RMSprop, Adam, AdamW, Nadam, Adadelta, Lion, Rprop)
}
