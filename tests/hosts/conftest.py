"""One cluster of several hosts for all tests here; without root or iproute2 they are left out, but never in CI."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.hosts import namespaces
from tests.hosts.cluster import Cluster

SLOTS = {"wide": 2, "narrow": 1, "spare": 1}


@pytest.fixture(scope="package")
def network() -> Iterator[namespaces.Network]:
    """The hosts; the first one has the service."""
    lacking = namespaces.lacking()
    if lacking and os.environ.get("CI"):
        pytest.fail(lacking)
    if lacking:
        pytest.skip(lacking)
    with closing(namespaces.Network(["head", *SLOTS])) as hosts:
        yield hosts


@pytest.fixture(scope="package")
def shared_cluster(network: namespaces.Network, runtime_dir: Path) -> Iterator[Cluster]:
    """The service on these hosts, every slot idle."""
    folder = runtime_dir / "hosts"
    folder.mkdir()
    with network.hosts["head"].inside():
        cluster = Cluster(network, SLOTS, folder)
    yield cluster
    with network.hosts["head"].inside():
        cluster.stop()


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Iterator[Cluster]:
    """The same, whole again after the test before; the test is on the service's host."""
    with shared_cluster.inside():
        shared_cluster.complete()
        yield shared_cluster
