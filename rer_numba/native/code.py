"""Machine code becomes a function that Python can call.

Two forms of code are kept. An *image* (`rer_numba.native.image`) is linked already: it is copied into memory and runs.
An object file, where there are no images, needs LLVM to be loaded (`rer_numba.native.machine`).

Code that was loaded is never unloaded: a function pointer may sit in any thread, or in a forked child, for as long as
the process lives. Pages of code are private memory, so a child made by fork keeps working.
"""

import ctypes
from collections.abc import Callable
from typing import Final

from rer_numba.errors import NeedsPackageError
from rer_numba.native import image
from rer_numba.needed import require

ENTRY: Final = "rer_numba_entry"
"""The one name an object file exports."""
KERNEL_RAISED: Final = -(1 << 63)
"""What the entry returns if a kernel raised, which only happens in code that was compiled with bounds checks."""

NativeFunction = Callable[[int], int]
"""Takes the address of a table of int64 addresses, returns a status. Releases the GIL while it runs."""

_PROTOTYPE: Final = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)


class NativeError(Exception):
    """Machine code that cannot be made or loaded on this system."""


def require_package(purpose: str, package: str) -> None:
    """Raise NativeError, which says what to install, unless a package is here."""
    try:
        require(purpose, package)
    except NeedsPackageError as error:
        raise NativeError(str(error)) from None


def load_code(code: bytes) -> NativeFunction:
    """Load an image or an object file and return its entry.

    Parameters
    ----------
    code : bytes
        As `rer_numba.native.compiler.Compiled` has it. The undefined symbols of an object file must all be in this
        process, or LLVM ends the process.

    Returns
    -------
    callable
        Valid until the process ends.

    Raises
    ------
    NativeError
        If this system allows no executable memory, the object has no entry, or llvmlite is missing that loads it.

    Notes
    -----
    An image of 65 kB takes 0.1 ms; an object file 3 ms, after the 30 that importing llvmlite takes (2026-11-21).
    """
    try:
        if image.is_image(code):
            address = image.map_image(code)
        else:
            require_package("loading compiled kernels on this system", "llvmlite")
            from rer_numba.native.machine import load_object

            address = load_object(code, ENTRY)
    except (OSError, RuntimeError, ValueError) as error:
        raise NativeError(f"compiled kernels cannot be loaded: {error}") from error
    if not address:
        raise NativeError(f"compiled kernels have no function {ENTRY}")
    return _PROTOTYPE(address)
