"""Reduce: remove the variants whose requirements conflict with another scope.

Ports: the reduction loop of rez.solver._ResolvePhase.solve and _PackageVariantSlice.reduce_by (rez 3.4.0).

rez keeps a sorted list of pairs (x, y), "reduce x by y". It takes pairs from the end, and appends (j, x) for all j when
x was reduced. Nearly all pairs do nothing, because x has no requirement on the family of y (98.5 % on the benchmark).
Here only the others are visited, in the same order: `pending` holds the pairs of the sorted list as a set of y for each
x, and a *frame* (y, next x) stands for the pairs that one reduction appended.

Half of the others do nothing either: a slice of one variant has been extracted from, so whatever it requires holds of
all that is left in y, and goes on to hold as y narrows. Only its conflict requirements can still remove it. Leaving
those pairs out took the reductions tried on the 188 from 440,000 to 230,000, and the solves from 82 to 64 ms (2026-11).
"""

from __future__ import annotations

import numpy as np

from rer_numba._jit import highest_bit, inlined, kernel
from rer_numba.calling_off import is_called_off
from rer_numba.ranges import is_superset, load_range, ranges_overlap
from rer_numba.schema import CONFLICT
from rer_numba.scopes import (
    family_words,
    find_mention,
    first_word_of,
    has_linked,
    last_word_of,
    new_slice,
    put_slot,
    row_words,
    scope_of,
    set_bit,
    used_words,
)
from rer_numba.state import (
    CONFLICT_RANGE,
    FAILED,
    FRAME_ROOM,
    GROUPS,
    N_CUTS,
    N_SCOPES,
    NEED_ROOM,
    NEEDED_ROOM,
    NO_RANGE,
    PENDING,
    REASON,
    REASON_FAMILY,
    REASON_OTHER,
    REASON_SCOPE,
    REDUCED,
    SLICE,
    TOTAL_REDUCTION,
)

_FRAME = list(GROUPS).index("frame")

# what reducing one scope by another gave
_KEPT, _REDUCED, _EMPTIED = range(3)


@kernel
def reduce(t, w, n_previous):
    """Reduce all scopes against those that changed or were added since `n_previous` scopes.

    Returns PENDING; FAILED with the scopes of a total reduction; NEED_ROOM.
    """
    words = used_words(w)
    for k in range(words):
        w.reducible[k] = w.unsolved[k]
    _collect_pending(t, w, n_previous)
    for k in range(words - 1, -1, -1):
        while w.pending_rows[k]:
            bit = highest_bit(w.pending_rows[k])
            w.pending_rows[k] ^= np.uint64(1) << np.uint64(bit)
            status = _reduce_pending(t, w, (np.int64(k) << 6) + bit)
            if status != PENDING:
                _clear_pending(w)
                return status
    return PENDING


@kernel
def _collect_pending(t, w, n_previous):
    """The pairs of rez's sorted list that can do something."""
    words = used_words(w)
    for position in range(n_previous, w.head[N_SCOPES]):
        set_bit(w.changed, 0, position)
    for k in range(words):
        bits = w.changed[k]
        while bits:
            bit = highest_bit(bits)
            bits ^= np.uint64(1) << np.uint64(bit)
            _pend_users(w, (np.int64(k) << 6) + bit, words)
    for position in range(n_previous, w.head[N_SCOPES]):
        _pend_mentioned(t, w, position)
    for k in range(words):
        bits = w.widened[k]
        while bits:
            bit = highest_bit(bits)
            bits ^= np.uint64(1) << np.uint64(bit)
            _pend_mentioned(t, w, (np.int64(k) << 6) + bit)


@inlined
def _candidates(w, row, k):
    """Word `k` of the positions that a scope whose family has this row of users can still reduce."""
    return (w.user_bits[row + k] & w.reducible[k]) | w.refuser_bits[row + k]


@inlined
def _pend_users(w, y, words):
    """Whoever mentions the family of a changed scope is reduced by it."""
    local = np.int64(w.family_local[w.scope_family[y]]) - 1
    if local < 0:
        return
    row = local * row_words(w)
    for k in range(words):
        users = _candidates(w, row, k)
        w.pending_rows[k] |= users
        while users:
            bit = highest_bit(users)
            users ^= np.uint64(1) << np.uint64(bit)
            set_bit(w.pending, ((np.int64(k) << 6) + bit) * row_words(w), y)


