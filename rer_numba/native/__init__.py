"""The compiled kernels: found, or made once, and run without Numba.

`load_native` looks in the user's cache, then among the objects that came with the package, and compiles only if neither
has one that fits. A process that finds one imports neither Numba nor pyarrow; nor llvmlite, where it finds an image.

Environment
-----------
RER_NUMBA_CACHE_DIR
    Another folder for compiled kernels.
RER_NUMBA_CPU
    Use code for this CPU (``generic``, ``x86-64-v3``, ...) instead of this machine's own.
RER_NUMBA_QUIET
    1: say nothing while compiling.
"""

import os
import time
from collections.abc import Iterable
from typing import Final, NamedTuple

from rer_numba.forking import Lock
from rer_numba.native.cache import Place, file_name
from rer_numba.native.code import NativeError, NativeFunction, load_code, require_package
from rer_numba.native.host import HOST
from rer_numba.native.key import KERNEL_SETS, KERNELS, PORTABLE, KernelSet, machine_name, object_key, portable_key
from rer_numba.needed import is_here
from rer_numba.tell import warn_once
from rer_numba.user_cache import cache_folder

__all__ = ["NativeError", "NativeFunction", "WarmObject", "load_native", "warmup"]

_loaded: dict[tuple[str, KernelSet], NativeFunction] = {}
_guard = Lock()


def load_native(*, cpu: str | None = None, kernels: KernelSet = KERNELS) -> NativeFunction:
    """Return compiled kernels: the solver, or another set.

    Parameters
    ----------
    cpu : str, optional
        CPU name that the code is for; "host" for this machine. Default: ``RER_NUMBA_CPU``, or this machine, for which
        portable code that came with the package is good enough.
    kernels : KernelSet
        Which kernels.

    Returns
    -------
    callable
        ``int64 (address of a table of int64 addresses)``. The same object each time; valid until the process ends, in
        every thread and in forked children. It releases the GIL while it runs.

    Raises
    ------
    NativeError
        If there is no usable object and none can be made, for example since Numba is not installed.

    Notes
    -----
    Warm, with 65 kB of code: 0.7 ms, half of it for the key (2026-11-21).
    """
    name = _choose_cpu(cpu)
    with _guard:
        function = _loaded.get((name, kernels))
        if function is None:
            function = _loaded[name, kernels] = _load(name, kernels)
        return function


class WarmObject(NamedTuple):
    """One object that `warmup` made or found; `seconds` is 0 if it was there."""

    cpu: str
    path: str
    seconds: float
    bytes: int


def warmup(
    cpus: Iterable[str] | None = None, *, prebuilt_folder: str | None = None, kernels: Iterable[KernelSet] = KERNEL_SETS
) -> list[WarmObject]:
    """Compile ahead of time.

    Parameters
    ----------
    cpus : iterable of str, optional
        CPU names; "host" for this machine, which is the default.
    prebuilt_folder : str, optional
        Write objects that can be shipped with the package into this folder, instead of the user's cache. They fit every
        machine of this operating system and architecture whose CPU is good enough. "host" cannot be shipped.
    kernels : iterable of KernelSet
        Which kernels; all of the package by default.

    Returns
    -------
    list of WarmObject

    Raises
    ------
    NativeError
        If one cannot be compiled or written.
    """
    sets = tuple(kernels)
    return [_warm(name, prebuilt_folder, one) for name in ((HOST,) if cpus is None else cpus) for one in sets]


def _warm(cpu: str, prebuilt_folder: str | None, kernels: KernelSet) -> WarmObject:
    require_package("compiling kernels", "numba")
    from rer_numba.native.build import compile_shared

    place = _place_to_warm(_checked_name(cpu), prebuilt_folder, kernels)
    code = place.read()
    if code is not None:
        return WarmObject(cpu, place.path, 0.0, len(code))
    started = time.monotonic()
    code = compile_shared(kernels, cpu, place)
    if place.read() is None:
        raise NativeError(f"compiled kernels could not be kept in {place.path}")
    return WarmObject(cpu, place.path, time.monotonic() - started, len(code))


