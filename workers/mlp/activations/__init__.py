"""The activations a = f(z), one short class each, and the way back through them. Know no loss and no weights.

A new one is one more class in one of these modules: its name is taken up when it is defined.
"""

from workers.mlp.activations.base import ACTIVATIONS, Activation, Elementwise, Positive
from workers.mlp.activations.classic import Identity, Relu, Sigmoid, Softmax, Tanh
from workers.mlp.choices import Choice, make

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Elementwise",
    "Identity",
    "Positive",
    "Relu",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "find_activation",
]


def find_activation(choice: Choice) -> Activation:
    """Return the activation that is chosen.

    Raises: ValueError that names it and what is allowed.
    """
    return make(ACTIVATIONS, choice, "activation")