@inlined
def _pend_mentioned(t, w, x):
    """A new slice is reduced by all scopes that it mentions."""
    if w.slot_kind[w.scope_slot[x]] != SLICE:
        return
    family = np.int64(w.scope_family[x])
    single = w.slot_count[w.scope_slot[x]] == 1
    set_bit(w.pending_rows, 0, x)
    for mention in range(t.family_mention_offsets[family], t.family_mention_offsets[family + 1]):
        if single and not t.mention_conflicts[mention]:
            continue
        y = scope_of(w, np.int64(t.mention_family[mention]))
        if y >= 0:
            set_bit(w.pending, x * row_words(w), y)


@kernel
def _clear_pending(w):
    """After a failure: leave the sets empty for the next phase."""
    for k in range(row_words(w)):
        w.pending_rows[k] = np.uint64(0)
    for k in range(w.head[N_SCOPES] * row_words(w)):
        w.pending[k] = np.uint64(0)


@inlined
def _reduce_pending(t, w, x):
    """The pairs (x, y) of one x, y descending."""
    row = x * row_words(w)
    for k in range(used_words(w) - 1, -1, -1):
        while w.pending[row + k]:
            bit = highest_bit(w.pending[row + k])
            w.pending[row + k] ^= np.uint64(1) << np.uint64(bit)
            y = (np.int64(k) << 6) + bit
            if x == y:
                continue
            outcome = _reduce_scope(t, w, x, y)
            if outcome == _REDUCED:
                outcome = _reduce_others(t, w, x)
            if outcome == _EMPTIED:
                return FAILED
            if is_called_off(w) or w.head[NEEDED_ROOM]:
                return NEED_ROOM
    return PENDING


@kernel
def _reduce_others(t, w, reduced):
    """After `reduced` lost variants, all others are reduced by it, and so on, deepest first."""
    depth = _push_frame(w, 0, reduced)
    while depth:
        y = np.int64(w.frame[2 * depth - 2])
        x = _next_user(w, y, np.int64(w.frame[2 * depth - 1]))
        if x < 0:
            depth -= 1
            continue
        w.frame[2 * depth - 1] = x
        if x == y:
            continue
        outcome = _reduce_scope(t, w, x, y)
        if outcome == _EMPTIED:
            return _EMPTIED
        if outcome == _REDUCED:
            depth = _push_frame(w, depth, x)
        if is_called_off(w) or w.head[NEEDED_ROOM]:
            return _KEPT
    return _KEPT


@inlined
def _push_frame(w, depth, y):
    """A frame for the pairs (j, y) of all j, last first. Returns the new depth."""
    if depth == w.room[_FRAME]:
        w.head[NEEDED_ROOM] |= FRAME_ROOM
        return depth
    w.frame[2 * depth] = y
    w.frame[2 * depth + 1] = w.head[N_SCOPES]
    return depth + 1


@inlined
def _next_user(w, y, below):
    """The last position below `below` that scope `y` can still reduce; -1 when there is none."""
    local = np.int64(w.family_local[w.scope_family[y]]) - 1
    if local < 0:
        return np.int64(-1)
    row = local * row_words(w)
    k = below >> 6
    word = np.uint64(0)
    if k < used_words(w):
        word = _candidates(w, row, k) & ((np.uint64(1) << np.uint64(below & 63)) - np.uint64(1))
    while not word:
        k -= 1
        if k < 0:
            return np.int64(-1)
        word = _candidates(w, row, k)
    return (k << 6) + highest_bit(word)


@kernel
def _reduce_scope(t, w, x, y):
    """Remove the variants of scope `x` that conflict with scope `y`. Returns _KEPT, _REDUCED or _EMPTIED."""
    slot = np.int64(w.scope_slot[x])
    if w.slot_kind[slot] != SLICE:
        return _KEPT
    family = np.int64(w.scope_family[x])
    mention = find_mention(t, family, w.scope_family[y])
    if mention < 0:
        return _KEPT
    words = family_words(t, w, family)
    if not _find_removed(t, w, mention, slot, words, np.int64(w.scope_slot[y])):
        return _KEPT
    data = np.int64(w.slot_data[slot])
    for k in range(words):
        w.scratch[k] = w.word[data + k] & ~w.scratch[k]
    return _put_reduced(w, x, y, family, slot, words)


