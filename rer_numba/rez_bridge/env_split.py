"""Where the time of one `rez-env` goes: runs it in this process, with a clock around its parts.

For ``rer-numba benchmark --env``: ``main`` takes ``FILE STARTED REQUEST... -- COMMAND...`` from the command line, runs
rez's command, and writes the milliseconds of each part to FILE. A part that runs inside another is not counted in
that. The clocks themselves take some microseconds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from typing import Any

OTHER = "the rest of rez"
"""Settings, the command line, the context and its file, the packages' own commands."""

BRIDGE_PARTS = (
    ("rer_numba.rez_bridge.solving", "site_of", "finding and opening"),
    ("rer_numba.engine", "_native_solve", "loading the kernel"),
    ("rer_numba.snapshot", "Solve.run", "solving"),
    ("rer_numba.rez_bridge.sites", "Site.prepare", "checking, reading and linking"),
    ("rer_numba.rez_bridge.sites", "Site.settle", "checking, reading and linking"),
    ("rer_numba.rez_bridge.solver", "Solver.get_graph", "the graph"),
)
BRIDGE_MODULES = ("rer_numba.rez_bridge.solver", "rer_numba.stepping", "rer_numba.touched")
REZ_PARTS = (
    ("rez.solver", "Solver.__init__", "solving"),
    ("rez.solver", "Solver.solve", "solving"),
    ("rez.solver", "Solver.get_graph", "the graph"),
)
SHELL_PARTS = (("rez.resolved_context", "ResolvedContext.execute_shell", "shell and command"),)


class Clock:
    """Adds up the time of parts; each moment belongs to the innermost one.

    Parameters
    ----------
    started : float
        When the process was started, by `time.time`.
    """

    def __init__(self, started: float) -> None:
        self.milliseconds = {"starting Python": (time.time() - started) * 1000}
        self._stack = [OTHER]
        self._last = time.perf_counter()

    def _book(self) -> None:
        now = time.perf_counter()
        part = self._stack[-1]
        self.milliseconds[part] = self.milliseconds.get(part, 0.0) + (now - self._last) * 1000
        self._last = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Book what happens in a `with` block under a name."""
        self._book()
        self._stack.append(name)
        try:
            yield
        finally:
            self._book()
            self._stack.pop()

    def wrap(self, module: str, name: str, part: str) -> None:
        """Book all calls of a function, or of a method ("Class.method"), under a part."""
        holder: Any = import_module(module)
        *outer, last = name.split(".")
        for one in outer:
            holder = getattr(holder, one)
        setattr(holder, last, self._booked(getattr(holder, last), part))

    def _booked(self, call: Callable[..., Any], part: str) -> Callable[..., Any]:
        @wraps(call)
        def booked(*args: Any, **kwargs: Any) -> Any:
            with self.part(part):
                return call(*args, **kwargs)

        return booked

    def stop(self) -> dict[str, float]:
        """Return the milliseconds of each part."""
        self._book()
        return self.milliseconds


def main() -> None:
    """See the head of this module."""
    file, started = sys.argv.pop(1), float(sys.argv.pop(1))
    clock = Clock(started)
    with clock.part("importing rez"):
        for module in ("rez.cli._entry_points", "rez.cli._main", "rez.cli.env", "rez.resolved_context"):
            import_module(module)
    _wrap_parts(clock)
    code = _run()
    with open(file, "w", encoding="utf-8") as stream:
        json.dump(clock.stop(), stream)
    sys.exit(code)


def _wrap_parts(clock: Clock) -> None:
    """Put the clock around everything; imports what the bridge would import a little later."""
    parts: tuple[tuple[str, str, str], ...] = SHELL_PARTS
    if sys.modules["rez.resolver"].Solver.__module__ == "rez.solver":
        parts += REZ_PARTS
    else:
        with clock.part("importing rer-numba"):
            for module in BRIDGE_MODULES:
                import_module(module)
        parts += BRIDGE_PARTS
    for module, name, part in parts:
        clock.wrap(module, name, part)


def _run() -> Any:
    """Run rez's command; give what it would exit with."""
    run = import_module("rez.cli._entry_points").run_rez_env
    try:
        return run()
    except SystemExit as end:
        return end.code
