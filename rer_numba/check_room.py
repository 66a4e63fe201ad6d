"""Memory for `rer_numba.checks`, and the crossing into its kernels, as `rer_numba.compose_room` has it for others.

The kernels are loaded as machine code of their own (`rer_numba.native`): a process whose file has been verified does
not load them. With ``RER_NUMBA_ENGINE=jit`` they run through Numba's ``@njit``, on bundles of arrays.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any, Final

from rer_numba.checking import state
from rer_numba.checking.state import FACT_FIELDS, POOLS, SET_FIELDS
from rer_numba.environment import uses_jit
from rer_numba.needed import require
from rer_numba.schema import BUILDING, COLUMN_BY_NAME, COLUMNS, NONE, count
from rer_numba.views import Views, addresses, zeros

_FIXED: Final = (*(name for pool in POOLS for name in pool), *FACT_FIELDS)
_N_COLUMN: Final = len(state.COLUMN_FIELDS)
_FIRST_OF_SET: Final = _N_COLUMN + len(_FIXED)
_FIRST_WORK: Final = _FIRST_OF_SET + len(SET_FIELDS)


class Room:
    """Columns and work arrays, and the table of their addresses, where the kernels find them.

    Parameters
    ----------
    views : Views
        Each of them of its right type, and in one piece; nothing else is known of them.

    Attributes
    ----------
    head : memoryview
        The scalars of `rer_numba.checking.state`.
    """

    def __init__(self, views: Views) -> None:
        self.views = views
        self.head = zeros("int64", state.HEAD_SIZE)
        for place, table in state.COUNTED:
            self.head[place] = count(views, table)
        self.head[state.HAS_BUILDING] = len(views.building_variant_requirement_offsets) != 0
        n_packages, n_families = self.head[state.N_PACKAGES], self.head[state.N_FAMILIES]
        self.work = (self.head, zeros("uint8", n_packages), zeros("int32", n_families))
        self._run = _jit_run(self) if uses_jit() else _native_run(self)

    def look_at(self, name: str, step: int, lowest: int = 0, limit: int = 0) -> int:
        """Take a step with a column by itself; returns what `rer_numba.checking.kernels.enter` does."""
        self.head[state.ROWS] = len(getattr(self.views, name))
        self.head[state.LOWEST] = lowest
        self.head[state.LIMIT] = limit
        return self.take(step, column=name)

    def take(self, step: int, prefix: str = "", column: str = "") -> int:
        """Take a step; the prefix of a set's columns says which set is looked at."""
        self.head[state.STEP] = step
        result = self._run(prefix, column)
        if result < NONE:
            raise RuntimeError(f"step {step} of checking tables ended with {result}")
        return result


Run = Callable[[str, str], int]
"""Runs the kernels for a set, given by its prefix, and a column, given by its name or as ''."""


def _native_run(room: Room) -> Run:
    from rer_numba.native import load_native
    from rer_numba.native.key import CHECKING

    places = dict(zip((column.name for column in COLUMNS), addresses(room.views), strict=True))
    sets = {prefix: array("q", [places[prefix + name] for name in SET_FIELDS]) for prefix in ("", BUILDING)}
    table = array("q", bytes(8 * _N_COLUMN))
    table.extend(places[name] for name in _FIXED)
    table.extend(sets[""])
    table.extend(addresses(room.work))
    function, place = load_native(kernels=CHECKING), table.buffer_info()[0]

    def run(prefix: str, column: str) -> int:
        if column:
            table[0] = table[1] = places[column]
        table[_FIRST_OF_SET:_FIRST_WORK] = sets[prefix]
        return function(place)

    return run


def _jit_run(room: Room) -> Run:
    require("RER_NUMBA_ENGINE=jit", "numba", "numpy")
    import numpy as np

    from rer_numba.checking import kernels

    # what cannot be written is another type to Numba: copies keep one signature for each kernel
    arrays = {column.name: np.array(getattr(room.views, column.name), column.dtype) for column in COLUMNS}

    def bundle(kind: Any, names: Sequence[str], prefix: str = "") -> Any:
        return kind(*[arrays[prefix + name] for name in names])

    def shared(view: memoryview[int], dtype: str) -> Any:
        return np.ndarray(len(view), dtype, view) if len(view) else np.empty(0, dtype)

    pools = [bundle(kernels.Pool, names) for names in POOLS]
    facts = bundle(kernels.Facts, FACT_FIELDS)
    work = kernels.Work(*map(shared, room.work, state.WORK_DTYPES))
    nothing = {dtype: np.empty(0, dtype) for dtype in state.COLUMN_DTYPES}

    def run(prefix: str, column: str) -> int:
        looked_at = nothing | ({COLUMN_BY_NAME[column].dtype: arrays[column]} if column else {})
        required = bundle(kernels.Set, SET_FIELDS, prefix)
        return int(kernels.enter(kernels.Column(*looked_at.values()), *pools, facts, required, work))

    return run
