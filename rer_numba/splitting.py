"""Split: divide the first unsolved slice in two, best variants first.

Ports: rez.solver._PackageVariantSlice.split and _PackageEntry.sort (rez 3.4.0).

The order of the variants of one package depends on the request only, so it is found at most once for each package and
solve, when a split first needs it. Mixed orderers make an exception, see `sort_variants`.
"""

from __future__ import annotations

import numpy as np

from rer_numba._jit import inlined, kernel, load_published, lowest_bit
from rer_numba.calling_off import is_called_off
from rer_numba.policy_arrays import NOT_RANKED, REORDERED, UNORDERED
from rer_numba.schema import CONFLICT, NONE
from rer_numba.scopes import family_words, first_of, new_slice, push_phase, put_slot, scope_of, set_bit
from rer_numba.state import (
    FAMILY_ORDER,
    FAMILY_ORDERS,
    GROUPS,
    INTERSECTION_PRIORITY,
    KEY_ROOM,
    N_REQUESTS,
    NEED_POLICY,
    NEEDED_ROOM,
    ORDERS,
    PACKAGE_ORDER,
    PENDING,
    SPLIT_FIRST,
    SPLIT_NEXT,
    STAMP,
    WANTED,
    WANTED_ID,
)

_KEY = list(GROUPS).index("key")


@kernel
def split(t, w):
    """Split the current phase: push the half without the best variants, go on with the half that has them.

    Returns PENDING, or NEED_POLICY before anything has changed.
    """
    position = first_of(w, w.unsolved)
    family = np.int64(w.scope_family[position])
    slot = np.int64(w.scope_slot[position])
    words = family_words(t, w, family)
    if lacks_order(t, w, family):
        return want(w, FAMILY_ORDER, family)
    place, variant_place = _split_point(t, w, family, slot)
    if w.head[WANTED]:
        return NEED_POLICY
    _mask_before(t, w, family, slot, place, variant_place)
    data = np.int64(w.slot_data[slot])
    for k in range(words):
        w.scratch[words + k] = w.word[data + k] & ~w.scratch[k]
    next_slot = new_slice(w, w.scratch, words, words, slot, SPLIT_NEXT)
    push_phase(w, position, next_slot)
    put_slot(w, position, new_slice(w, w.scratch, np.int64(0), words, slot, SPLIT_FIRST))
    set_bit(w.changed, 0, position)
    return PENDING


@inlined
def lacks_order(t, w, family):
    """True when the order of the packages of a family is not compiled yet."""
    return w.head[ORDERS] != 0 and load_published(t.family_policy, family) & UNORDERED != 0


@inlined
def _lacks_ranks(t, w, package):
    """True when the order of the ranges that the variants of a package require is not compiled yet."""
    return w.head[ORDERS] != 0 and load_published(t.pair_start, package) == NOT_RANKED


@kernel
def want(w, what, number):
    """Note what of the policy has to be compiled. Returns NEED_POLICY."""
    w.head[WANTED] = what
    w.head[WANTED_ID] = number
    return NEED_POLICY


@kernel
def _split_point(t, w, family, slot):
    """Where a slice is split: (place of a package, place of a variant in it). Variants before that go first.

    With more than two variants, the first half is the longest run of variants, best first, that share a family which
    not all of the slice share. Each such family of the best variant has a first variant that lacks it; the run ends at
    the last of those.
    """
    data = np.int64(w.slot_data[slot])
    best = _first_variant(t, w, family, w.word, data, data)
    split_place = np.int64(NONE)
    split_variant_place = np.int64(0)
    if w.slot_count[slot] > 2:
        words = family_words(t, w, family)
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
                variant = _first_variant(t, w, family, w.scratch, np.int64(0), data)
                place = place_of(t, family, np.int64(t.variant_package[variant]))
                variant_place = np.int64(w.variant_place[variant])
                if place > split_place or (place == split_place and variant_place > split_variant_place):
                    split_place = place
                    split_variant_place = variant_place
    if split_place == NONE:
        return place_of(t, family, np.int64(t.variant_package[best])), np.int64(w.variant_place[best]) + 1
    return split_place, split_variant_place


@kernel
def _first_variant(t, w, family, masks, start, data):
    """The best variant of a mask: of its first package, in the order of preference, the one that sorts first.

    The mask is a part of the slice whose own mask starts at `data` in `work.word`.
    """
    first_variant = np.int64(t.family_variant_offsets[family])
    package = _first_package(t, w, family, masks, start)
    sort_variants(t, w, family, package, data)
    best = np.int64(NONE)
    for variant in range(t.package_variant_offsets[package], t.package_variant_offsets[package + 1]):
        bit = variant - first_variant
        if masks[start + (bit >> 6)] & (np.uint64(1) << np.uint64(bit & 63)):
            if best == NONE or w.variant_place[variant] < w.variant_place[best]:
                best = np.int64(variant)
    return best


@inlined
def place_of(t, family, package):
    """Place of a package in the order in which its family is tried."""
    if t.family_policy[family] & REORDERED:
        return np.int64(t.package_place[package])
    return package - t.family_package_offsets[family]


