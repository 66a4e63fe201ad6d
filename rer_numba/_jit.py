"""How the kernels are compiled: the project's decorators, intrinsics and bundles. The one place with JIT options.

Two ways lead into the same kernels:

* production: `export_ir` gives the LLVM IR of one C function that takes a table of addresses. Its bundles hold bare
  pointers: nothing is counted, wrapped around or checked. `rer_numba.native` turns
  the IR into an object file and runs it without Numba.
* development: the same functions called with bundles of numpy arrays, compiled lazily (bounds checks work here), or
  not compiled at all under ``NUMBA_DISABLE_JIT=1``.

A trial with bundles of arrays instead of pointers took 2 to 20 times as long, for wrap-around checks and reference
counts (measured 2026-11).
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable
from itertools import accumulate
from time import perf_counter_ns
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core import config as _config
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, lower_builtin, lower_getattr_generic, models, register_model

_DISABLED: bool = getattr(_config, "DISABLE_JIT")  # noqa: B009  (numba fills its module at run time)

# Kernels neither raise nor allocate: numpy's error model has no ZeroDivisionError, `_nrt=False` no reference counts.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True, "_nrt": False}
# Only development calls kernels from Python; without the wrappers for that, the compile takes a quarter less.
_WRAPPERS: dict[str, Any] = (
    {} if os.environ.get("RER_NUMBA_ENGINE") == "jit" else {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
)


def _without_literals(dispatcher: Any) -> Any:
    """Keep a function from being compiled again for each constant it is called with.

    Numba types a constant argument by its value, which made up to 15 copies of a helper and 2 of 3 seconds of compile
    time. LLVM propagates constants by itself.
    """
    if _DISABLED:
        return dispatcher
    get_call_template = dispatcher.get_call_template

    def unliteral(args: Any, kws: Any) -> Any:
        return get_call_template(tuple(map(types.unliteral, args)), kws)

    dispatcher.get_call_template = unliteral
    return dispatcher


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel function, compiled when it is first called."""
    return _without_literals(numba.njit(**_OPTIONS, **_WRAPPERS)(function))  # type: ignore[no-any-return]


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A small kernel function that is always inlined into its caller."""
    return _without_literals(numba.njit(forceinline=True, **_OPTIONS, **_WRAPPERS)(function))  # type: ignore[no-any-return]


if _DISABLED:

    def lowest_bit(word: np.uint64) -> int:
        """Index of the lowest set bit; 64 when there is none."""
        value = int(word)
        return (value & -value).bit_length() - 1 if value else 64

    def highest_bit(word: np.uint64) -> int:
        """Index of the highest set bit; -1 when there is none."""
        return int(word).bit_length() - 1

    def count_bits(word: np.uint64) -> int:
        """Number of set bits."""
        return int(word).bit_count()

    def pick(condition: bool, this: int, other: int) -> int:
        """One of two numbers, when nobody can guess which."""
        return this if condition else other

    def load_shared(cells: Any) -> int:
        """The first of some int64 cells, which another thread may write at any time."""
        return int(cells[0])

    def load_published(cells: Any, place: int) -> int:
        """An entry that another thread writes once what belongs to it has been written."""
        return int(cells[place])

    def take_number(cells: Any) -> int:
        """The first of some int64 cells, which is then one more."""
        taken = int(cells[0])
        cells[0] = taken + 1
        return taken

    def read_clock(function: int, argument: int) -> int:
        """Ticks of a clock, see `rer_numba.clock`; uncompiled code reads Python's."""
        return perf_counter_ns()

    def hear_signals(functions: int, cells: Any, place: int) -> int:
        """Nothing to do: Python hears signals itself while it runs uncompiled code."""
        return 0

