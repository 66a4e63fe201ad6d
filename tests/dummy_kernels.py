"""A kernel module as `rer_numba.native` expects one, small enough to compile in a second.

`export_ir` gives ``int64 f(int64 *table)`` with table = (count, address of int64 values, ...): the sum of the values
times `FACTOR`. The other kernels do what real ones must not: raise, allocate.
"""

from typing import Any

import numpy as np
from llvmlite import ir as llvm_ir
from numba import cfunc, njit, types
from numba.extending import intrinsic

FACTOR = 3
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True, "_nrt": False}


@intrinsic
def as_pointer(typingctx: Any, address: Any) -> Any:
    """An integer -> the pointer with that address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], llvm_ir.IntType(64).as_pointer())

    return types.CPointer(types.int64)(types.int64), codegen


@njit(**_OPTIONS)
def total(values: Any, count: int) -> int:
    """The sum of some values."""
    result = np.int64(0)
    for i in range(count):
        result += values[i]
    return result


def tripled(table: Any) -> int:
    """What `export_ir` exports."""
    return total(as_pointer(table[1]), table[0]) * FACTOR


def raising(table: Any) -> int:
    """A kernel that raises for a negative count."""
    if table[0] < 0:
        raise ValueError("count")
    return table[0]


def allocating(table: Any) -> int:
    """A kernel that allocates, and lets nothing be optimised away."""
    values = np.empty(table[0] + 1, np.int64)
    for i in range(table[0] + 1):
        values[i] = table[1] * i
    return values[table[2]]


def filling(table: Any) -> int:
    """A kernel that LLVM turns into a call of memset."""
    values = as_pointer(table[1])
    for i in range(table[0]):
        values[i] = 0
    return 0


def export(function: Any, **options: Any) -> tuple[str, str]:
    """The IR of a kernel, and the name of its C function."""
    made = cfunc(types.int64(types.CPointer(types.int64)), **{**_OPTIONS, **options})(function)
    return made.inspect_llvm(), made.native_name


def export_ir() -> tuple[str, str]:
    """The interface that `rer_numba.native` asks for."""
    return export(tripled)
