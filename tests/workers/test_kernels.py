"""Pinned kernels, in processes of their own: NumPy reads the environment once, when it is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from workers import kernels

AVX512 = "avx512vl" in kernels.cpu_flags()
HASWELL = kernels.cpu_flags() >= kernels.HASWELL_FLAGS
PINNED = (*kernels.THREAD_VARIABLES, "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "DELTAQ_KERNELS")

STATE = """
import json
from workers import kernels
kernels.pin()
import numpy as np
kernels.check()
rng = np.random.default_rng(7)
a, b = (rng.standard_normal((257, 129), dtype=np.float32) for _ in range(2))
import hashlib
product = hashlib.sha256(np.matmul(a, b.T).tobytes()).hexdigest()
tanh = hashlib.sha256(np.tanh(a).tobytes()).hexdigest()
draws = hashlib.sha256(a.tobytes()).hexdigest()
print(json.dumps({"fingerprint": kernels.fingerprint(), "product": product, "tanh": tanh, "draws": draws}))
"""


def run(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A fresh Python with nothing pinned but what is given."""
    environ = {name: value for name, value in os.environ.items() if name not in PINNED} | variables
    return subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)


def state(**variables: str) -> dict[str, object]:
    done = run(STATE, **variables)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_one_thread_and_portable_kernels_without_any_setting() -> None:
    environ: dict[str, str] = {}
    kernels.pin(environ=environ)
    assert {environ[name] for name in kernels.THREAD_VARIABLES} == {"1"}
    assert environ["DELTAQ_KERNELS"] == "portable"
    assert environ.get("OPENBLAS_CORETYPE") == ("Haswell" if HASWELL else None)
    assert ("X86_V4" in environ.get("NPY_DISABLE_CPU_FEATURES", "")) == AVX512


def test_native_forces_no_kernel() -> None:
    environ: dict[str, str] = {}
    kernels.pin("native", environ)
    assert environ == dict.fromkeys(kernels.THREAD_VARIABLES, "1") | {"DELTAQ_KERNELS": "native"}


@pytest.mark.skipif(not HASWELL, reason="this CPU has no portable kernels")
def test_a_kernel_that_is_set_outside_wins_and_a_thread_count_does_not() -> None:
    environ = {"OPENBLAS_CORETYPE": "SandyBridge", "NPY_DISABLE_CPU_FEATURES": "X86_V3", "OMP_NUM_THREADS": "8"}
    kernels.pin("portable", environ)
    assert environ["OPENBLAS_CORETYPE"] == "SandyBridge"
    assert environ["NPY_DISABLE_CPU_FEATURES"] == "X86_V3"
    assert environ["OMP_NUM_THREADS"] == "1"


def test_another_choice_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="DELTAQ_KERNELS is 'fast'; allowed are portable, native"):
        kernels.pin("fast", {})


def test_pinning_after_numpy_is_refused() -> None:
    done = run("import numpy; from workers import kernels; kernels.pin()")
    assert done.returncode != 0
    assert "NumPy was imported before its kernels were pinned" in done.stderr
    assert "OPENBLAS_NUM_THREADS=1" in done.stderr


def test_pinning_twice_is_harmless() -> None:
    assert (
        run("from workers import kernels; kernels.pin(); import numpy; kernels.pin(); kernels.check()").returncode == 0
    )


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="OpenBLAS takes one thread on one core anyway")
def test_the_check_refuses_several_threads_and_says_what_to_set() -> None:
    done = run("import numpy; from workers import kernels; kernels.check()", OPENBLAS_NUM_THREADS="2")
    assert done.returncode != 0
    assert "BLAS uses 2 threads, allowed is 1; set OPENBLAS_NUM_THREADS=1" in done.stderr


@pytest.mark.skipif(not HASWELL, reason="this CPU has no portable kernels")
def test_the_check_refuses_kernels_that_came_too_late() -> None:
    late = (
        "import os, numpy; os.environ['OPENBLAS_CORETYPE'] = 'Prescott'; from workers import kernels; kernels.check()"
    )
    done = run(late, OPENBLAS_NUM_THREADS="1")
    assert done.returncode != 0
    assert "set OPENBLAS_CORETYPE=Prescott before NumPy is imported" in done.stderr


def test_a_forced_kernel_on_a_numpy_that_crashes_with_it_is_refused() -> None:
    program = "from workers import kernels; import numpy; numpy.__version__ = '2.5.5'; kernels.check()"
    done = run(program, OPENBLAS_NUM_THREADS="1", OPENBLAS_CORETYPE="Haswell")
    assert done.returncode != 0
    assert "install numpy==2.4.6" in done.stderr
    assert run(program, OPENBLAS_NUM_THREADS="1").returncode == 0


def test_the_fingerprint_names_what_decides_bits() -> None:
    found = kernels.fingerprint()
    assert list(found) == ["deltaq", "numpy", "openblas", "core", "kernels", "dispatch", "libc", "machine"]
    assert all(value for name, value in found.items() if name != "dispatch")
    assert "X86_V4" not in found["dispatch"].split()


@pytest.mark.skipif(not AVX512, reason="portable and native are the same kernels on this CPU")
def test_portable_and_native_differ_in_products_and_fingerprint_but_not_in_random_numbers() -> None:
    portable, native = state(DELTAQ_KERNELS="portable"), state(DELTAQ_KERNELS="native")
    assert portable["fingerprint"] != native["fingerprint"]
    assert portable["product"] != native["product"]
    assert portable["draws"] == native["draws"]
    assert state(DELTAQ_KERNELS="portable") == portable