@inlined
def _first_package(t, w, family, masks, start):
    """The package of a mask that is taken first: the lowest bit, unless an orderer says otherwise."""
    first_variant = np.int64(t.family_variant_offsets[family])
    k = np.int64(0)
    while not masks[start + k]:
        k += 1
    package = np.int64(t.variant_package[first_variant + (k << 6) + lowest_bit(masks[start + k])])
    if not t.family_policy[family] & REORDERED:
        return package
    while k < family_words(t, w, family):
        bits = masks[start + k]
        while bits:
            other = np.int64(t.variant_package[first_variant + (k << 6) + lowest_bit(bits)])
            if t.package_place[other] < t.package_place[package]:
                package = other
            bits &= bits - np.uint64(1)
        k += 1
    return package


@kernel
def _mask_before(t, w, family, slot, place, variant_place):
    """Write the variants of a slice before (place of a package, place of a variant in it) to `work.scratch`."""
    first_variant = np.int64(t.family_variant_offsets[family])
    data = np.int64(w.slot_data[slot])
    unsure = np.int64(0)
    if not t.family_policy[family] & REORDERED:
        # newest first: whatever lies below the first bit of the package comes before it
        unsure = t.package_variant_offsets[t.family_package_offsets[family] + place] - first_variant
    for k in range(family_words(t, w, family)):
        bits = w.word[data + k]
        low = np.int64(k) << 6
        before = bits
        if unsure < low + 64:
            before &= (np.uint64(1) << np.uint64(max(unsure - low, 0))) - np.uint64(1)
        bits ^= before
        while bits:
            bit = lowest_bit(bits)
            variant = first_variant + low + bit
            bits ^= np.uint64(1) << np.uint64(bit)
            other = place_of(t, family, np.int64(t.variant_package[variant]))
            if other < place or (other == place and w.variant_place[variant] < variant_place):
                before |= np.uint64(1) << np.uint64(bit)
            elif other > place and not t.family_policy[family] & REORDERED:
                break
        w.scratch[k] = before


# --- the order of the variants of a package


@kernel
def sort_variants(t, w, family, package, data):
    """Find the place of each variant of a package, best first, unless this solve knows it already.

    Where mixed orderers compare by pairs, what comes out depends on which variants there are: then those of the slice
    are sorted, each time, whose mask starts at `data` in `work.word`; all for NONE. The places of others mean nothing.
    When the order of the ranges is not compiled yet, `WANTED` says so, and no place means anything.
    """
    first = np.int64(t.package_variant_offsets[package])
    n = t.package_variant_offsets[package + 1] - first
    if n > 1 and _lacks_ranks(t, w, package):
        want(w, PACKAGE_ORDER, package)
        return
    pairs = _has_pairs(t, w, package)
    if w.package_stamp[package] == w.head[STAMP] and not pairs:
        return
    w.package_stamp[package] = w.head[STAMP]
    if n > 1:
        _make_keys(t, w, package, first, n)
        if not w.head[NEEDED_ROOM]:
            n = _list_variants(t, w, family, first, n, data if pairs else np.int64(NONE))
            _sort_keys(t, w, package, n)
            for k in range(n):
                w.variant_place[first + w.key_order[k]] = k
            return
    for k in range(n):
        w.variant_place[first + k] = k


@kernel
def sort_all_variants(t, w, family):
    """Find the places of all variants of a family: whoever reads a total reduction lists them as rez had sorted them.

    Returns False when their order is not compiled yet; `WANTED` says so.
    """
    packages = range(t.family_package_offsets[family], t.family_package_offsets[family + 1])
    lacking = lacks_order(t, w, family)
    for package in packages:
        n = t.package_variant_offsets[package + 1] - t.package_variant_offsets[package]
        lacking |= n > 1 and _lacks_ranks(t, w, np.int64(package))
    if lacking:
        want(w, FAMILY_ORDERS, family)
        return False
    for package in packages:
        sort_variants(t, w, family, np.int64(package), np.int64(NONE))
    return True


@inlined
def _list_variants(t, w, family, first, n, data):
    """Write the variants of a package that are in a mask (all, when `data` is NONE), the last first; how many."""
    count = np.int64(0)
    for k in range(n - 1, -1, -1):
        bit = first + k - t.family_variant_offsets[family]
        if data == NONE or w.word[data + (bit >> 6)] & (np.uint64(1) << np.uint64(bit & 63)):
            w.key_order[count] = k
            count += 1
    return count