@inlined
def _find_removed(t, w, mention, slot, words, other_slot):
    """Write the variants of a slice that conflict with another slot to `work.scratch`. True when there are any.

    A family may have many thousand different requirements on another: the question whether to end is asked here too.
    """
    if words == 1:
        return _find_removed_bits(t, w, mention, slot, other_slot)
    removes = False
    data = np.int64(w.slot_data[slot])
    low, high = first_word_of(w, data, words), last_word_of(w, data, words)
    other_words = family_words(t, w, np.int64(t.mention_family[mention]))
    for link in range(t.mention_link_offsets[mention], t.mention_link_offsets[mention + 1]):
        if has_linked(t, w, data, low, high, words, link):
            if _conflicts(t, w, np.int64(t.link_requirement[link]), other_slot, other_words):
                if not removes:
                    for k in range(words):
                        w.scratch[k] = np.uint64(0)
                removes = True
                word = np.int64(t.link_first_word[link])
                for k in range(t.link_mask_offsets[link], t.link_mask_offsets[link + 1]):
                    w.scratch[word] |= t.link_mask[k]
                    word += 1
                if is_called_off(w):
                    return False
    return removes


@inlined
def _find_removed_bits(t, w, mention, slot, other_slot):
    """The same for a family whose masks have one word, so the masks of its links stand side by side.

    Four of five reductions of the 188; without this they took 2 % longer in all (2026-11-27).
    """
    bits = w.word[w.slot_data[slot]]
    removed = np.uint64(0)
    other_words = family_words(t, w, np.int64(t.mention_family[mention]))
    first = np.int64(t.mention_link_offsets[mention])
    mask = np.int64(t.link_mask_offsets[first])
    for link in range(first, t.mention_link_offsets[mention + 1]):
        linked = bits & t.link_mask[mask + link - first]
        if linked and _conflicts(t, w, np.int64(t.link_requirement[link]), other_slot, other_words):
            removed |= linked
            if is_called_off(w):
                return False
    w.scratch[0] = removed
    return removed != 0


@inlined
def _put_reduced(w, x, y, family, slot, words):
    """Give scope `x` the slice in `work.scratch`, or note that nothing is left of it."""
    for k in range(words):
        if w.scratch[k]:
            put_slot(w, x, new_slice(w, w.scratch, np.int64(0), words, slot, REDUCED))
            return _REDUCED
    w.head[REASON] = TOTAL_REDUCTION
    w.head[REASON_FAMILY] = family
    w.head[REASON_SCOPE] = x
    w.head[REASON_OTHER] = y
    return _EMPTIED


@inlined
def _conflicts(t, w, requirement, slot, words):
    """True when a variant's requirement conflicts with what a slot still holds.

    Ports: rez.version.Requirement.conflicts_with (rez 3.4.0). The range of a slice is the set of its versions, so its
    conflicts are questions about masks; those of conflicts and ephemerals are questions about ranges.
    """
    if w.slot_kind[slot] != SLICE:
        return _conflicts_with_range(t, w, requirement, slot)
    word = np.int64(w.slot_data[slot])
    if words > 1:
        word += t.requirement_first_word[requirement]
    for k in range(t.requirement_mask_offsets[requirement], t.requirement_mask_offsets[requirement + 1]):
        if w.word[word] & t.requirement_mask[k]:
            return False
        word += 1
    return True


@kernel
def _conflicts_with_range(t, w, requirement, slot):
    conflict = t.requirement_flags[requirement] & CONFLICT
    out = w.head[N_CUTS]
    out_end = load_range(t, w, t.requirement_range[requirement], out)
    if w.slot_kind[slot] == CONFLICT_RANGE:
        request = np.int64(w.slot_request[slot])
        if conflict or w.request_flags[request] & NO_RANGE:
            return False
        start = np.int64(w.request_cut_offsets[request])
        return is_superset(w, start, np.int64(w.request_cut_offsets[request + 1]), out, out_end)
    start = np.int64(w.slot_data[slot])
    end = start + w.slot_count[slot]
    if conflict:
        return is_superset(w, out, out_end, start, end)
    return not ranges_overlap(w, out, out_end, start, end)
