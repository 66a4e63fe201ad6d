"""What is checked of a column by itself, whatever it means: nothing is known of its numbers yet.

All of a column is read, without a way out of the loop: so LLVM makes one that takes many numbers at once.
"""

from __future__ import annotations

from rer_numba._jit import kernel
from rer_numba.checking.state import LIMIT, LOWEST, ROWS
from rer_numba.schema import NONE


@kernel
def check_narrow_offsets(column, w):
    """Returns 0 unless the offsets begin at 0 and never fall, else NONE. There is one at least."""
    # compared, not subtracted: a difference of wild numbers may overflow
    is_wrong = column.narrow[0] != 0
    for k in range(1, w.head[ROWS]):
        is_wrong |= column.narrow[k] < column.narrow[k - 1]
    return 0 if is_wrong else NONE


@kernel
def check_wide_offsets(column, w):
    """As above, of offsets of 64 bits."""
    is_wrong = column.wide[0] != 0
    for k in range(1, w.head[ROWS]):
        is_wrong |= column.wide[k] < column.wide[k - 1]
    return 0 if is_wrong else NONE


@kernel
def check_index(column, w):
    """Returns 0 unless all numbers lie from LOWEST to below LIMIT, else NONE."""
    lowest = w.head[LOWEST]
    limit = w.head[LIMIT]
    is_wrong = False
    for k in range(w.head[ROWS]):
        is_wrong |= (column.narrow[k] < lowest) | (column.narrow[k] >= limit)
    return 0 if is_wrong else NONE


@kernel
def longest_row(column, w):
    """How many values the longest row has, by offsets that are sound; one at least."""
    longest = 1
    for k in range(1, w.head[ROWS]):
        longest = max(longest, column.narrow[k] - column.narrow[k - 1])
    return longest
