"""Who writes a file, and whether that process still lives: locks, and the names of temporary files.

A lock is a file that only one process can make: a hard link, or where there are none a file made with O_EXCL, which
every platform and NFS since version 3 has. It holds its owner's host and process number, and the owner renews its date
while it works. A lock whose owner died is taken over: at once when the owner was a process of this host, else after
some time without a beat.

A lock is advice. It keeps two processes from doing the same work; what they write appears whole or not at all without
it. Who was suspended for so long that the lock was taken over would publish old content over new: so a writer asks
`Lock.require_held` right before its file takes the name.
"""

import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, NamedTuple

from rer_numba.errors import RerError
from rer_numba.user_cache import NO_WAIT, OPEN_FLAGS, renew_date, set_mode

DEAD_AFTER: Final = 600.0
"""Seconds without a beat, by the clock, after which a lock met for the first time is dead."""
LITTER_AFTER: Final = 3_600.0
"""Seconds after which a temporary file has no living writer, whatever its name says."""
PATIENCE: Final = 60.0
"""Seconds without a beat, by our own clock, after which the owner of a writer's lock counts as dead."""
_EMPTY_PATIENCE: Final = 5.0
"""For a lock without an owner. Where there are no hard links, one is left by a process that is killed just then."""
_BEAT_EVERY: Final = 1.0
_POLL: Final = (0.02, 0.5)
_TEMPORARY: Final = ".rer-numba-writes-"
_FIRST_NAMESPACE: Final = "4026531836"


# -------------------------------------------------------------------------------------------------------------- writers
class Writer(NamedTuple):
    """Who made a temporary or lock file, as its name or its text says."""

    host: str
    pid: int

    def is_dead(self) -> bool:
        """Tell whether the process is known to be gone. False when in doubt: another host, another operating system."""
        # On Windows os.kill(pid, 0) sends Ctrl-C instead of asking.
        if os.name != "posix" or self.host != host_name() or self.pid <= 0:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            pass
        return False


def host_name() -> str:
    """Return what tells process numbers apart: the host, and in a container its process namespace."""
    import platform  # not in a warm process

    try:
        namespace = "".join(filter(str.isdecimal, os.readlink("/proc/self/ns/pid")))
    except OSError:  # not Linux
        namespace = ""
    node = "".join(c if c.isascii() and (c.isalnum() or c == "-") else "_" for c in platform.node()[:64]) or "host"
    return node if namespace in ("", _FIRST_NAMESPACE) else f"{node}-{namespace}"


def writer_name() -> str:
    """Return a text that names this process and this call."""
    return f"{host_name()}.{os.getpid()}.{os.urandom(4).hex()}"


def parse_writer(text: str) -> Writer | None:
    """Read what `writer_name` wrote, or return None."""
    parts = text.split(".")
    if len(parts) != 3 or not parts[1].isdecimal() or not parts[1].isascii() or len(parts[1]) > 10:
        return None
    return Writer(parts[0], int(parts[1]))


def temporary_name(path: str) -> str:
    """Return a name beside `path` that nobody else uses, and that says who does."""
    return f"{path}{_TEMPORARY}{writer_name()}.tmp"


def target_of_temporary(name: str) -> str | None:
    """Return for which file a temporary name was made; None if `temporary_name` did not make it."""
    target, mark, writer = name.rpartition(_TEMPORARY)
    return target if mark and target and writer.endswith(".tmp") else None


def is_litter(path: str, date: float) -> bool:
    """Tell whether nobody writes a temporary file of this date (seconds since 1970) any more."""
    if time.time() - date > LITTER_AFTER:
        return True
    writer = parse_writer(path.rpartition(_TEMPORARY)[2].removesuffix(".tmp"))
    return writer is not None and writer.is_dead()


# ---------------------------------------------------------------------------------------------------------------- files
def remove_file(path: str) -> bool:
    """Remove a file; tell whether that worked."""
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def claim_lock(path: str) -> "Lock | None":
    """Take a lock, or return None if somebody has it. Raises OSError if the folder takes no lock files."""
    if os.path.lexists(path):
        return None
    text = writer_name()
    whole = temporary_name(path)
    _write_new(whole, text)
    try:
        os.link(whole, path)  # with its owner in it at once, also if we are killed right after
    except FileExistsError:
        # NFS says so too when its first answer was lost
        return Lock(path, text) if read_lock(path) == text else None
    except OSError:  # no hard links here
        try:
            _write_new(path, text)
        except FileExistsError:
            return None
    finally:
        remove_file(whole)
    return Lock(path, text)


def _write_new(path: str, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_FLAGS, 0o644)
    try:
        set_mode(handle, 0o644)  # who cannot read whose lock it is would take it for one without an owner
        os.write(handle, text.encode("ascii", "replace"))
    except OSError:
        remove_file(path)
        raise
    finally:
        os.close(handle)


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


