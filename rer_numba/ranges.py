"""Version ranges as sorted lists of cuts: union, intersection, difference, superset, overlap.

A range stands in `work.cut` from `start` to `end`: a lower and an upper cut for each interval, ascending (see
`rer_numba.schema` for cuts). Results are written at `out`, which must lie above both operands, and the functions that
make a range return its end. Out of room they set `NEEDED_ROOM` and return an empty range; the solve is then run again
with more room.

Ports: rez.version.VersionRange (rez 3.4.0). What rez does with bounds of versions is done here with cuts: the order and
equality of rez's lower and upper bounds is that of the cuts.
"""

from __future__ import annotations

import numpy as np

from rer_numba._jit import inlined, kernel
from rer_numba.schema import CUT_INF, CUT_SHIFT
from rer_numba.state import CUT_ROOM, GROUPS, NEEDED_ROOM

_CUT_GROUP = list(GROUPS).index("cut")


@inlined
def has_cut_room(w, end):
    """True when `work.cut` reaches to `end`; else the need is noted."""
    if end <= w.room[_CUT_GROUP]:
        return True
    w.head[NEEDED_ROOM] |= CUT_ROOM
    return False


@kernel
def load_range(t, w, range_id, out):
    """Copy a range of the repository to `out`. Returns its end."""
    first = t.range_offsets[range_id]
    size = t.range_offsets[range_id + 1] - first
    if not has_cut_room(w, out + size):
        return out
    for k in range(size):
        w.cut[out + k] = t.range_cut[first + k]
    return out + size


@kernel
def is_any(w, start, end):
    """True for the range of all versions."""
    return end - start == 2 and w.cut[start] == 0 and w.cut[start + 1] == CUT_INF


@kernel
def same_range(w, a, a_end, b, b_end):
    """True when two ranges are equal."""
    if a_end - a != b_end - b:
        return False
    for k in range(a_end - a):
        if w.cut[a + k] != w.cut[b + k]:
            return False
    return True


@kernel
def intersect_ranges(w, a, a_end, b, b_end, out):
    """The versions in both ranges, at `out`. Returns its end; `out` when there are none."""
    if not has_cut_room(w, out + (a_end - a) + (b_end - b)):
        return out
    end = out
    while a < a_end and b < b_end:
        lower = max(w.cut[a], w.cut[b])
        upper = min(w.cut[a + 1], w.cut[b + 1])
        if lower < upper:
            w.cut[end] = lower
            w.cut[end + 1] = upper
            end += 2
        if w.cut[a + 1] <= w.cut[b + 1]:
            a += 2
        else:
            b += 2
    return end


@kernel
def subtract_range(w, a, a_end, b, b_end, out):
    """The versions in `a` but not in `b`, at `out`. Returns its end; `out` when there are none.

    The gaps of `b` are written above the result's room first. A gap without width (two intervals that touch, which
    rez's union can leave behind) is skipped; rez dies of it, see docs/deviations.md.
    """
    gaps = out + (a_end - a) + (b_end - b) + 2
    if not has_cut_room(w, gaps + (b_end - b) + 2):
        return out
    end = gaps
    lower = np.int64(0)
    for k in range(b, b_end, 2):
        if lower < w.cut[k]:
            w.cut[end] = lower
            w.cut[end + 1] = w.cut[k]
            end += 2
        lower = w.cut[k + 1]
    if lower < CUT_INF:
        w.cut[end] = lower
        w.cut[end + 1] = CUT_INF
        end += 2
    return intersect_ranges(w, a, a_end, gaps, end, out)


@kernel
def is_superset(w, a, a_end, b, b_end):
    """True when each interval of `b` lies within one interval of `a`."""
    while b < b_end:
        while a < a_end and w.cut[a + 1] < w.cut[b + 1]:
            a += 2
        if a == a_end or w.cut[a] > w.cut[b]:
            return False
        b += 2
    return True


@kernel
def ranges_overlap(w, a, a_end, b, b_end):
    """True when some version could be in both ranges."""
    while a < a_end and b < b_end:
        if max(w.cut[a], w.cut[b]) < min(w.cut[a + 1], w.cut[b + 1]):
            return True
        if w.cut[a + 1] <= w.cut[b + 1]:
            a += 2
        else:
            b += 2
    return False


@inlined
def _swap_intervals(w, i, j):
    for k in range(2):
        cut = w.cut[i + k]
        w.cut[i + k] = w.cut[j + k]
        w.cut[j + k] = cut


@inlined
def _interval_before(w, i, j):
    return w.cut[i] < w.cut[j] or (w.cut[i] == w.cut[j] and w.cut[i + 1] < w.cut[j + 1])


@kernel
def _sort_intervals(w, start, end):
    """Sort intervals by lower, then upper cut (heap sort: hundreds of them come from slices of many versions)."""
    n = (end - start) // 2
    for root in range(n // 2 - 1, -1, -1):
        _sift_down(w, start, root, n)
    for last in range(n - 1, 0, -1):
        _swap_intervals(w, start, start + 2 * last)
        _sift_down(w, start, 0, last)


@kernel
def _sift_down(w, start, root, n):
    while True:
        child = 2 * root + 1
        if child >= n:
            return
        if child + 1 < n and _interval_before(w, start + 2 * child, start + 2 * child + 2):
            child += 1
        if not _interval_before(w, start + 2 * root, start + 2 * child):
            return
        _swap_intervals(w, start + 2 * root, start + 2 * child)
        root = child


@kernel
def unite_intervals(w, start, end):
    """Make a range of the intervals from `start` to `end`, given in any order, in place. Returns its end.

    Ports: rez.version.VersionRange._union (rez 3.4.0).
    REZ-QUIRK: whether an interval that starts just after the version where the last one ended is joined to it depends
    on the upper bound of the *previous* interval, not of the one that reaches furthest
    (tests/test_versions.py::test_union_quirks).
    """
    if end - start < 4:
        return end
    _sort_intervals(w, start, end)
    last = start
    furthest = w.cut[start + 1]
    previous = furthest
    for k in range(start + 2, end, 2):
        lower = w.cut[k]
        upper = w.cut[k + 1]
        # the version of a cut is the cut without its last bit, which tells after from before
        apart = (lower | 1) - 1 > (furthest | 1) - 1
        touching = (lower | 1) == (furthest | 1) and (lower & 1) == 1 and (previous & 1) == 0
        if apart or touching:
            w.cut[last + 1] = furthest
            last += 2
            w.cut[last] = lower
        previous = upper
        furthest = max(furthest, upper)
    w.cut[last + 1] = furthest
    return last + 2


@kernel
def mask_of_range(t, w, family, start, end, out):
    """Write the variants of `family` whose version lies in the range to `work.scratch` from word `out`.

    Returns True when there is any. The packages stand in descending order, so both are walked from their ends.
    """
    first_variant = t.family_variant_offsets[family]
    for k in range((t.family_variant_offsets[family + 1] - first_variant + 63) >> 6):
        w.scratch[out + k] = np.uint64(0)
    found = False
    k = end - 2
    for package in range(t.family_package_offsets[family], t.family_package_offsets[family + 1]):
        cut = np.int64(t.package_version_rank[package]) << CUT_SHIFT
        while k >= start and w.cut[k] > cut:
            k -= 2
        if k < start:
            break
        if cut < w.cut[k + 1]:
            found = True
            for variant in range(t.package_variant_offsets[package], t.package_variant_offsets[package + 1]):
                bit = variant - first_variant
                w.scratch[out + (bit >> 6)] |= np.uint64(1) << np.uint64(bit & 63)
    return found
