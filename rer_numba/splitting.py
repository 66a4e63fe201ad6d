"""Split: divide the first unsolved slice in two, best variants first.

Ports: rez.solver._PackageVariantSlice.split and _PackageEntry.sort (rez 3.4.0).

The order of the variants of one package depends on the request only, so it is found at most once for each package and
solve, when a split first needs it.
"""

from __future__ import annotations

import numpy as np

from rer_numba._jit import inlined, kernel, lowest_bit
from rer_numba.schema import CONFLICT, NONE
from rer_numba.scopes import family_words, first_of, new_slice, push_phase, put_slot, scope_of, set_bit
from rer_numba.state import (
    GROUPS,
    INTERSECTION_PRIORITY,
    KEY_ROOM,
    N_REQUESTS,
    NEEDED_ROOM,
    SPLIT_FIRST,
    SPLIT_NEXT,
    SPLIT_POSITION,
    STAMP,
)

_KEY = list(GROUPS).index("key")


@kernel
def split(t, w):
    """Split the current phase: push the half without the best variants, go on with the half that has them."""
    position = first_of(w, w.unsolved)
    family = np.int64(w.scope_family[position])
    slot = np.int64(w.scope_slot[position])
    words = family_words(t, w, family)
    package, place = _split_point(t, w, family, slot)
    _mask_before(t, w, family, slot, package, place)
    data = np.int64(w.slot_data[slot])
    for k in range(words):
        w.scratch[words + k] = w.word[data + k] & ~w.scratch[k]
    next_slot = new_slice(w, w.scratch, words, words, slot, SPLIT_NEXT)
    push_phase(w, position, next_slot)
    put_slot(w, position, new_slice(w, w.scratch, np.int64(0), words, slot, SPLIT_FIRST))
    set_bit(w.changed, 0, position)
    w.head[SPLIT_POSITION] = position


@kernel
def _split_point(t, w, family, slot):
    """Where a slice is split: (package, place of a variant in it). Variants before that go first.

    With more than two variants, the first half is the longest run of variants, best first, that share a family which
    not all of the slice share. Each such family of the best variant has a first variant that lacks it; the run ends at
    the last of those.
    """
    best_package, best = _first_variant(t, w, family, w.word, np.int64(w.slot_data[slot]))
    split_package = np.int64(NONE)
    split_place = np.int64(0)
    if w.slot_count[slot] > 2:
        words = family_words(t, w, family)
        data = np.int64(w.slot_data[slot])
        first = np.int64(t.family_mention_offsets[family])
        bit = best - t.family_variant_offsets[family]
        for mention in range(first, t.family_mention_offsets[family + 1]):
            mask = t.family_mention_mask_offsets[family] + (mention - first) * words
            if not t.mention_mask[mask + (bit >> 6)] & (np.uint64(1) << np.uint64(bit & 63)):
                continue
            lacking = False
            for k in range(words):
                w.scratch[k] = w.word[data + k] & ~t.mention_mask[mask + k]
                lacking |= w.scratch[k] != 0
            if lacking:
                package, variant = _first_variant(t, w, family, w.scratch, np.int64(0))
                place = np.int64(w.variant_place[variant])
                if package > split_package or (package == split_package and place > split_place):
                    split_package = package
                    split_place = place
    if split_package == NONE:
        return best_package, np.int64(w.variant_place[best]) + 1
    return split_package, split_place


@kernel
def _first_variant(t, w, family, masks, start):
    """The best variant of a mask: (its package, the variant)."""
    first_variant = np.int64(t.family_variant_offsets[family])
    k = np.int64(0)
    while not masks[start + k]:
        k += 1
    variant = first_variant + (k << 6) + lowest_bit(masks[start + k])
    package = np.int64(t.variant_package[variant])
    sort_variants(t, w, package)
    best = variant
    for other in range(variant + 1, t.package_variant_offsets[package + 1]):
        bit = other - first_variant
        if masks[start + (bit >> 6)] & (np.uint64(1) << np.uint64(bit & 63)):
            if w.variant_place[other] < w.variant_place[best]:
                best = np.int64(other)
    return package, best


@kernel
def _mask_before(t, w, family, slot, package, place):
    """Write the variants of a slice before (package, place) to `work.scratch`."""
    first_variant = np.int64(t.family_variant_offsets[family])
    data = np.int64(w.slot_data[slot])
    start = t.package_variant_offsets[package] - first_variant
    end = t.package_variant_offsets[package + 1] - first_variant
    for k in range(family_words(t, w, family)):
        word = w.word[data + k]
        low = np.int64(k) << 6
        if start < low + 64:
            keep = max(start - low, 0)
            word &= (np.uint64(1) << np.uint64(keep)) - np.uint64(1)
        w.scratch[k] = word
    for bit in range(start, end):
        word = w.word[data + (bit >> 6)] & (np.uint64(1) << np.uint64(bit & 63))
        if word and w.variant_place[first_variant + bit] < place:
            w.scratch[bit >> 6] |= word


