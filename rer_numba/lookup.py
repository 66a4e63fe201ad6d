"""Look up: the packages of a family that lie in a range, and a log of what rez would have listed and loaded for it.

Ports: rez.solver.PackageVariantCache.get_variant_slice and _PackageVariantList (rez 3.4.0). rez lists a family when a
scope first asks for it, and loads a package when it first comes into range and no filter hides it.

Invariants of the log
---------------------
- A look-up is logged where rez makes one and in rez's order: for each request, for a conflict scope that becomes a
  slice, for each new scope. What a look-up finds a second time leaves no entry, so the log cannot have more entries
  than the repository has families and variants.
- It has what the range holds, hidden packages included: rez reads those too when a rule asks for their release time.
- A family is listed by the look-up that is logged first. One that finds nothing is logged for that.
- The entries of a look-up follow each other. Within one, rez goes by the order in which the packages were handed in,
  and ends at the first that cannot be loaded; both are left to the reader, `rer_numba.touched`.
"""

from __future__ import annotations

import numpy as np

from rer_numba._jit import inlined, kernel, load_published, lowest_bit
from rer_numba.policy_arrays import ABSENT, ASKS, HIDES, UNFILTERED
from rer_numba.ranges import mask_of_range
from rer_numba.schema import BROKEN_FAMILY, HAS_BROKEN_PACKAGE, NONE
from rer_numba.scopes import family_words
from rer_numba.state import (
    BROKEN_PACKAGE,
    FAMILY_NOT_FOUND,
    FILTERS,
    GROUPS,
    LOAD_ROOM,
    N_FAMILIES,
    N_LOADS,
    NEEDED_ROOM,
    PACKAGE_NOT_FOUND,
    UNASKED_FILTER,
    UNLISTED_FAMILY,
)

_LOAD = list(GROUPS).index("load")


# --- look up


@kernel
def look_up(t, w, family, start, end):
    """Write the packages of a family that lie in a range to `work.scratch`. Returns 0, or the reason of an error.

    What the policy hides of the family must be compiled, see `lacks_filter`.
    """
    if family < w.head[N_FAMILIES] and t.family_flags[family] & BROKEN_FAMILY:
        _note_listing(w, family)
        return UNLISTED_FAMILY
    if family_words(t, w, family) == 0 or t.family_policy[family] & ABSENT:
        _note_listing(w, family)
        return FAMILY_NOT_FOUND
    if not mask_of_range(t, w, family, start, end, np.int64(0)):
        _note_listing(w, family)
        return PACKAGE_NOT_FOUND
    note_look_up(t, w, family, w.scratch, np.int64(0))
    if t.family_policy[family] & HIDES:
        reason = _filter(t, w, family)
        if reason:
            return reason
    if t.family_flags[family] & HAS_BROKEN_PACKAGE and _holds_broken_package(t, w, family):
        return BROKEN_PACKAGE
    return 0


@inlined
def lacks_filter(t, w, family):
    """True when it is not compiled yet what the policy hides of a family."""
    return w.head[FILTERS] != 0 and load_published(t.family_policy, family) & UNFILTERED != 0


@kernel
def _filter(t, w, family):
    """Take what the policy hides out of the mask in `work.scratch`. Returns 0, or why nothing can be used."""
    first = first_word(t, family)
    asks = t.family_policy[family] & ASKS
    left = False
    for k in range(family_words(t, w, family)):
        if asks and w.scratch[k] & t.unasked_mask[first + k]:
            return UNASKED_FILTER
        w.scratch[k] &= t.seen_mask[first + k]
        left |= w.scratch[k] != 0
    return 0 if left else PACKAGE_NOT_FOUND


@kernel
def _holds_broken_package(t, w, family):
    """True when the mask in `work.scratch` holds a package that can't be loaded."""
    first_variant = np.int64(t.family_variant_offsets[family])
    for k in range(family_words(t, w, family)):
        bits = w.scratch[k]
        while bits:
            variant = first_variant + (np.int64(k) << 6) + lowest_bit(bits)
            if t.package_error[t.variant_package[variant]] != NONE:
                return True
            bits &= bits - np.uint64(1)
    return False


# --- the log


@inlined
def first_word(t, family):
    """The first word of a family in `work.looked_up`, and in the masks of a policy. No two families share a word."""
    return (np.int64(t.family_variant_offsets[family]) >> 6) + family


@inlined
def note_look_up(t, w, family, masks, start):
    """Log a look-up that found some variants, whose mask stands in `masks` from word `start`."""
    first = first_word(t, family)
    for k in range(family_words(t, w, family)):
        if masks[start + k] & ~w.looked_up[first + k]:
            _note_loads(t, w, family, masks, start)
            break


@kernel
def _note_loads(t, w, family, masks, start):
    call = w.head[N_LOADS]
    first = first_word(t, family)
    for k in range(family_words(t, w, family)):
        bits = masks[start + k] & ~w.looked_up[first + k]
        if bits and _note_load(w, family, call, first + k, bits):
            w.looked_up[first + k] |= bits


@kernel
def _note_listing(w, family):
    """Log a look-up that found nothing: rez has listed the family nevertheless. Once is enough."""
    if not w.family_listed[family] and _note_load(w, family, w.head[N_LOADS], np.int64(NONE), np.uint64(0)):
        w.family_listed[family] = 1


@kernel
def _note_load(w, family, call, word, bits):
    """A new entry. Returns False when there is no room for it."""
    n = w.head[N_LOADS]
    if n == w.room[_LOAD]:
        w.head[NEEDED_ROOM] |= LOAD_ROOM
        return False
    w.load_family[n] = family
    w.load_call[n] = call
    w.load_word[n] = word
    w.load_bits[n] = bits
    w.head[N_LOADS] = n + 1
    return True


@kernel
def forget_loads(w):
    """Empty the log, and what is known through it."""
    for n in range(w.head[N_LOADS]):
        w.family_listed[w.load_family[n]] = 0
        if w.load_word[n] != NONE:
            w.looked_up[w.load_word[n]] = np.uint64(0)
    w.head[N_LOADS] = 0
