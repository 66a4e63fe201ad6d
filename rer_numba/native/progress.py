"""What a user sees while kernels are compiled: a line first, a running clock on a terminal, a line at the end."""

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final

from rer_numba import forking
from rer_numba.tell import is_quiet, say

_TICK: Final = 0.5
_BEAT: Final = 2.0


class BuildProgress:
    """Tells the user, and whoever waits for our lock, that a compilation is going on. A context manager.

    Parameters
    ----------
    what, cpu : str
        What is compiled, and for which CPU, in words for the user.
    beat : callable
        Called every two seconds, from another thread.
    """

    def __init__(self, what: str, cpu: str, beat: Callable[[], None]) -> None:
        self._what = what
        self._cpu = cpu
        self._beat = beat
        self._started = 0.0
        self._changed = forking.condition()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="rer-numba-compile", daemon=True)
        self._live = not is_quiet() and _is_terminal()

    def __enter__(self) -> "BuildProgress":
        self._started = time.monotonic()
        if not is_quiet():
            say(f"rer-numba: compiling {self._what} for {self._cpu}, once per version and kind of machine ...\n")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        self._thread.join()
        if self._live:
            say("\r" + " " * 40 + "\r")
        if kind is None and not is_quiet():
            say(f"rer-numba: done in {self.seconds():.1f} s\n")

    def seconds(self) -> float:
        """Return the seconds since the compilation began."""
        return time.monotonic() - self._started

    def _run(self) -> None:
        next_beat = _BEAT
        while not self._waits():
            if self.seconds() >= next_beat:
                self._beat()
                next_beat += _BEAT
            if self._live:
                say(f"\rrer-numba: {self.seconds():5.0f} s")

    def _waits(self) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._is_over, _TICK)


def _is_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except (OSError, ValueError):
        return False
