"""Compiling the kernels, once: of several processes that need the same object, one works and the others wait.

Imported only when something must be compiled.
"""

import time
from collections.abc import Callable
from typing import Final

from rer_numba.locks import Lock, LockWatch, claim_lock
from rer_numba.native import compiler as native_compile
from rer_numba.native.cache import Place
from rer_numba.native.files import keep, make_folder
from rer_numba.native.host import HOST
from rer_numba.native.key import KernelSet, SourceStamp
from rer_numba.native.progress import BuildProgress
from rer_numba.tell import tell_once, warn_once

LOCK_PATIENCE: Final = 30.0
"""Seconds without a beat (one every two seconds) after which a compiling process counts as dead."""
WAIT_LIMIT: Final = 300.0
"""Seconds to wait for other processes before compiling for oneself."""
_POLL: Final = 0.05


def compile_shared(kernels: KernelSet, cpu: str, place: Place | None) -> bytes:
    """Compile, or wait for a process that compiles the same.

    Parameters
    ----------
    kernels : KernelSet
    cpu : str
        Name of a CPU, or "host".
    place : Place or None
        Where to keep the object. If it cannot be kept, or there is no place, a warning is given and work goes on.

    Returns
    -------
    bytes
        Machine code, as `load_code` takes it.

    Raises
    ------
    NativeError
        If it cannot be compiled.
    """
    if place is None:
        warn_once("there is no folder for compiled kernels, so every process compiles them; set RER_NUMBA_CACHE_DIR")
    if place is None or make_folder(place) is not None:
        return _compile_alone(kernels, cpu, place)
    path = place.path + ".lock"
    watch = LockWatch(path, LOCK_PATIENCE)
    deadline = time.monotonic() + WAIT_LIMIT
    while time.monotonic() < deadline:
        try:
            lock = claim_lock(path)
        except OSError:
            break  # the folder takes no files
        if lock is not None:
            return _compile_locked(kernels, cpu, place, lock)
        state = watch.state()
        code = place.read()
        if code is not None:
            return code
        if state == "gone":
            break  # its owner could not keep the object, nor shall we: no use in queueing
        if state == "stale":
            watch.break_lock()
            continue
        tell_once(f"rer-numba: another process is compiling {kernels.what}, waiting for it ...\n")
        time.sleep(_POLL)
    return _compile_alone(kernels, cpu, place)


def _compile_locked(kernels: KernelSet, cpu: str, place: Place, lock: Lock) -> bytes:
    try:
        # the last owner may have finished between our look and our claim
        return place.read() or _compile_alone(kernels, cpu, place, lock.beat)
    finally:
        lock.release()


def _compile_alone(kernels: KernelSet, cpu: str, place: Place | None, beat: Callable[[], None] = lambda: None) -> bytes:
    """Compile, and keep the result if it is what the place's key says."""
    stamp = SourceStamp(kernels) if place else None
    with BuildProgress(kernels.what, "this machine" if cpu == HOST else cpu, beat):
        if cpu == HOST:
            compiled = native_compile.compile_here(kernels.module)
        else:
            compiled = native_compile.compile_elsewhere(kernels.module, cpu)
    if place and stamp:
        if not stamp.still_true():
            warn_once("compiled kernels are not kept, since their sources were edited meanwhile")
        elif not compiled.may_be_kept:
            warn_once("compiled kernels are not kept, since they hang on settings or symbols of this very process")
        else:
            keep(place, compiled.code)
    return compiled.code