class Lock:
    """The right to write something, held while a file of ours exists. `claim_lock` and `writer_lock` make it.

    A context manager: leaving it releases the lock.
    """

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self._text = text
        self._last_beat = time.monotonic()

    def __enter__(self) -> "Lock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def beat(self) -> None:
        """Show that we are alive, by the date of the file. Cheap: may be called for every piece of work."""
        now = time.monotonic()
        if now - self._last_beat >= _BEAT_EVERY:
            self._last_beat = now
            if self.is_held():
                renew_date(self.path)

    def is_held(self) -> bool:
        """Tell whether the lock is still ours: after a long pause, another process may have taken it over."""
        return read_lock(self.path) == self._text

    def require_held(self) -> None:
        """Raise LockLostError unless the lock is still ours."""
        if not self.is_held():
            raise LockLostError(self.path)

    def release(self) -> None:
        """Remove the file, unless another process took it over."""
        for _ in range(50):
            if not self.is_held() or remove_file(self.path) or os.name != "nt":
                return
            time.sleep(0.02)  # Windows: a process that waits is reading it


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
        writer = self.owner()
        dead = (writer is not None and writer.is_dead()) or time.time() - date / 1e9 > DEAD_AFTER
        patience = self._patience if seen[0] else min(self._patience, _EMPTY_PATIENCE)
        return "stale" if dead or time.monotonic() - self._since > patience else "alive"

    def owner(self) -> Writer | None:
        """Return who had the lock when `state` looked, if its text says so."""
        return parse_writer(self._seen[0]) if self._seen else None

    def break_lock(self) -> bool:
        """Remove the lock that was found stale; tell whether that worked.

        It is moved aside before it is removed, and put back if it turns out to be a new one: of two processes that
        both found the old lock stale, the slower one must not remove what the faster one has taken.
        """
        if self._seen is None or (read_lock(self._path) or "") != self._seen[0]:
            return False
        aside = temporary_name(self._path)
        try:
            os.rename(self._path, aside)
        except OSError:
            return False
        if (read_lock(aside) or "") == self._seen[0]:
            return remove_file(aside) or _remove_folder(aside, self._path)
        try:
            os.link(aside, self._path)
        except OSError:
            pass  # taken by a third, or there are no hard links: `is_held` tells the owner
        remove_file(aside)
        return False


def _remove_folder(aside: str, path: str) -> bool:
    """Remove a folder that was in a lock's place, or put back what cannot be removed."""
    try:
        os.rmdir(aside)
        return True
    except OSError:
        pass
    try:
        os.rename(aside, path)
    except OSError:
        pass  # taken meanwhile
    return False


# ------------------------------------------------------------------------------------------------------- writers' locks
class LockedError(RerError):
    """Another process is writing, and we shall not wait any longer.

    Parameters
    ----------
    path : str
        The lock file.
    host : str
        Where the owner runs; empty if the lock does not say.
    pid : int
        The owner's process number.
    """

    def __init__(self, path: str, host: str, pid: int) -> None:
        super().__init__(path, host, pid)
        self.path = path
        self.host = host
        self.pid = pid

    def __str__(self) -> str:
        return (
            f"{self.path}: {describe_owner(self.host, self.pid)} is writing; "
            "wait for it, or remove this file if that process is gone"
        )


class LockLostError(RerError):
    """A lock was taken over while its owner was suspended, so the owner must not write any more.

    Parameters
    ----------
    path : str
        The lock file.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return (
            f"{self.path}: this process was suspended for so long that another one took the lock; nothing was written, "
            "so do it again"
        )


def describe_owner(host: str, pid: int) -> str:
    """Say who holds a lock, in words."""
    return f"process {pid} on {host}" if host else "another process"


def writer_lock(
    target: str | os.PathLike[str],
    *,
    wait_seconds: float = 600.0,
    on_wait: Callable[[str], None] | None = None,
    patience: float = PATIENCE,
) -> Lock:
    """Become the one writer of a file.

    ``with writer_lock(path) as lock:`` holds ``<path>.lock``. The holder calls `Lock.beat` at least every few seconds.

    Parameters
    ----------
    target : str or path
        What is to be written. Of a symbolic link, the file it points to.
    wait_seconds : float
        How long to wait for another writer; 0 tries once.
    on_wait : callable, optional
        Called with words for who holds the lock, when waiting begins and whenever that changes.
    patience : float
        Seconds without a beat after which the other writer counts as dead.

    Raises
    ------
    LockedError
        Another process still has the lock.
    OSError
        The folder takes no lock file; it names `target`.
    """
    path = f"{os.path.realpath(target)}.lock"
    watch = LockWatch(path, patience)
    deadline = time.monotonic() + wait_seconds
    told, pause, at_once = None, _POLL[0], 3
    while True:
        lock = _claim_for(target, path, deadline)
        if lock is not None:
            return lock
        state = watch.state()
        if at_once and (state == "gone" or (state == "stale" and watch.break_lock())):
            at_once -= 1
            continue
        owner = watch.owner() or Writer("", 0)
        left = deadline - time.monotonic()
        if left <= 0:
            raise LockedError(path, *owner)
        if on_wait is not None and owner != told:
            told = owner
            on_wait(describe_owner(*owner))
        time.sleep(min(pause, left))
        pause, at_once = min(2 * pause, _POLL[1]), 3


def _claim_for(target: str | os.PathLike[str], path: str, deadline: float) -> Lock | None:
    """`claim_lock`, whose errors name the target."""
    try:
        return claim_lock(path)
    except OSError as error:
        # Windows says so of a lock that is being removed
        if os.name == "nt" and isinstance(error, PermissionError) and time.monotonic() < deadline:
            return None
        raise OSError(error.errno, error.strerror, os.fspath(target)) from error
