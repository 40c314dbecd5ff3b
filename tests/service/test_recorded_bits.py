"""The bits of a short training: recorded once for portable kernels, whatever the CPU; native ones may differ."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workers.kernels import cpu_flags

RECORDED_ON = {
    "numpy": "2.4.6",
    "openblas": "0.3.31.188.0",
    "core": "Haswell",
    "kernels": "portable",
    "dispatch": "X86_V3",
    "libc": "glibc 2.36",
    "machine": "x86_64",
}
RECORDED = {
    "float32": "891818ecf3dc3418b2ad1532d40670102778e293339d1ee6c5cdeb68036c199e",
    "float64": "215508108debc39265df5386d78d069db22205a53a16515abc95fb2d9de5d15c",
}


def train(kernels: str) -> dict[str, Any]:
    """Train in a process of its own, since kernels are chosen when NumPy is imported."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES")
    }
    command = [sys.executable, "-m", "tests.service.short_training"]
    folder = Path(__file__).parents[2]
    answer = subprocess.run(
        command, env={**kept, "DELTAQ_KERNELS": kernels}, cwd=folder, capture_output=True, check=True
    )
    return dict(json.loads(answer.stdout))


def test_the_recorded_bits_come_wherever_the_recorded_kernels_compute() -> None:
    found = train("portable")
    kernels = {name: value for name, value in found["fingerprint"].items() if name != "deltaq"}
    if kernels != RECORDED_ON:
        pytest.skip(f"the bits were recorded on {RECORDED_ON}, this is {kernels}")
    assert found["weights_sha256"] == RECORDED


@pytest.mark.skipif("avx512vl" not in cpu_flags(), reason="native and portable kernels are the same on this CPU")
def test_native_kernels_give_other_bits_and_say_so() -> None:
    portable, native = train("portable"), train("native")
    assert native["weights_sha256"] != portable["weights_sha256"]
    differing = {name for name, value in native["fingerprint"].items() if value != portable["fingerprint"][name]}
    assert differing == {"core", "kernels", "dispatch"}


def test_the_same_kernels_give_the_same_bits_again() -> None:
    assert train("portable") == train("portable")
