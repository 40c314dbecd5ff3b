"""The sides of a comparison: processes of their own that do a round when they are asked to, and tell what it took.

They are asked in turn, so that what else the machine does falls on all of them. Questions and answers are lines of
JSON on the standard streams that a side was started with; what its libraries print goes to its log.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
END_S = 30.0

Answer = Callable[[Any], Any]
Ready = tuple[str, Answer]  # the version of what computes, and what answers


class Absent(Exception):
    """What a side needs is not on this machine."""


class Side:
    """One side's process, as who asks sees it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Raises: Absent."""
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the side
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
        )
        said = self.hear()
        if "absent" in said:
            self.close()
            raise Absent(said["absent"])
        self.version = str(said["version"])

    def ask(self, question: Any) -> Any:
        """Ask, and wait for the answer."""
        self.tell(question)
        return self.hear()

    def tell(self, question: Any) -> None:
        """Ask, and do not wait."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """Wait for an answer."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._log.seek(0)
            sys.exit(f"{' '.join(map(str, self._process.args))} ended with code {code}:\n{self._log.read()[-4000:]}")  # type: ignore[arg-type]
        return json.loads(line)

    def close(self) -> None:
        """End the process and wait for it."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()


def serve(begin: Callable[[], AbstractContextManager[Ready]]) -> None:
    """Be a side: answer what comes in until nothing more does."""
    with _own_output() as answers:

        def say(what: Any) -> None:
            answers.write(json.dumps(what) + "\n")
            answers.flush()

        try:
            with begin() as (version, answer):
                say({"version": version})
                for line in sys.stdin:
                    say(answer(json.loads(line)))
        except (Absent, ImportError) as missing:
            say({"absent": str(missing)})


@contextmanager
def _own_output() -> Iterator[Any]:
    """The standard output, for answers alone: all else that is printed goes where errors go."""
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        yield answers
