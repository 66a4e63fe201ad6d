"""Signals of the process, heard while compiled code has Python's main thread: Ctrl-C, SIGTERM, alarms.

The system's handler only leaves a note; the handlers that were set in Python run when the main thread asks for them,
which it does between two instructions of Python. So compiled code asks too (`rer_numba.calling_off`), after `EVERY`
seconds and again: it takes the GIL and calls ``PyErr_CheckSignals``. What a handler raises ends the solve and is
raised from it; after one that returns, the solve goes on as if nothing had been.

Compiled code gets the address of a table of functions, all of Python's stable interface. Other threads need none of
this: no handler ever runs in them.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rer_numba.forking import undone
from rer_numba.state import HEARD, HEARD_TRACEBACK

EVERY = 0.025
"""Seconds. A solve that is shorter never asks."""


def _table() -> array[int]:
    api = ctypes.pythonapi
    functions = (api.PyGILState_Ensure, api.PyErr_CheckSignals, api.PyErr_Fetch, api.PyGILState_Release)
    return array("q", [ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions])


_FUNCTIONS = _table()
_ADDRESS = _FUNCTIONS.buffer_info()[0]

_restore = ctypes.pythonapi.PyErr_Restore
_restore.argtypes = (ctypes.c_void_p,) * 3
_restore.restype = None


def address() -> int:
    """Where the functions stand that let signals be heard; 0 in a thread in which no handler runs."""
    return _ADDRESS if threading.get_ident() == threading.main_thread().ident else 0


def raise_heard(head: Any) -> None:
    """Raise what a signal handler raised during a solve, if it did.

    Parameters
    ----------
    head : view of int64
        The scalars of the solve, see `rer_numba.state`. They own the exception; afterwards they do not.
    """
    heard = head[HEARD : HEARD_TRACEBACK + 1].tolist()
    if not heard[0]:
        return
    for place in range(HEARD, HEARD_TRACEBACK + 1):
        head[place] = 0
    _restore(*heard)  # and ctypes raises it, as it does after each call of Python's interface


# ----------------------------------------------------------------------------------------------- within C's callbacks
class _LostError(BaseException):
    """Stands for what a handler raised where it was lost, until it gets out."""


_raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
_raise_in.argtypes = (ctypes.c_ulong, ctypes.py_object)
_raise_nothing_in = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)(
    ("PyThreadState_SetAsyncExc", ctypes.pythonapi)
)


@contextmanager
def heard_in_callbacks() -> Iterator[None]:
    """Let signals be heard while a C library calls Python back, as LLVM does while it compiles.

    Python drops what a handler raises in a callback: C has no exceptions. Here it is raised as soon as the callback has
    returned.
    """
    me = threading.get_ident()
    if me != threading.main_thread().ident:  # no handler runs here
        yield
        return
    lost: list[BaseException] = []
    others = sys.unraisablehook

    def note(unraisable: sys.UnraisableHookArgs) -> None:
        error = unraisable.exc_value
        if isinstance(error, _LostError):
            _raise_in(me, _LostError)
        elif isinstance(error, KeyboardInterrupt) or (error is not None and raised_by_handler(error)):
            lost.append(error)
            _raise_in(me, _LostError)
        else:
            others(unraisable)

    def undo() -> None:
        if sys.unraisablehook is note:
            sys.unraisablehook = others
        _raise_nothing_in(me, None)

    sys.unraisablehook = note
    try:
        with undone(undo):
            yield
    except _LostError:
        pass
    if lost:
        raise lost[0]


def raised_by_handler(error: BaseException) -> bool:
    """Tell whether an exception comes from a signal handler of this process, which can come in anywhere.

    Such a one is meant for whoever set the handler: nobody in between may take it for an error of a package, of rez or
    of ours. (One whose handler has been replaced since is not known.)
    """
    if threading.get_ident() != threading.main_thread().ident:
        return False
    handlers = {_code_of(signal.getsignal(number)) for number in signal.valid_signals()}
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in handlers:
            return True
        trace = trace.tb_next
    return False


def _code_of(handler: Any) -> Any:
    """The code that runs when a handler is called; None if that is not Python's."""
    while hasattr(handler, "func"):  # of functools.partial
        handler = handler.func
    if not callable(handler):  # the system's own, or not one of Python's
        return None
    return getattr(handler, "__code__", None) or getattr(type(handler).__call__, "__code__", None)