else:

    @intrinsic
    def lowest_bit(typingctx: Any, word: Any) -> Any:
        """Index of the lowest set bit; 64 when there is none."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

        return types.int64(types.uint64), codegen

    @intrinsic
    def highest_bit(typingctx: Any, word: Any) -> Any:
        """Index of the highest set bit; -1 when there is none."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            zeros = builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))
            return builder.sub(ir.Constant(ir.IntType(64), 63), zeros)

        return types.int64(types.uint64), codegen

    @intrinsic
    def count_bits(typingctx: Any, word: Any) -> Any:
        """Number of set bits."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.ctpop(args[0])

        return types.int64(types.uint64), codegen

    @intrinsic
    def pick(typingctx: Any, condition: Any, this: Any, other: Any) -> Any:
        """One of two numbers, when nobody can guess which: both are made, and no branch is.

        LLVM makes branches of most choices in loops. Of the 188 that took 62 ms instead of 58 (2026-11-21).
        """

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            chosen = builder.select(*args)
            chosen.set_metadata("unpredictable", builder.module.add_metadata([]))
            return chosen

        return types.int64(types.boolean, types.int64, types.int64), codegen

    def _address_of(context: Any, builder: Any, cells_type: Any, cells: Any) -> Any:
        """Where some cells begin: those of a pointer in compiled code, of an array in development."""
        if isinstance(cells_type, types.Array):
            return context.make_array(cells_type)(context, builder, cells).data
        return cells

    @intrinsic
    def load_shared(typingctx: Any, cells: Any) -> Any:
        """The first of some int64 cells, which another thread may write at any time.

        It is read each time: a plain read would be moved out of the loop that waits for it.
        """

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.load_atomic(_address_of(context, builder, cells, args[0]), "monotonic", 8)

        return types.int64(cells), codegen

    @intrinsic
    def load_published(typingctx: Any, cells: Any, place: Any) -> Any:
        """An entry that another thread writes once what belongs to it has been written: that is read afterwards."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            at = builder.gep(_address_of(context, builder, cells, args[0]), [args[1]])
            loaded = builder.load_atomic(at, "acquire", cells.dtype.bitwidth // 8)
            widen = builder.sext if cells.dtype.signed else builder.zext
            return widen(loaded, ir.IntType(64))

        return types.int64(cells, types.int64), codegen

    @intrinsic
    def take_number(typingctx: Any, cells: Any) -> Any:
        """The first of some int64 cells, which is then one more: no two threads get the same."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            one = ir.Constant(ir.IntType(64), 1)
            return builder.atomic_rmw("add", _address_of(context, builder, cells, args[0]), one, "monotonic")

        return types.int64(cells), codegen

    @intrinsic
    def read_clock(typingctx: Any, function: Any, argument: Any) -> Any:
        """Ticks of a clock, see `rer_numba.clock`; 0 when there is no clock.

        The system's function is called as ``f(argument, cells)``, and as ``f(cells, cells)`` for argument -1; it writes
        one or two numbers. Two are seconds and nanoseconds.
        """

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            word = ir.IntType(64)
            cells = cgutils.alloca_once(builder, ir.ArrayType(word, 2))
            first, second = (builder.gep(cells, [ir.IntType(32)(0), ir.IntType(32)(n)]) for n in (0, 1))
            builder.store(word(0), first)
            builder.store(word(0), second)
            with builder.if_then(builder.icmp_signed("!=", args[0], word(0))):
                wants_cells = builder.icmp_signed("==", args[1], word(-1))
                given = builder.select(wants_cells, builder.ptrtoint(first, word), args[1])
                kind = ir.FunctionType(ir.IntType(32), [word, word.as_pointer()])
                builder.call(builder.inttoptr(args[0], kind.as_pointer()), [given, first])
            seconds = builder.load(first)
            ticks = builder.add(builder.mul(seconds, word(1_000_000_000)), builder.load(second))
            return builder.select(builder.icmp_signed("==", args[1], word(-1)), seconds, ticks)

        return types.int64(types.int64, types.int64), codegen

    @intrinsic
    def hear_signals(typingctx: Any, functions: Any, cells: Any, place: Any) -> Any:
        """Let Python's signal handlers run, in its main thread; 1 when one of them raised, else 0.

        `functions` is the address of those of `rer_numba.hearing`. What was raised is left in three of the int64 cells,
        from `place`.
        """

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            number, word, nothing = ir.IntType(32), ir.IntType(64), ir.VoidType()
            table = builder.inttoptr(args[0], word.as_pointer())

            def call(n: int, result: Any, given: list[Any]) -> Any:
                kind = ir.FunctionType(result, [one.type for one in given])
                address = builder.load(builder.gep(table, [word(n)]))
                return builder.call(builder.inttoptr(address, kind.as_pointer()), given)

            first = builder.gep(_address_of(context, builder, signature.args[1], args[1]), [args[2]])
            state = call(0, number, [])
            has_raised = builder.icmp_signed("!=", call(1, number, []), number(0))
            with builder.if_then(has_raised, likely=False):
                call(2, nothing, [builder.gep(first, [word(n)]) for n in range(3)])
            call(3, nothing, [state])
            return builder.zext(has_raised, word)

        return types.int64(types.int64, cells, types.int64), codegen


class FieldPointer(types.CPointer):
    """Numba's type of the address of one field's array. No two fields share memory that is written.

    What is stored in one array leaves the others alone: LLVM is told so with each access, by a type of its own for each
    field (its alias analysis by type), and keeps what it has read in registers: 64 to 61 ms on the 188 (2026-11).
    """

    def __init__(self, dtype: Any, field: str) -> None:
        self.field = field
        super().__init__(dtype)
        self.name = f"{dtype}* {field}"

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells types apart."""
        return (*super().key, self.field)


register_model(FieldPointer)(models.PointerModel)


def _as_field(builder: Any, access: Any, field: str) -> None:
    """Mark a load or a store as one of a field."""
    add = builder.module.add_metadata
    node = add([field, add(["rer-numba"]), ir.Constant(ir.IntType(64), 0)])
    access.set_metadata("tbaa", add([node, node, ir.Constant(ir.IntType(64), 0)]))


@lower_builtin(operator.getitem, FieldPointer, types.Integer)
def _get_item(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    value = builder.load(builder.gep(args[0], [args[1]]))
    _as_field(builder, value, signature.args[0].field)
    return value


@lower_builtin(operator.setitem, FieldPointer, types.Integer, types.Any)
def _set_item(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    _as_field(builder, builder.store(args[2], builder.gep(args[0], [args[1]])), signature.args[0].field)


class PointerBundle(types.Type):
    """Numba's type of a bundle in compiled code: a place in the table of addresses, where its fields' stand in turn.

    A field is read with one load, which LLVM may keep in a register since the table never changes. Handing a bundle to
    a function is handing over one pointer. (As a tuple of 80 pointers a call cost 70 ns, a third of a solve, and the
    compile took twice as long; measured 2026-11.)
    """

    def __init__(self, bundle: type, dtypes: list[str]) -> None:
        self.fields: tuple[str, ...] = bundle._fields  # type: ignore[attr-defined]
        names = [f"{bundle.__name__}.{field}" for field in self.fields]
        self.pointers = [FieldPointer(getattr(types, dtype), name) for dtype, name in zip(dtypes, names, strict=True)]
        super().__init__(f"PointerBundle({bundle.__name__}, {', '.join(dtypes)})")


@register_model(PointerBundle)
class _PointerBundleModel(models.PrimitiveModel):
    def __init__(self, data_model_manager: Any, bundle_type: PointerBundle) -> None:
        super().__init__(data_model_manager, bundle_type, ir.IntType(64).as_pointer())


@infer_getattr
class _PointerBundleAttribute(AttributeTemplate):
    key = PointerBundle

    def generic_resolve(self, bundle_type: Any, name: str) -> Any:  # type: ignore[override]
        return bundle_type.pointers[bundle_type.fields.index(name)] if name in bundle_type.fields else None


@lower_getattr_generic(PointerBundle)
def _read_field(context: Any, builder: Any, bundle_type: PointerBundle, bundle: Any, name: str) -> Any:
    place = bundle_type.fields.index(name)
    address = builder.load(builder.gep(bundle, [ir.Constant(ir.IntType(64), place)]))
    address.set_metadata("invariant.load", builder.module.add_metadata([]))
    return builder.inttoptr(address, context.get_value_type(bundle_type.pointers[place]))


def _bundles_at(bundle_types: list[PointerBundle]) -> Any:
    """An intrinsic: the table of addresses -> all bundles, whose addresses stand in it one bundle after the other."""
    places = list(accumulate((len(one.fields) for one in bundle_types), initial=0))

    @intrinsic
    def read(typingctx: Any, addresses: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            word = ir.IntType(64)
            found = [builder.gep(args[0], [ir.Constant(word, first)]) for first in places[:-1]]
            return context.make_tuple(builder, signature.return_type, found)

        return types.Tuple(bundle_types)(types.CPointer(types.int64)), codegen

    return read


def export_ir(enter: Callable[..., Any], *bundles: tuple[type, list[str]]) -> tuple[str, str]:
    """The LLVM IR of ``enter(*bundles)`` as a C function ``int64 (int64 *addresses)``.

    Parameters
    ----------
    enter : kernel
        Takes the bundles, gives a status.
    *bundles : (NamedTuple class, dtypes of its fields)
        Their addresses stand one after the other in the table. Bundles of one class are of one type.

    Returns
    -------
    (ir, symbol)
        `symbol` is the name of the C function in the IR.
    """
    known: dict[type, PointerBundle] = {}
    for bundle, dtypes in bundles:
        known.setdefault(bundle, PointerBundle(bundle, dtypes))
    read = _bundles_at([known[bundle] for bundle, _ in bundles])

    @numba.cfunc(types.int64(types.CPointer(types.int64)), **_OPTIONS)
    def entry(addresses: Any) -> Any:
        return enter(*read(addresses))

    return entry.inspect_llvm(), entry.native_name
