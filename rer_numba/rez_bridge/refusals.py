"""Why a solve is left to rez: it asks for what only rez does, or something went wrong in our code.

Invariants
----------
- No error of ours gets out to rez, except for want of memory: it becomes a `NotNativeError`, and rez does the solve.
- A person hears of it once per process, in one warning; `rer_numba.rez_bridge.stats` counts each.
- What rez itself raises, or an orderer of somebody's own class, is no error of ours: rez is left to raise it. Nor is an
  order that only rez can follow.
- rez is asked after the refusal has been handled (`attempt`), so that what it raises shows no traceback of ours.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, TypeVar

from rez.config import config
from rez.exceptions import RezError
from rez.package_order import PackageOrderList
from rez.package_repository import package_repository_manager
from rez.version import VersionError

from rer_numba.errors import RerError, UncertainOrderError
from rer_numba.hearing import raised_by_handler
from rer_numba.rez_bridge import modes
from rer_numba.rez_bridge.loaded import loaded_traits
from rer_numba.tell import warn_once

logger = logging.getLogger("rer_numba")

_T = TypeVar("_T")

_no_kernel: list[str] = []
"""Why no kernel can be loaded in this process, once that is known: to try again may take as long as to compile."""


class NotNativeError(RerError):
    """Only rez can do this solve.

    Parameters
    ----------
    reason : str
        Why.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


def require_native(given: dict[str, Any]) -> None:
    """Raise `NotNativeError` if the arguments of a solver ask for what only rez does, or nothing can be done natively.

    Parameters
    ----------
    given : dict
        The arguments of rez.solver.Solver, all of them.
    """
    for condition, reason in (
        (given["verbosity"] > 0, "verbosity is above 0"),
        (given["print_stats"], "print_stats"),
        (config.debug_file_loads, "debug_file_loads is set"),
        (given["package_filter"] and config.debug_package_exclusions, "debug_package_exclusions is set"),
        (
            given["package_orderers"] is None and bool(PackageOrderList.singleton) and sorts_variants_as_configured(),
            "no orderers are given, but rez's configuration has some, which it uses for variants then",
        ),
        *((True, reason) for reason in _no_kernel),
    ):
        if condition:
            raise NotNativeError(reason)


class OurPart:
    """Turns whatever goes wrong within a `with` block into a `NotNativeError`. Nothing in it may tell anybody anything.

    A class, since there are some ten blocks in each solve: 0.14 microseconds each instead of 0.72 (2026-11-21).

    Parameters
    ----------
    paths : sequence of str
        Package paths that are looked at in the block: if rez has trouble with one of them, that is not ours.
    then : callable, optional
        What else to do then.

    Raises
    ------
    NotNativeError
        Its cause is what was raised.
    MemoryError, and what a signal handler raises
        As they are.
    """

    def __init__(self, paths: Sequence[str] = (), then: Callable[[], None] | None = None) -> None:
        self._paths = paths
        self._then = then

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not isinstance(error, Exception) or isinstance(error, NotNativeError):
            return
        if self._then is not None:
            self._then()
        if not isinstance(error, MemoryError) and not raised_by_handler(error):
            raise NotNativeError(_reason(error, self._paths)) from error


OUR_PART = OurPart()


def sorts_variants_as_configured() -> bool:
    """Tell whether a solver of this rez that is given no orderers sorts variants by those of the configuration."""
    traits = loaded_traits()
    return traits is None or traits.configured_orders_sort_variants


def attempt(ours: Callable[[], _T]) -> tuple[_T | None, NotNativeError | None]:
    """Call something of ours: what it gives, or why rez has to be asked."""
    try:
        return ours(), None
    except NotNativeError as refusal:
        return None, refusal


def _reason(error: Exception, paths: Sequence[str]) -> str:
    if isinstance(error, UncertainOrderError):
        return f"a soft_timestamp orderer gives {error.family} an order that depends on which versions are left"
    try:
        from rer_numba.orderers import raised_by_custom  # for errors only
    except Exception:  # noqa: BLE001 - a part of rer-numba is gone, which is not worth a second error
        return _told(error)
    problem = error if _is_rez_own(error) or raised_by_custom(error) else _problem_of_rez(paths)
    return _told(error) if problem is None else f"rez raises it: {type(problem).__name__}: {problem}"


def _is_rez_own(error: Exception) -> bool:
    return isinstance(error, (RezError, VersionError))


def _problem_of_rez(paths: Sequence[str]) -> Exception | None:
    """What rez raises of the first place that it cannot use."""
    for path in paths:
        try:
            package_repository_manager.get_repository(path).get_package_family("rer_numba_asks")
        except Exception as error:  # noqa: BLE001 - a plugin of somebody's own may raise anything
            return error
    return None


def _told(error: Exception) -> str:
    """Warn of an error of ours, and give it as a reason."""
    reason = f"rer-numba failed: {type(error).__name__}: {error}"
    native = sys.modules.get("rer_numba.native")
    if native is not None and isinstance(error, native.NativeError) and not _no_kernel:
        _no_kernel.append(reason)
    logger.info(reason, exc_info=error)
    if modes.current().kind != "strict":  # where it is raised
        warn_once(
            f"{reason}; rez solves instead. Please report this, with the traceback that {modes.VARIABLE}=strict shows; "
            f"{modes.VARIABLE}=off turns rer-numba off",
            about="an error of ours behind rez",
        )
    return reason
