"""Fresh processes for benchmarks: steps of a module, which give back numbers, and whole commands."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rer_numba.cli import OK
from rer_numba.errors import RerError
from rer_numba.progress import Progress

_POLL = 0.2
_LAST_WISH = 10.0
"""Seconds in which an interrupted step may give back what it has changed."""

PYTHON = [sys.executable, *(["-P"] if sys.version_info >= (3, 11) else [])]
"""Runs what is given, without a look at the folder it is run in, where Python can be told so."""

Found = dict[str, Any]


class Finished(NamedTuple):
    """A command that has ended: how long it took, its exit code, and what it wrote."""

    milliseconds: float
    code: int
    out: str


class Steps:
    """Runs steps, and commands, in fresh processes.

    Parameters
    ----------
    folder : str
        For what they need to put somewhere.
    progress : Progress
    module : str
        Where the steps are.
    """

    def __init__(self, folder: str, progress: Progress, module: str = "rer_numba.benchmark_steps") -> None:
        self.folder = folder
        self._module = module
        self._progress = progress
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        paths = (root, os.environ.get("PYTHONPATH"))
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}

    def run(self, what: str, step: str, environment: Mapping[str, str] | None = None, **arguments: Any) -> Found:
        """Run a step, and show `what` meanwhile."""
        command = [*PYTHON, "-m", self._module, step, json.dumps(arguments)]
        with self._started(command, {**self._environment, **(environment or {})}) as process:
            while True:
                self._progress.show(what)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    out, complaint = process.communicate(timeout=_POLL)
                    break
        if process.returncode:
            raise RerError((complaint.strip() or f"{step}: ended with code {process.returncode}").splitlines()[-1])
        found: Found = json.loads(out.splitlines()[-1])
        return found

    @contextlib.contextmanager
    def _started(self, command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        ) as process:
            try:
                yield process
            except KeyboardInterrupt:  # which goes to all processes of a terminal
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LAST_WISH)
                raise
            finally:
                process.kill()

    def command_ms(self, what: str, *arguments: str) -> float:
        """Run Python with these arguments; how long it took from start to end."""
        self._progress.show(what)
        return self.command(what, arguments).milliseconds

    def command(
        self,
        what: str,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
        codes: Container[int] = (OK,),
    ) -> Finished:
        """Run Python with these arguments, from start to end.

        Raises
        ------
        RerError
            It ends with a code that is none of `codes`.
        """
        command = [*PYTHON, *arguments]
        environment = {**self._environment, **(environment or {})}
        start = time.perf_counter()
        done = subprocess.run(
            command,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        milliseconds = (time.perf_counter() - start) * 1000
        if done.returncode not in codes:
            raise RerError(f"{what}: ended with code {done.returncode}: {(done.stderr or done.stdout).strip()}")
        return Finished(milliseconds, done.returncode, done.stdout)
