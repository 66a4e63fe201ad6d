"""Puts our solver where rez looks for its own, in this process, and takes it away again.

rez makes every solver by the name `Solver` in `rez.resolver`; others import it from `rez.solver`. Both names get one
class, `Hooked`, which makes whatever ``RER_NUMBA`` asks for at that moment.

Invariants
----------
- Hooking imports nothing big. Our solver, and numpy with it, is imported when rez makes the first solver.
- What goes wrong here leaves rez as it is: with a warning, once.
- What rer-numba warns of while it is hooked is a line of rez's log, as rez's own warnings are.
- Undoing restores what was there, unless somebody else has put something in that place since: that stays.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from rer_numba.forking import Lock
from rer_numba.garbage import no_collection
from rer_numba.rez_bridge import modes
from rer_numba.rez_bridge.stats import record
from rer_numba.rez_versions import unsupported
from rer_numba.tell import UNKNOWN_REZ, warn_once, warn_through

NATIVE_MODULE = "rer_numba.rez_bridge.solver"
PLACES = ("rez.solver", "rez.resolver")
"""Modules that have a `Solver`."""

_lock = Lock()
_originals: dict[str, Any] = {}
"""Module -> what was there; empty while nothing is hooked."""
_stays = False
_holders = 0


# ---------------------------------------------------------------------------------------------------- what rez is given
class _Chooser(type):
    """Class of a class that makes objects of other classes, and is like them to whoever looks."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        """A subclass of the hooked name becomes one of what it stands for."""
        if not bases:
            return super().__new__(mcs, name, bases, namespace)
        actual = tuple([_chosen() if isinstance(base, _Chooser) else base for base in bases])
        return type(actual[0])(name, actual, namespace)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return _chosen()(*args, **kwargs)

    def __getattr__(cls, name: str) -> Any:
        return getattr(rez_solver(), name)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _known())

    def __subclasscheck__(cls, subclass: Any) -> bool:
        return subclass is cls or issubclass(subclass, _known())


class Hooked(metaclass=_Chooser):
    """Stands for `rez.solver.Solver` while hooked: makes our solver, or rez's own."""


def _chosen() -> Any:
    """The class for the next solver."""
    mode = modes.current()
    if mode.kind == "off":
        return rez_solver()
    native = native_solver()
    if native is None:
        return rez_solver()
    return _verifying(mode.sample, native) if mode.kind == "verify" else native


def _verifying(sample: float, native: Any) -> Any:
    """The class for a solve that may be one of those to verify."""
    try:
        from rer_numba.rez_bridge import verify
    except Exception as error:  # noqa: BLE001 - a broken installation must not break rez
        problem = f"solves cannot be verified: {type(error).__name__}: {error}"
    else:
        return verify.VerifyingSolver if verify.is_in_sample(sample) else native
    _record_broken(problem)
    return rez_solver()


def _known() -> tuple[type, ...]:
    module = sys.modules.get(NATIVE_MODULE)
    ours = getattr(module, "Solver", None)
    return (rez_solver(),) if ours is None else (rez_solver(), ours)


def rez_solver() -> Any:
    """Return rez's own class, also while its name is hooked."""
    there = import_module("rez.solver").Solver  # asked before the dictionary, which another thread may fill meanwhile
    return _originals.get("rez.solver", there)


def native_solver() -> Any:
    """Return our class; None, with a warning and a count, where it cannot be imported.

    Raises
    ------
    FallbackError
        It cannot be imported, and ``RER_NUMBA=strict``.
    """
    module = sys.modules.get(NATIVE_MODULE)
    if module is not None and hasattr(module, "Solver"):
        return module.Solver
    try:
        return import_solver()
    except Exception as error:  # noqa: BLE001 - a broken installation must not break rez
        problem = f"our solver cannot be imported: {type(error).__name__}: {error}"
    _record_broken(problem)  # not while the error is handled: what rez raises later has nothing to do with it
    return None


def _record_broken(problem: str) -> None:
    warn_once(f"{problem}; rez solves alone", about="import of the solver")
    record(False, problem)


def import_solver() -> Any:
    """Import our class; its modules find rez's own by its name, since they fall back to it.

    Raises
    ------
    ConfigurationError
        rez is missing, or one whose solver ours is not known to be equal to.
    """
    _require_known()
    with _lock:
        hooked = _restore()
        try:
            with no_collection():
                return import_module(NATIVE_MODULE).Solver
        finally:
            for name in hooked:
                vars(sys.modules[name])["Solver"] = Hooked


def _require_known() -> None:
    from rer_numba.errors import ConfigurationError, NeedsRezError

    try:
        from rer_numba.rez_bridge.loaded import loaded_traits
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{error}: the solver takes rez's place; {NeedsRezError.remedy}") from None
    if loaded_traits() is None:
        raise ConfigurationError(f"{unsupported(import_module('rez').__version__)}; until then take rez.solver.Solver")


# ------------------------------------------------------------------------------------------------- hooking and undoing
def install() -> bool:
    """Let every solve of rez in this process be ours, until `uninstall`.

    Returns
    -------
    bool
        Whether rez is hooked now. It is not if ``RER_NUMBA=off``, or, with a warning, if this is a version of rez
        whose solver we are not known to be equal to.

    Notes
    -----
    May be called often, and from any thread. Names that other modules took from `rez.solver` before stay as they are.
    """
    global _stays
    with _lock:
        _stays = _hook() or _stays
        return bool(_originals)


def uninstall() -> None:
    """Give rez its own solver back, at once, whoever had it hooked."""
    global _stays
    with _lock:
        _stays = False
        auto = sys.modules.get("rer_numba.rez_bridge.auto")
        if auto is not None:
            auto.disarm()
        _undo()


@contextmanager
def installed() -> Iterator[bool]:
    """Hook rez within a `with` block; several may overlap. Gives what `install` gives."""
    global _holders
    with _lock:
        _holders += 1
        _hook()
        is_hooked = bool(_originals)
    try:
        yield is_hooked
    finally:
        with _lock:
            _holders -= 1
            if not _holders and not _stays:
                _undo()


def is_hooked() -> bool:
    """Tell whether rez makes its solvers through us."""
    resolver = sys.modules.get("rez.resolver")
    return resolver is not None and getattr(resolver, "Solver", None) is Hooked


def _hook() -> bool:
    """Put the class in its places; False if it must not be."""
    if _originals:
        return True
    warn_through(import_module("rez.utils.logging_").print_warning)
    if modes.current().kind == "off" or not _is_supported():
        warn_through(None)
        return False
    places = [import_module(name) for name in PLACES]
    if _originals:  # importing them has hooked them: see rer_numba.rez_bridge.auto
        return True
    _originals.update({module.__name__: module.Solver for module in places})
    for module in places:
        vars(module)["Solver"] = Hooked
    return True


def _is_supported() -> bool:
    from rer_numba.rez_bridge.loaded import loaded_traits

    if loaded_traits() is not None:
        return True
    version: str = import_module("rez").__version__
    warn_once(f"{unsupported(version)}; until then rez solves alone, and RER_NUMBA=off says nothing", about=UNKNOWN_REZ)
    return False


def _undo() -> None:
    _restore()
    _originals.clear()
    warn_through(None)


def _restore() -> list[str]:
    """Put rez's own class back; gives the modules in which ours was."""
    restored = []
    for name, original in _originals.items():
        module = sys.modules.get(name)
        if module is not None and vars(module).get("Solver") is Hooked:
            vars(module)["Solver"] = original
            restored.append(name)
    return restored
