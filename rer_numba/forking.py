"""What must be made whole in a child of fork: locks that others held, and what they were in the middle of.

A child starts with the one thread that forked, and with a copy of everything as it was at that moment. A lock that
another thread held is never released there, what it guards may be half changed, and what a thread has changed for a
while for the whole process stays so. Every lock of ours is made here, so that no child waits for one
(tests/test_forks.py walks the sources), and every such change is made within `undone`. Servers that fork workers,
`multiprocessing` and applications that fork while they solve need to do nothing.

Where there is no fork, as on Windows, the locks are plain ones.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import _bootstrap  # the one place that knows who is importing
from typing import Any, Generic, TypeVar, overload
from weakref import WeakMethod, WeakSet

_generation = 0


def generation() -> int:
    """How many forks lie between this process and the one that began. Threads of another generation are gone."""
    return _generation


# ---------------------------------------------------------------------------------------------------------------- locks
_RLock: type[Any] = type(threading.RLock())


class Lock(_RLock):  # type: ignore[misc]  # the class has no public name
    """A re-entrant lock that a forked child can take.

    Re-entrant, since a signal handler may come in at any time, and solve.

    Parameters
    ----------
    make_whole : method, optional
        Of the owner of what the lock guards. Called in a child whose parent had another thread in the middle of a
        change: says that what is there cannot be believed. It runs before anything else in the child, and must neither
        raise nor wait.
    """

    def __init__(self, make_whole: Callable[[], None] | None = None) -> None:
        super().__init__()
        self._make_whole = None if make_whole is None else WeakMethod(make_whole)
        _locks.add(self)

    def renew(self) -> None:
        """Become free in a child, unless the thread that forked has it."""
        if self.acquire(blocking=False):
            self.release()
            return
        self._at_fork_reinit()
        make_whole = self._make_whole and self._make_whole()
        if make_whole is not None:
            make_whole()


_locks: WeakSet[Lock] = WeakSet()


def condition() -> threading.Condition:
    """A condition that a forked child can use. Nobody waits for it there."""
    return threading.Condition(Lock())


# -------------------------------------------------------------------------------------- changes of the whole process
_changes: list[tuple[int, Callable[[], None]]] = []


@contextmanager
def undone(undo: Callable[[], None]) -> Iterator[None]:
    """Change something of the whole process for the time of a `with` block.

    Parameters
    ----------
    undo : callable
        Called at the end of the block; and in a child of fork, if it was another thread that was within the block.
    """
    change = (threading.get_ident(), undo)
    _changes.append(change)
    try:
        yield
    finally:
        _changes.remove(change)
        undo()


# ----------------------------------------------------------------------------------------- what others are importing
_ROOTS = frozenset(("llvmlite", "numba", "numpy", "pyarrow", "rer_numba", "rez"))
_AGAIN = frozenset(("rer_numba", "rez"))
_PATIENCE = 1.0


def _imported_elsewhere() -> list[str]:
    """Which of the modules that a solve may need another thread is importing."""
    me = threading.get_ident()
    locks = getattr(_bootstrap, "_module_locks", {})
    owners = {
        name: getattr(place(), "owner", None) for name, place in list(locks.items()) if name.split(".")[0] in _ROOTS
    }
    return [name for name, owner in owners.items() if owner not in (None, me)]


def _wait_for_imports() -> None:
    """Python lets no child ever import what another thread was importing when it was forked: so that comes first."""
    deadline = time.monotonic() + _PATIENCE
    while _imported_elsewhere() and time.monotonic() < deadline:
        time.sleep(0.001)


def _import_anew() -> None:
    """Where that took too long: let a child import from the start what is in Python alone, and can be run twice."""
    for name in _imported_elsewhere():
        if name.split(".")[0] in _AGAIN:
            getattr(_bootstrap, "_module_locks", {}).pop(name, None)
            for known in [known for known in sys.modules if f"{known}.".startswith(f"{name}.")]:
                del sys.modules[known]


# ---------------------------------------------------------------------------------------------------------------- forks
def _renew() -> None:
    global _generation
    _generation += 1
    _import_anew()
    for lock in list(_locks):
        lock.renew()
    me = threading.get_ident()
    for change in reversed(_changes.copy()):
        if change[0] != me:
            _changes.remove(change)
            change[1]()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait_for_imports, after_in_child=_renew)


# ----------------------------------------------------------------------------------------------------------- attributes
_T = TypeVar("_T")

if sys.version_info >= (3, 12):
    from functools import cached_property
else:

    class cached_property(Generic[_T]):  # noqa: N801  (as in functools)
        """An attribute that is calculated when it is first read. That of Python 3.11 holds a lock meanwhile."""

        def __init__(self, func: Callable[[Any], _T]) -> None:
            self.func = func
            self.__doc__ = func.__doc__

        def __set_name__(self, owner: type[Any], name: str) -> None:
            self._name = name

        @overload
        def __get__(self, instance: None, owner: type[Any] | None = None) -> cached_property[_T]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any] | None = None) -> _T: ...
        def __get__(self, instance: object, owner: type[Any] | None = None) -> Any:
            if instance is None:
                return self
            value = vars(instance)[self._name] = self.func(instance)
            return value
