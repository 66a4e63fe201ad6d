"""What needs rez itself, which may be absent: the extra `rez` brings it. Nothing else of rer-numba imports rez.

For users: `install`, `uninstall` and the context manager `installed` put our solver behind rez in this process, `stats`
tells how often it solved, `Solver` is the drop-in for `rez.solver.Solver`. Importing this package does not import rez.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rer_numba.rez_bridge.hook import install, installed, uninstall
    from rer_numba.rez_bridge.modes import FallbackError
    from rer_numba.rez_bridge.solver import Solver
    from rer_numba.rez_bridge.stats import stats

__all__ = ["FallbackError", "Solver", "install", "installed", "stats", "uninstall"]

_MODULES = {
    "FallbackError": "modes",
    "Solver": "hook",
    "install": "hook",
    "installed": "hook",
    "stats": "stats",
    "uninstall": "hook",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name == "Solver":
        value: object = import_module(f"{__name__}.hook").import_solver()
    else:
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
