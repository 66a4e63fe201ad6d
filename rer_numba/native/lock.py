"""Locks of the object cache: of several processes that need the same object, one compiles and the others wait.

A lock is a file made with O_EXCL, which every platform and NFS since version 3 has. It holds its owner's host and
process number, and the owner renews its date while it works. A lock is advice: losing one, or
breaking a live one, costs a second compilation and nothing else.
"""

import os
import time
from typing import Final, NamedTuple

from rer_numba.native.cache import NO_WAIT, OPEN_FLAGS, renew_date

DEAD_AFTER: Final = 600.0
"""Seconds without a beat, by the clock, after which a lock met for the first time is dead."""


def remove_file(path: str) -> bool:
    """Remove a file; tell whether that worked."""
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


class Writer(NamedTuple):
    """Who made a temporary or lock file, as its name or its text says."""

    host: str
    pid: int

    def is_dead(self) -> bool:
        """Tell whether the process is known to be gone. False when in doubt: another host, another operating system."""
        # On Windows os.kill(pid, 0) sends Ctrl-C instead of asking.
        if os.name != "posix" or self.host != _host() or self.pid <= 0:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            pass
        return False


def _host() -> str:
    import platform  # not in a warm process

    return "".join(c if c.isalnum() or c == "-" else "_" for c in platform.node()) or "host"


def writer_name() -> str:
    """Return a text that names this process and this call."""
    return f"{_host()}.{os.getpid()}.{os.urandom(4).hex()}"


def parse_writer(text: str) -> Writer | None:
    """Read what `writer_name` wrote, or return None."""
    parts = text.split(".")
    if len(parts) != 3 or not parts[1].isdecimal() or not parts[1].isascii() or len(parts[1]) > 10:
        return None
    return Writer(parts[0], int(parts[1]))


class BuildLock:
    """The right to compile one object, held while a file of ours exists. `claim_lock` makes it."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._text = text

    def beat(self) -> None:
        """Show that we are alive, by the date of the file."""
        renew_date(self._path)

    def release(self) -> None:
        """Remove the file, unless another process took it over."""
        if read_lock(self._path) == self._text:
            remove_file(self._path)


def claim_lock(path: str) -> BuildLock | None:
    """Take a lock, or return None if somebody has it. Raises OSError if the folder takes no lock files."""
    text = writer_name()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_FLAGS, 0o600)
    except FileExistsError:
        return None
    try:
        os.write(handle, text.encode("ascii", "replace"))
    except OSError:
        remove_file(path)
        raise
    finally:
        os.close(handle)
    return BuildLock(path, text)


def read_lock(path: str) -> str | None:
    """Return a lock's text, or None if it is gone or is no plain file."""
    try:
        handle = os.open(path, os.O_RDONLY | OPEN_FLAGS | NO_WAIT)
    except OSError:
        return None
    try:
        return os.read(handle, 200).decode("ascii", "replace")
    except OSError:
        return None
    finally:
        os.close(handle)


class LockWatch:
    """Watches somebody else's lock for signs of life.

    The owner beats by renewing the file's date. Only *change* of that date counts, measured by our own monotonic clock,
    since the clocks of two hosts that share a home differ; the clock is asked just for locks that are very old.

    Parameters
    ----------
    path : str
        The lock file.
    patience : float
        Seconds without a beat after which the owner counts as dead.
    """

    def __init__(self, path: str, patience: float) -> None:
        self._path = path
        self._patience = patience
        self._seen: tuple[str, int] | None = None
        self._since = 0.0

    def state(self) -> str:
        """Return "gone", "alive" or "stale"."""
        try:
            date = os.lstat(self._path).st_mtime_ns
        except OSError:
            return "gone"
        seen = (read_lock(self._path) or "", date)
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
        writer = parse_writer(seen[0])
        dead = (writer is not None and writer.is_dead()) or time.time() - date / 1e9 > DEAD_AFTER
        return "stale" if dead or time.monotonic() - self._since > self._patience else "alive"

    def break_lock(self) -> None:
        """Remove the lock that was found stale, if it is still the same one."""
        if self._seen is not None and (read_lock(self._path) or "") == self._seen[0] and not remove_file(self._path):
            try:
                os.rmdir(self._path)  # a folder in the lock's place, which nobody beats
            except OSError:
                pass
