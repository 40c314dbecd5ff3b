"""PyTorch in one process with two threads. Asked (batch, epochs), it answers the seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.made_rows import made
from benchmarks.peers.torch_training import TorchTraining, network
from benchmarks.sides import Ready, serve

THREADS = 2


@contextmanager
def pytorch() -> Iterator[Ready]:
    """The side."""
    import torch

    torch.set_num_threads(THREADS)
    training = TorchTraining(network(), made())
    yield f"PyTorch {torch.__version__}", lambda question: training.seconds(*question)


if __name__ == "__main__":
    serve(pytorch)
