"""Machine code in this process: an object file becomes a function that Python can call, by llvmlite without Numba.

Code that was loaded is never unloaded: a function pointer may sit in any thread, or in a forked child, for as long as
the process lives. Pages of code are private memory, so a child made by fork keeps working.
"""

import ctypes
from collections.abc import Callable
from typing import Any, Final

import llvmlite.binding as llvm

ENTRY: Final = "rer_numba_entry"
"""The one name an object file exports."""
KERNEL_RAISED: Final = -(1 << 63)
"""What the entry returns if a kernel raised, which only happens in code that was compiled with bounds checks."""

NativeFunction = Callable[[int], int]
"""Takes the address of a table of int64 addresses, returns a status. Releases the GIL while it runs."""

_PROTOTYPE: Final = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)
_keep_alive: list[Any] = []


class NativeError(Exception):
    """Machine code that cannot be made or loaded on this system."""


def target_machine(cpu: str = "", features: str = "") -> Any:
    """Return an LLVM target machine that makes what MCJIT can load in this process.

    Parameters
    ----------
    cpu, features : str
        LLVM's name of the CPU, and what to add to or take from its own features. Empty to load only.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()  # MCJIT ends the process without it, even if it has nothing to compile
    target = llvm.Target.from_triple(llvm.get_process_triple())
    # As Numba does: x86 under MCJIT needs static relocation, and code may lie more than 2 GB away from libc.
    reloc = "static" if target.name.startswith("x86") else "default"
    return target.create_target_machine(
        cpu=cpu, features=features, opt=3, reloc=reloc, codemodel="jitdefault", jit=True
    )


def load_code(code: bytes) -> NativeFunction:
    """Load an object file and return its entry.

    Parameters
    ----------
    code : bytes
        An object file whose undefined symbols are all in this process, or LLVM ends the process: see
        `native_compile.Compiled`.

    Returns
    -------
    callable
        Valid until the process ends.

    Raises
    ------
    NativeError
        If this system allows no executable memory, or the object has no entry.
    """
    try:
        llvm.check_jit_execution()
        module = llvm.parse_assembly("")
        engine = llvm.create_mcjit_compiler(module, target_machine())
        engine.remove_module(module)
        object_file = llvm.ObjectFileRef.from_data(code)
        if not object_file:
            raise ValueError("no object file")
        engine.add_object_file(object_file)
        engine.finalize_object()
        address = engine.get_function_address(ENTRY)
    except (OSError, RuntimeError, ValueError) as error:
        raise NativeError(f"compiled kernels cannot be loaded: {error}") from error
    _keep_alive.extend((engine, object_file))
    if not address:
        raise NativeError(f"compiled kernels have no function {ENTRY}")
    return _PROTOTYPE(address)
