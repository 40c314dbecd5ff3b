"""Ray Train: a TorchTrainer with two workers of one thread each, on a warm Ray.

`rounds`: its workers wait for what the side is asked, (batch, epochs), and answer the seconds. `job`, asked anything,
fits the digits' network with a new trainer and answers the seconds on the clock.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Client, Listener
from typing import Any

from benchmarks.made_rows import SIZES
from benchmarks.peers.digits import BATCH, EPOCHS, HIDDEN, digits
from benchmarks.peers.distributed import RANKS, dismiss, follow, lead, ready_rank
from benchmarks.peers.local_ray import local_ray
from benchmarks.peers.torch_training import TorchTraining, network
from benchmarks.sides import ROOT, Ready, serve


def serve_rounds(config: dict[str, Any]) -> None:
    """In a worker: rank 0 takes what comes through the socket, the others follow it."""
    import torch

    rank = torch.distributed.get_rank()
    training = ready_rank(rank)
    if rank:
        return follow(training)
    with Client(config["socket"], "AF_UNIX") as questions:
        while (question := questions.recv()) is not None:
            questions.send(lead(training, question))
    dismiss()
    return None


def fit_digits(config: dict[str, Any]) -> None:
    """In a worker: the digits' network, as a user of Ray Train writes it."""
    import torch
    from ray.train.torch import prepare_model

    torch.set_num_threads(1)
    model = prepare_model(network(SIZES_OF_DIGITS))
    rank = torch.distributed.get_rank()
    TorchTraining(model, digits(), rank, RANKS).seconds(BATCH, EPOCHS)


SIZES_OF_DIGITS = (64, HIDDEN, SIZES[-1])


def fit(loop: Callable[[dict[str, Any]], None], folder: str, config: dict[str, Any]) -> None:
    """Have two workers run a loop to its end."""
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    TorchTrainer(
        loop,
        train_loop_config=config,
        torch_config=TorchConfig(backend="gloo"),
        scaling_config=ScalingConfig(num_workers=RANKS),
        run_config=RunConfig(storage_path=f"{folder}/runs"),
    ).fit()


@contextmanager
def rounds(folder: str) -> Iterator[Callable[[Any], float]]:
    """One trainer whose workers answer as long as the context lasts."""
    socket = f"{folder}/questions"
    with Listener(socket, "AF_UNIX") as listener:
        trainer = threading.Thread(target=fit, args=(serve_rounds, folder, {"socket": socket}), daemon=True)
        trainer.start()
        with listener.accept() as workers:

            def seconds(question: Any) -> float:
                workers.send(question)
                return float(workers.recv())

            yield seconds
            workers.send(None)
        trainer.join()


@contextmanager
def jobs(folder: str) -> Iterator[Callable[[Any], float]]:
    """A new trainer each time."""

    def seconds(_question: Any) -> float:
        begun = time.perf_counter()
        fit(fit_digits, folder, {})
        return time.perf_counter() - begun

    yield seconds


@contextmanager
def ray_train() -> Iterator[Ready]:
    """The side; the command line says which."""
    import ray

    sys.path.insert(0, str(ROOT))
    way = rounds if sys.argv[1:] == ["rounds"] else jobs
    with local_ray() as folder, way(folder) as seconds:
        yield f"Ray Train {ray.__version__}", seconds


if __name__ == "__main__":
    serve(ray_train)
