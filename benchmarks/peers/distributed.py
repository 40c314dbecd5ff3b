"""PyTorch's DistributedDataParallel over gloo, two processes with one thread each.

The side's process is rank 0 and tells the other what it is asked: (batch, epochs); it answers the seconds.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.made_rows import made
from benchmarks.peers.torch_training import TorchTraining, network
from benchmarks.sides import Ready, serve

RANKS = 2


def ready_rank(rank: int) -> TorchTraining:
    """The training of one rank; the process group stands already."""
    import torch
    from torch.nn.parallel import DistributedDataParallel

    torch.set_num_threads(1)
    return TorchTraining(DistributedDataParallel(network()), made(), rank, RANKS)


def lead(training: TorchTraining, question: Any) -> float:
    """On rank 0: have all ranks train (batch, epochs); answers the seconds."""
    _shared(question)
    return training.seconds(*question)


def follow(training: TorchTraining) -> None:
    """On the others: train what rank 0 says until it says nothing."""
    while (question := _shared((0, 0)))[0]:
        training.seconds(*question)


def dismiss() -> None:
    """On rank 0: say nothing more."""
    _shared((0, 0))


def _shared(question: Any) -> list[int]:
    """What rank 0 has given, on every rank."""
    import torch

    numbers = torch.tensor(question)
    torch.distributed.broadcast(numbers, 0)
    return [int(number) for number in numbers]


def _join(rank: int, meeting: str) -> None:
    import torch

    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=RANKS)


def _be_follower(rank: int, meeting: str) -> None:
    _join(rank, meeting)
    follow(ready_rank(rank))


@contextmanager
def distributed() -> Iterator[Ready]:
    """The side."""
    import torch

    with tempfile.TemporaryDirectory() as folder:
        meeting = f"{folder}/meeting"
        spawn = multiprocessing.get_context("spawn")
        others = [spawn.Process(target=_be_follower, args=(rank, meeting), daemon=True) for rank in range(1, RANKS)]
        for other in others:
            other.start()
        _join(0, meeting)
        training = ready_rank(0)
        yield f"PyTorch {torch.__version__}, gloo", lambda question: lead(training, question)
        dismiss()
        for other in others:
            other.join()


if __name__ == "__main__":
    serve(distributed)