@kernel
def _sort_keys(t, w, package, n):
    """Sort the `n` variants of a package in `key_order` by their keys, greatest first.

    They stand there from the last to the first: that is how Python's `list.sort(reverse=True)` begins. Binary insertion
    as in Python, and then turned round. It matters only for comparisons that are no order, which mixed orderers can
    give. There rez sorts again what a reduction left of a sorted list, where we begin with the unsorted one: should
    what is left be in no order either, the outcome may differ
    (tests/test_policy_differential.py::test_circle_that_a_reduction_leaves).
    """
    run = _first_run(t, w, package, n)
    for start in range(run, n):
        pivot = w.key_order[start]
        low = np.int64(0)
        high = np.int64(start)
        while low < high:
            middle = (low + high) >> 1
            if _less(t, w, package, pivot, w.key_order[middle]):
                high = middle
            else:
                low = middle + 1
        for k in range(start, low, -1):
            w.key_order[k] = w.key_order[k - 1]
        w.key_order[low] = pivot
        if is_called_off(w):
            return
    _turn_round(w, n)


@inlined
def _turn_round(w, n):
    for k in range(n >> 1):
        other = w.key_order[n - 1 - k]
        w.key_order[n - 1 - k] = w.key_order[k]
        w.key_order[k] = other


@inlined
def _first_run(t, w, package, n):
    """Length of the sorted run at the start; a falling one is turned round."""
    if n < 2:
        return np.int64(n)
    falls = _less(t, w, package, w.key_order[1], w.key_order[0])
    run = np.int64(2)
    while run < n and _less(t, w, package, w.key_order[run], w.key_order[run - 1]) == falls:
        run += 1
    if falls:
        _turn_round(w, run)
    return run


@kernel
def _make_keys(t, w, package, first, n):
    """Write rez's sort key of each variant: its requirements on requested families, then its additional ones.

    A key is: how many requirements on requested families, (request, place of the range) for each in request order; how
    many additional non-conflict requirements, (place of the range, rank of the family) for each in the variant's order.
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
        end = _write_requested(t, w, package, low, high, end)
        end = _write_additional(t, w, package, low, high, end)
    w.key_start[n] = end


@inlined
def _request_of(w, family):
    """Place of the non-conflict request for a family; -1 when there is none."""
    position = scope_of(w, np.int64(family))
    if position < 0 or position >= w.head[N_REQUESTS] or w.request_flags[position] & CONFLICT:
        return np.int64(-1)
    return position


@inlined
def _has_pairs(t, w, package):
    """True when the ranges that variants of a package require are compared pair by pair, not by rank."""
    return w.head[ORDERS] != 0 and t.pair_start[package] > 0


@inlined
def _range_of(t, w, k):
    """What stands in a key for the range of entry `k` of `variant_requirement`. Ranges are numbered in rez's order."""
    if w.head[ORDERS]:
        return t.range_place[k]
    return t.requirement_range[t.variant_requirement[k]]


@inlined
def _write_requested(t, w, package, low, high, start):
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
        w.key[at + 1] = _range_of(t, w, k)
        end += 2
    w.key[start] = (end - start) >> 1
    return end


@inlined
def _write_additional(t, w, package, low, high, start):
    end = start + 1
    for k in range(low, high):
        requirement = t.variant_requirement[k]
        family = t.requirement_family[requirement]
        if t.requirement_flags[requirement] & CONFLICT or _request_of(w, family) >= 0:
            continue
        w.key[end] = _range_of(t, w, k)
        w.key[end + 1] = t.family_rank[family]
        end += 2
    w.key[start] = (end - start) >> 1
    return end


@inlined
def _order_of(t, w, package, a, b):
    """How two ranges in keys compare: -1 less, 0 equal, 1 greater, 2 neither."""
    if _has_pairs(t, w, package):
        start = np.int64(t.pair_start[package])
        return np.int64(t.pair_order[start + a * t.pair_order[start - 1] + b])
    return np.int64(0) if a == b else np.int64(1) if a > b else np.int64(-1)


@kernel
def _less(t, w, package, i, j):
    """True when the key of variant `i` of a package is less than that of variant `j`, as Python compares them."""
    a = np.int64(w.key_start[i])
    b = np.int64(w.key_start[j])
    n_a = np.int64(w.key[a])
    n_b = np.int64(w.key[b])
    if w.head[INTERSECTION_PRIORITY] and n_a != n_b:
        return n_a < n_b
    for k in range(min(n_a, n_b)):
        request_a = w.key[a + 1 + 2 * k]
        request_b = w.key[b + 1 + 2 * k]
        if request_a != request_b:
            return request_a > request_b
        order = _order_of(t, w, package, np.int64(w.key[a + 2 + 2 * k]), np.int64(w.key[b + 2 + 2 * k]))
        if order != 0:
            return order == -1
    if n_a != n_b:
        return n_a < n_b
    return _less_additionally(t, w, package, a + 1 + 2 * n_a, b + 1 + 2 * n_b, i, j)


@inlined
def _less_additionally(t, w, package, a, b, i, j):
    n = np.int64(w.key[a])
    if n != w.key[b]:
        return n > w.key[b]
    for k in range(1, 1 + 2 * n, 2):
        order = _order_of(t, w, package, np.int64(w.key[a + k]), np.int64(w.key[b + k]))
        if order != 0:
            return order == -1
        if w.key[a + k + 1] != w.key[b + k + 1]:
            return w.key[a + k + 1] < w.key[b + k + 1]
    return i < j