def _place_to_warm(cpu: str, prebuilt_folder: str | None, kernels: KernelSet) -> Place:
    if prebuilt_folder is None:
        place = _own_place(kernels, cpu)
    elif cpu == HOST:
        raise NativeError("an object to be shipped needs the name of a CPU")
    else:
        place = _shipped_place(kernels, cpu, os.path.abspath(prebuilt_folder))
    if place is None:
        raise NativeError("there is no folder for compiled kernels; RER_NUMBA_CACHE_DIR can name one")
    return place


# -------------------------------------------------------------------------------------------------------------- the CPU
_LEVEL_2: Final = ("cx16", "popcnt", "sahf", "sse4.1", "sse4.2", "ssse3")
_LEVEL_3: Final = (*_LEVEL_2, "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe")
_LEVELS: Final = {
    "x86-64-v2": _LEVEL_2,
    "x86-64-v3": _LEVEL_3,
    "x86-64-v4": (*_LEVEL_3, "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"),
}
"""What a machine must have (x86-64 psABI). Other names are the user's word."""


def _is_cpu_name(text: str) -> bool:
    return 0 < len(text) <= 32 and text.isascii() and text[0].isalnum() and text.translate(_PLAIN).isalnum()


_PLAIN: Final = str.maketrans("", "", "-._+")


def _checked_name(cpu: str) -> str:
    if not _is_cpu_name(cpu):
        raise NativeError(f"{cpu!r} cannot be the name of a CPU")
    return cpu


def _choose_cpu(cpu: str | None) -> str:
    """Return the name that was asked for, or "" for whatever is best here.

    A level that this machine lacks would end the process, so it is refused.
    """
    if cpu:
        name = _checked_name(cpu)
    else:
        name = os.environ.get("RER_NUMBA_CPU", "")
        if name and not _is_cpu_name(name):
            warn_once(f"RER_NUMBA_CPU={name!r} cannot be the name of a CPU")
            name = ""
    if missing := set(_LEVELS.get(name, ())) - _host_features(name):
        warn_once(f"this machine is no {name} (it lacks {', '.join(sorted(missing))}); using code of its own")
        return ""
    return name


def _host_features(name: str) -> set[str]:
    """Return the features of this machine, if the name is a level that asks for some."""
    if name not in _LEVELS:
        return set()
    require_package(f"telling whether this machine is a {name}", "llvmlite")
    from rer_numba.native.machine import find_target

    return set(find_target(HOST).features.replace("+", "").split(","))


# ------------------------------------------------------------------------------------------------------ where code lies
def _own_place(kernels: KernelSet, cpu: str) -> Place | None:
    """Return the place in the user's cache.

    None if there is no folder for one, no source to name it after, or no Numba that could have made what lies there.
    """
    folder = cache_folder()
    if folder is None or not is_here("numba"):
        return None
    try:
        key = object_key(kernels, cpu)
    except OSError as error:
        warn_once(f"the sources of the solver cannot be read: {error}")
        return None
    return Place(os.path.join(folder, file_name(cpu, key)), key, shipped=False)


def _shipped_place(kernels: KernelSet, cpu: str, folder: str) -> Place | None:
    """Return the place of an object that came with the package, or None if there is no source to name it after."""
    try:
        key = portable_key(kernels, cpu)
    except OSError:
        return None
    return Place(os.path.join(folder, file_name(cpu, key)), key, shipped=True)


def _load(name: str, kernels: KernelSet) -> NativeFunction:
    """Load from the first place that has the object, or compile it. `name` is "" for whatever is best here."""
    cpu = name or HOST
    own = _own_place(kernels, cpu)
    code = own.read() if own else None
    if code is None and name != HOST:
        shipped = _shipped_place(kernels, name or PORTABLE, kernels.prebuilt)
        code = shipped.read() if shipped else None
    return load_code(code if code is not None else _compile(kernels, cpu, own))


def _compile(kernels: KernelSet, cpu: str, place: Place | None) -> bytes:
    """Compile for a CPU, or else for this machine."""
    machine = machine_name() if cpu == HOST else cpu
    require_package(f"there are no compiled kernels for {machine} in this installation: making them", "numba")
    from rer_numba.native.build import compile_shared

    try:
        return compile_shared(kernels, cpu, place)
    except NativeError as error:
        if cpu == HOST:
            raise
        warn_once(f"{error}; using code for this machine")
        return compile_shared(kernels, HOST, None)
