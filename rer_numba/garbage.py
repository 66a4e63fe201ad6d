"""Python's collector of garbage, out of the way of work that makes no garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from rer_numba.forking import undone


@contextmanager
def no_collection() -> Iterator[None]:
    """Look for no circles of dead objects while many are made that all stay.

    Python looks whenever there are some more objects than before, and then at all there are: a sixth of the time of
    reading rez's benchmark, and more for a larger repository (2026-11). Objects without circles die as always.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    with undone(gc.enable):
        yield
