"""A stand-in for our solver, for tests of what is around it: rez's own solver that counts itself as ours.

`put` puts it in the place of `rer_numba.rez_bridge.solver`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from rer_numba.rez_bridge.hook import NATIVE_MODULE


def make_module() -> ModuleType:
    """A module with a solver. rez is imported when somebody asks for it."""
    module = ModuleType(NATIVE_MODULE)
    module.__getattr__ = lambda name: _solver(module, name)  # type: ignore[method-assign]
    return module


def _solver(module: ModuleType, name: str) -> Any:
    if name != "Solver":
        raise AttributeError(name)
    from rer_numba.rez_bridge.hook import rez_solver
    from rer_numba.rez_bridge.stats import record

    class Solver(rez_solver()):  # type: ignore[misc]
        """Counts itself."""

        def solve(self) -> None:
            record(True)
            super().solve()

    module.Solver = Solver  # type: ignore[attr-defined]
    return Solver


def put() -> None:
    """Let the hook find it."""
    sys.modules[NATIVE_MODULE] = make_module()
