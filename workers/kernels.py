"""Which numeric kernels a process computes with: pinned before NumPy is imported, named by a fingerprint.

The same job gives the same bits only where the same kernels compute it. `pin` makes every x86-64-v3 machine use the
same ones, `check` refuses a process in which that came too late, and `fingerprint` says which ones are in use.
Only the standard library is imported here at first, and nothing of the project ever.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, MutableMapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

CHOICES = ("portable", "native")

# OpenBLAS asks the first, and takes Ray's own OMP_NUM_THREADS only without it; all are set, for other BLAS builds.
THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

# What a CPU must report for OpenBLAS' Haswell kernels (x86-64-v3) to run on it at all.
HASWELL_FLAGS = frozenset({"avx2", "fma", "bmi2"})

# NumPy's dispatch targets beyond x86-64-v3, each with a flag that /proc/cpuinfo shows on every CPU that has it.
BEYOND_V3 = {"X86_V4": "avx512vl", "AVX512_ICL": "avx512_vbmi2", "AVX512_SPR": "avx512_fp16"}

# OpenBLAS 0.3.34, which NumPy carries from 2.5 on, crashes in float64 products under a forced kernel on Zen 4.
FORCED_KERNEL_BROKEN_FROM = (2, 5)


def pin(kernels: str | None = None, environ: MutableMapping[str, str] = os.environ) -> None:
    """Set one BLAS thread and the chosen kernels in `environ`; a kernel variable that is already there wins.

    `kernels` is portable or native; None takes `DELTAQ_KERNELS`, and portable without it.
    Raises: ValueError for another choice; RuntimeError when NumPy is loaded and would not see the change.
    """
    choice = kernels or environ.get("DELTAQ_KERNELS") or "portable"
    if choice not in CHOICES:
        raise ValueError(f"DELTAQ_KERNELS is {choice!r}; allowed are {', '.join(CHOICES)}")
    wanted = _wanted(choice, environ)
    changed = {name: value for name, value in wanted.items() if environ.get(name) != value}
    if changed and environ is os.environ and "numpy" in sys.modules:
        raise RuntimeError(f"NumPy was imported before its kernels were pinned; set {_assignments(changed)}")
    environ.update(changed)
    environ["DELTAQ_KERNELS"] = choice


def check() -> None:
    """Refuse a process that would compute other bits than the rest, or crash.

    Raises: RuntimeError naming the variables to set before the process starts.
    """
    import numpy as np

    version = tuple(int(part) for part in np.__version__.split(".")[:2])
    if version >= FORCED_KERNEL_BROKEN_FROM and os.environ.get("OPENBLAS_CORETYPE"):
        raise RuntimeError(
            f"NumPy {np.__version__} crashes with OPENBLAS_CORETYPE={os.environ['OPENBLAS_CORETYPE']}; "
            "install numpy==2.4.6, or unset it and set DELTAQ_KERNELS=native"
        )
    blas = _blas()
    if blas["num_threads"] != 1:
        needed = dict.fromkeys(THREAD_VARIABLES, "1")
        raise RuntimeError(f"BLAS uses {blas['num_threads']} threads, allowed is 1; set {_assignments(needed)}")
    _check_in_effect(blas["architecture"], _dispatch())


def _check_in_effect(core: str, dispatch: Iterable[str]) -> None:
    """Whether what the environment asks for is what NumPy took: it reads the environment once, when imported."""
    asked = os.environ.get("OPENBLAS_CORETYPE")
    if asked and asked.lower() != core.lower():
        raise RuntimeError(f"OpenBLAS computes for {core}; set OPENBLAS_CORETYPE={asked} before NumPy is imported")
    off = os.environ.get("NPY_DISABLE_CPU_FEATURES", "")
    late = sorted(set(off.replace(",", " ").split()) & set(dispatch))
    if late:
        raise RuntimeError(f"NumPy uses {', '.join(late)}; set NPY_DISABLE_CPU_FEATURES={off!r} before it is imported")


def fingerprint() -> dict[str, str]:
    """Everything that decides bits beside the spec and the data; equal fingerprints give equal results."""
    import numpy as np

    blas = _blas()
    return {
        "deltaq": metadata.version("deltaq"),
        "numpy": np.__version__,
        "openblas": str(blas["version"]),
        "core": str(blas["architecture"]),
        "kernels": os.environ.get("DELTAQ_KERNELS", "native"),
        "dispatch": " ".join(_dispatch()),
        "libc": " ".join(platform.libc_ver()).strip(),
        "machine": platform.machine(),
    }


def _wanted(choice: str, environ: MutableMapping[str, str]) -> dict[str, str]:
    wanted = dict.fromkeys(THREAD_VARIABLES, "1")
    flags = cpu_flags()
    if choice == "portable" and flags >= HASWELL_FLAGS:
        wanted["OPENBLAS_CORETYPE"] = environ.get("OPENBLAS_CORETYPE") or "Haswell"
        beyond = " ".join(target for target, flag in BEYOND_V3.items() if flag in flags)
        disabled = environ.get("NPY_DISABLE_CPU_FEATURES") or beyond
        if disabled:
            wanted["NPY_DISABLE_CPU_FEATURES"] = disabled
    return wanted


@cache
def cpu_flags() -> frozenset[str]:
    """What this CPU says it can do; empty where /proc/cpuinfo has no x86 flags."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), ()))


@cache
def _blas() -> dict[str, Any]:
    """What threadpoolctl says of NumPy's own OpenBLAS (SciPy brings another one)."""
    import numpy as np
    from threadpoolctl import threadpool_info

    found = [library for library in threadpool_info() if library["user_api"] == "blas"]
    own = [library for library in found if Path(np.__file__).parent.parent / "numpy.libs" in _folders(library)]
    chosen = own or found
    if not chosen:
        raise RuntimeError("NumPy has no BLAS that threadpoolctl knows; install the numpy wheel of the lock file")
    return {"architecture": "unknown", **chosen[0]}


def _folders(library: dict[str, Any]) -> Iterable[Path]:
    return Path(str(library["filepath"])).parents


def _dispatch() -> list[str]:
    """NumPy's dispatch targets that are on; `__cpu_features__` alone still names single features that are off."""
    from numpy._core import _multiarray_umath as core  # type: ignore[attr-defined]

    features: dict[str, bool] = core.__cpu_features__
    return [target for target in core.__cpu_dispatch__ if features.get(target)]


def _assignments(variables: dict[str, str]) -> str:
    return " ".join(f"{name}='{value}'" if " " in value else f"{name}={value}" for name, value in variables.items())
