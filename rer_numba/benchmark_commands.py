"""Whole `rez-env` commands for benchmarks: run, timed and compared.

Every command is a fresh process, as a user starts it. What is measured is also what is compared: the command that runs
in the resolved environment prints it.
"""

from __future__ import annotations

import compileall
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from rer_numba.errors import RerError
from rer_numba.user_cache import cache_folder

ROOT: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""What has to be on Python's path for this package."""
ENTRY: Final = "import sys; from rez.cli._entry_points import run_rez_env; sys.exit(run_rez_env())"
"""What the installed script `rez-env` does, wherever that is."""
_TELL: Final = ("set",) if os.name == "nt" else ("env",)
"""Prints the environment. Takes no longer than `true` by more than a millisecond."""
_COMPARED = re.compile(r"REZ_(USED_RESOLVE|USED_REQUEST|USED_EPH_RESOLVE|(?!USED_|REZ_)\w+_(ROOT|VERSION))\Z")


class Ran(NamedTuple):
    """One command: how long it took, its exit code, what it had resolved, and what it complained of.

    ``cpu_seconds`` is the time of processors, user's and system's, of the command and what it started; None where that
    is not known: on Windows, and for commands that run at once.
    """

    seconds: float
    code: int
    resolved: dict[str, str]
    complaint: str
    cpu_seconds: float | None = None


class RezCommands:
    """Runs `rez-env` with configurations that share a home, and differ in nothing but what is said.

    Parameters
    ----------
    folder : str
        Empty, to keep them in.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        for name in ("home", "tmp"):
            os.mkdir(os.path.join(folder, name))
        # as installers do; a source tree has none of its own, since rez has its commands write no bytecode
        compileall.compile_dir(os.path.join(ROOT, "rer_numba"), quiet=2)

    def configure(self, name: str, paths: Sequence[str], settings: str = "", *, bridge: bool) -> str:
        """Write a configuration file; return its path."""
        # `python -E`, as rez's own installer has it, sees no PYTHONPATH
        hook = f"import sys\nsys.path.insert(0, {ROOT!r})\nimport rer_numba.rez_bridge.auto\n" if bridge else ""
        file = os.path.join(self.folder, f"{name}.py")
        with open(file, "w", encoding="utf-8") as stream:
            stream.write(f"{hook}packages_path = {list(paths)!r}\nresolve_caching = False\n{settings}")
        return file

    def environment(self, config: str) -> dict[str, str]:
        """The variables for a configuration file. A solve that the bridge leaves to rez is an error."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("REZ_", "RER_NUMBA"))}
        temporary = os.path.join(self.folder, "tmp")
        found = {
            **kept,
            "HOME": os.path.join(self.folder, "home"),
            "TMPDIR": temporary,
            "TEMP": temporary,
            "REZ_CONFIG_FILE": config,
            "REZ_DISABLE_HOME_CONFIG": "1",
            "RER_NUMBA": "strict",
        }
        cache = cache_folder()  # else each home would have the kernel compiled anew
        if cache is not None:
            found["RER_NUMBA_CACHE_DIR"] = cache
        return found

    def run(
        self, environment: Mapping[str, str], request: Sequence[str], code: str = ENTRY, more: Sequence[str] = ()
    ) -> Ran:
        """Run ``rez-env REQUEST... -- env`` from start to end."""
        used = _children_seconds()
        start = time.perf_counter()
        done = self._python(["-E", "-c", code, *more, *request, "--", *_TELL], environment)
        seconds = time.perf_counter() - start
        used_then = _children_seconds()
        cpu = None if used is None or used_then is None else used_then - used
        return Ran(seconds, done.returncode, resolved_in(done.stdout.splitlines()), done.stderr.strip(), cpu)

    def run_at_once(
        self, count: int, environment: Mapping[str, str], request: Sequence[str], more: Sequence[str] = ()
    ) -> list[Ran]:
        """Start a command so many times, without waiting for any, and wait for all."""
        ran: list[Ran] = []
        errors: list[Exception] = []

        def run_one() -> None:
            try:
                ran.append(self.run(environment, request, ENTRY, more)._replace(cpu_seconds=None))
            except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets it
                errors.append(error)

        threads = [threading.Thread(target=run_one) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return ran

    def rer_numba(self, environment: Mapping[str, str], *arguments: str) -> None:
        """Run ``rer-numba ARGUMENTS...``.

        Raises
        ------
        RerError
            It fails.
        """
        done = self._python(["-m", "rer_numba", *arguments], {**environment, "PYTHONPATH": ROOT})
        if done.returncode:
            raise RerError(f"rer-numba {arguments[0]}: ended with code {done.returncode}: {last_line(done.stderr)}")

    def _python(self, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            check=False,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )


def _children_seconds() -> float | None:
    """Processor time of the children that have ended, in microseconds' steps; `os.times` has ticks of 10 ms."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def resolved_in(lines: Iterable[str]) -> dict[str, str]:
    """What printed variables say of a resolve: request, packages in order, each one's version and variant's folder."""
    variables = (line.partition("=") for line in lines)
    return {name: value for name, _, value in variables if _COMPARED.match(name)}


def difference(ours: Ran, rez: Ran) -> list[str]:
    """Say how two runs of the same request differ: in the exit code, or in the first thing resolved."""
    if ours.code != rez.code:
        return [f"exit code {ours.code}, rez {rez.code}: {last_line(ours.complaint)}"]
    if rez.code == 0 and "REZ_USED_RESOLVE" not in rez.resolved:  # which is empty if the request is all weak
        return ["rez's command did not tell what was resolved"]
    names = sorted({*ours.resolved, *rez.resolved}, key=lambda name: (name != "REZ_USED_RESOLVE", name))
    told = ((name, ours.resolved.get(name), rez.resolved.get(name)) for name in names)
    return [f"{name} is {our!r}, rez {their!r}" for name, our, their in told if our != their][:1]


def last_line(complaint: str) -> str:
    """What it is about; before that, rez warns of installations by pip."""
    return (complaint.splitlines() or ["no reason was given"])[-1]
