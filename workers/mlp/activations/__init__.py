"""The activations a = f(z), one short class each, and the way back through them. Know no loss and no weights.

A new one is one more class in one of these modules: its name is taken up when it is defined.
"""

from workers.mlp.activations.base import ACTIVATIONS, Activation, Elementwise, Positive
from workers.mlp.activations.classic import Identity, Sigmoid, Softmax, Tanh
from workers.mlp.activations.gelu import Gelu
from workers.mlp.activations.rectifiers import Elu, HardSigmoid, LeakyRelu, Prelu, Relu, Selu
from workers.mlp.activations.smooth import Exponential, Mish, Silu, Softplus, Softsign
from workers.mlp.choices import Choice, make

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Elementwise",
    "Elu",
    "Exponential",
    "Gelu",
    "HardSigmoid",
    "Identity",
    "LeakyRelu",
    "Mish",
    "Positive",
    "Prelu",
    "Relu",
    "Selu",
    "Sigmoid",
    "Silu",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
    "find_activation",
]


def find_activation(choice: Choice) -> Activation:
    """Return the activation that is chosen.

    Raises: ValueError that names it and what is allowed.
    """
    return make(ACTIVATIONS, choice, "activation")