# --- the order of the variants of a package


@kernel
def sort_variants(t, w, package):
    """Find the place of each variant of a package, best first, unless this solve knows it already."""
    if w.package_stamp[package] == w.head[STAMP]:
        return
    w.package_stamp[package] = w.head[STAMP]
    first = np.int64(t.package_variant_offsets[package])
    n = t.package_variant_offsets[package + 1] - first
    if n == 1:
        w.variant_place[first] = 0
        return
    _make_keys(t, w, first, n)
    if w.head[NEEDED_ROOM]:
        n = 0
    for i in range(n):
        place = 0
        for j in range(n):
            if i != j and _precedes(w, j, i):
                place += 1
        w.variant_place[first + i] = place


@kernel
def _make_keys(t, w, first, n):
    """Write rez's sort key of each variant: its requirements on requested families, then its additional ones.

    A key is: how many requirements on requested families, (request, place of the range) for each in request order; how
    many additional non-conflict requirements, (place of the range, family) for each in the variant's order.
    REZ-QUIRK: a conflict requirement of the variant counts among the first when the request asks for the family
    (tests/test_differential.py).
    """
    end = np.int64(0)
    for i in range(n):
        w.key_start[i] = end
        low = t.variant_requirement_offsets[first + i]
        high = t.variant_requirement_offsets[first + i + 1]
        if end + 2 + 2 * (high - low) > w.room[_KEY]:
            w.head[NEEDED_ROOM] |= KEY_ROOM
            return
        end = _write_requested(t, w, low, high, end)
        end = _write_additional(t, w, low, high, end)
    w.key_start[n] = end


@inlined
def _request_of(w, family):
    """Place of the non-conflict request for a family; -1 when there is none."""
    position = scope_of(w, np.int64(family))
    if position < 0 or position >= w.head[N_REQUESTS] or w.request_flags[position] & CONFLICT:
        return np.int64(-1)
    return position


@inlined
def _write_requested(t, w, low, high, start):
    end = start + 1
    for k in range(low, high):
        requirement = t.variant_requirement[k]
        request = _request_of(w, t.requirement_family[requirement])
        if request < 0:
            continue
        at = end
        while at > start + 1 and w.key[at - 2] > request:
            w.key[at] = w.key[at - 2]
            w.key[at + 1] = w.key[at - 1]
            at -= 2
        w.key[at] = request
        w.key[at + 1] = t.requirement_order_rank[requirement]
        end += 2
    w.key[start] = (end - start) >> 1
    return end


@inlined
def _write_additional(t, w, low, high, start):
    end = start + 1
    for k in range(low, high):
        requirement = t.variant_requirement[k]
        family = t.requirement_family[requirement]
        if t.requirement_flags[requirement] & CONFLICT or _request_of(w, family) >= 0:
            continue
        w.key[end] = t.requirement_order_rank[requirement]
        w.key[end + 1] = family
        end += 2
    w.key[start] = (end - start) >> 1
    return end


@kernel
def _precedes(w, i, j):
    """True when variant `i` of a package is better than variant `j`: its key is greater."""
    a = np.int64(w.key_start[i])
    b = np.int64(w.key_start[j])
    n_a = np.int64(w.key[a])
    n_b = np.int64(w.key[b])
    if w.head[INTERSECTION_PRIORITY] and n_a != n_b:
        return n_a > n_b
    for k in range(min(n_a, n_b)):
        request_a = w.key[a + 1 + 2 * k]
        request_b = w.key[b + 1 + 2 * k]
        if request_a != request_b:
            return request_a < request_b
        if w.key[a + 2 + 2 * k] != w.key[b + 2 + 2 * k]:
            return w.key[a + 2 + 2 * k] > w.key[b + 2 + 2 * k]
    if n_a != n_b:
        return n_a > n_b
    return _precedes_additionally(w, a + 1 + 2 * n_a, b + 1 + 2 * n_b, i, j)


@inlined
def _precedes_additionally(w, a, b, i, j):
    n_a = np.int64(w.key[a])
    if n_a != w.key[b]:
        return n_a < w.key[b]
    for k in range(1, 1 + 2 * n_a):
        if w.key[a + k] != w.key[b + k]:
            return w.key[a + k] > w.key[b + k]
    return i > j
