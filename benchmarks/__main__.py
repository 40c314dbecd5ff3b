"""`python -m benchmarks [--peer-python PYTHON]`: every benchmark, one after the other; writes docs/performance.md."""

from __future__ import annotations

import argparse
import subprocess
import sys


def main() -> None:
    parser = argparse.ArgumentParser(description="every benchmark, each beside its peer")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python that has the peers")
    peer = ["--peer-python", parser.parse_args().peer_python]
    for arguments in (
        ["performance", *peer, "--write", "docs/performance.md"],
        ["step", *peer],
        ["step", *peer, "--batch", "32"],
        ["exchange"],
        ["checkpoints"],
        ["demo"],
        ["accuracy"],
    ):
        print(f"\n# {' '.join(arguments[:1] + arguments[3:])}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{arguments[0]}", *arguments[1:]], check=True)


if __name__ == "__main__":
    main()
