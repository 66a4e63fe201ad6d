"""The columns of a repository as memoryviews: what solving reads, without numpy, which takes 30 ms to import.

A view of a column is read like an array: by number, by slice, ``tolist()``. A number of it is a Python integer, which
costs a third of what one of numpy does. Whoever calculates with whole columns takes `tables_of`: the same memory, as
arrays.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from array import array
from bisect import bisect_right
from collections import namedtuple
from typing import TYPE_CHECKING, Any, NamedTuple

from rer_numba.forking import cached_property
from rer_numba.needed import require
from rer_numba.schema import BUILDING, COLUMNS, FORMATS, KERNEL_COLUMNS, Tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rer_numba.errors import RepositoryCorruptError
    from rer_numba.verified import Origin


class Longest(NamedTuple):
    """What the sizes of work arrays depend on, in variants.

    Attributes
    ----------
    family, package : int
        Variants of the family, and of the package, that has the most.
    """

    family: int
    package: int


class Views(namedtuple("Views", [column.name for column in COLUMNS])):  # type: ignore[misc]
    """All columns of a repository as memoryviews, one field each (see `rer_numba.schema.COLUMNS`)."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> memoryview[int]: ...
        def __iter__(self) -> Iterator[memoryview[int]]: ...  # type: ignore[override]

    origin: Origin | None = None
    """The file that is mapped; None for columns in memory."""
    file: str | None = None
    """The file that they come from, also if parts of them were read again since; for messages."""

    def require_whole(self) -> None:
        """Raise RepositoryCorruptError if somebody has written over the file: its numbers lead anywhere by now.

        For who reads what an earlier solve has found. Asked once in 2 ms, as before a solve.
        """
        if self.origin is not None and self.origin.was_overwritten():
            raise self.overwritten_error()

    def overwritten_error(self) -> RepositoryCorruptError:
        """What to say then."""
        from rer_numba.errors import RepositoryCorruptError

        return RepositoryCorruptError(
            self.file or "<repository>",
            "was written over while it was in use",
            "replace it in one step, as `rer-numba encode` does, or encode into a folder",
        )

    @cached_property
    def longest(self) -> Longest:
        """Calculated once; a file has it in its metadata."""
        return longest_of(tables_of(self))


def views_of(columns: Tables | Views) -> Views:
    """Look at columns as memoryviews; nothing is copied."""
    return columns if isinstance(columns, Views) else Views(*map(memoryview, columns))  # type: ignore[arg-type]


def tables_of(columns: Tables | Views) -> Tables:
    """Look at columns as numpy arrays; nothing is copied. Raises `NeedsPackageError` where there is no numpy."""
    if isinstance(columns, Tables):
        return columns
    require("reading columns as arrays", "numpy")
    import numpy as np

    views: list[memoryview[int]] = list(columns)
    return Tables(*[np.ndarray(len(view), column.dtype, view) for column, view in zip(COLUMNS, views, strict=True)])


def kernel_columns(views: Views, building: bool) -> list[memoryview[int]]:
    """The columns the kernel reads, in the order of `KERNEL_COLUMNS`.

    Parameters
    ----------
    building : bool
        Take the requirements with ``build_requires`` joined in. When no package has any, the plain ones are the same.
    """
    prefix = BUILDING if building and len(views.building_variant_requirement_offsets) else ""
    return [getattr(views, prefix + column.name if column.requires else column.name) for column in KERNEL_COLUMNS]


def family_of_package(columns: Tables | Views, package: int) -> int:
    """The family of a package, by bisection."""
    return bisect_right(columns.family_package_offsets, package) - 1


def longest_of(tables: Tables) -> Longest:
    """Calculate it. A family and a package count one variant at least."""
    import numpy as np

    counts = (np.diff(offsets) for offsets in (tables.family_variant_offsets, tables.package_variant_offsets))
    return Longest(*(int(count.max(initial=1)) for count in counts))


def empty(dtype: str) -> memoryview[int]:
    """A view of no numbers, of one of the types of `rer_numba.schema.FORMATS`."""
    return memoryview(array(FORMATS[dtype])).toreadonly()


def numbers(dtype: str, values: Iterable[int]) -> memoryview[int]:
    """Memory with these numbers, which can be written."""
    return memoryview(array(FORMATS[dtype], values))


def zeros(dtype: str, length: int) -> memoryview[int]:
    """Memory for numbers, which can be written. Large ones cost nothing where nobody touches them."""
    if not length:
        return memoryview(array(FORMATS[dtype]))
    size = length * array(FORMATS[dtype]).itemsize
    return typed(memoryview(bytearray(size) if size < _LARGE else _pages(size)), dtype)


_LARGE = 1 << 18
"""Bytes. Python writes zeros into all of a bytearray: the first solve from 1.8 million packages took 15 ms, not 5."""


def _pages(size: int) -> mmap.mmap:
    """Memory straight from the system, which is zero when it is first touched. A child of fork has its own."""
    try:
        if hasattr(mmap, "MAP_ANONYMOUS"):
            return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        return mmap.mmap(-1, size)
    except OSError as error:
        raise MemoryError(f"{size} bytes of work arrays: {error}") from error


def typed(view: memoryview, dtype: str) -> memoryview[int]:
    """See bytes as numbers. There must be some: a view of nothing cannot be cast."""
    return view.cast(FORMATS[dtype])  # type: ignore[call-overload, no-any-return]


def mask_at(words: memoryview[int], start: int, n_words: int) -> int:
    """The mask of a family that stands in a column from `start`, as one number: bit ``i`` is its ``i``-th variant."""
    if sys.byteorder == "little":
        return int.from_bytes(words[start : start + n_words].tobytes(), "little")
    return sum(word << 64 * k for k, word in enumerate(words[start : start + n_words]))


# ------------------------------------------------------------------------------------------------------------ addresses
class _Buffer(ctypes.Structure):
    """``Py_buffer`` of Python's stable interface."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = (ctypes.py_object, ctypes.POINTER(_Buffer), ctypes.c_int)
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = (ctypes.POINTER(_Buffer),)
_release_buffer.restype = None


def addresses(buffers: Iterable[Any]) -> list[int]:
    """Where arrays or views lie in memory, which may be read-only. Valid as long as they live. Takes 0.5 us each."""
    found = []
    buffer = _Buffer()
    for one in buffers:
        _get_buffer(one, buffer, 0)
        found.append(buffer.buf or 0)
        _release_buffer(buffer)
    return found
