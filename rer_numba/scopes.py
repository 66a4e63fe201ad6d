"""Scopes and their slots: made, replaced, added, and taken back when a phase fails.

Ports: rez.solver._PackageScope and the copying of _ResolvePhase (rez 3.4.0), without the copying: slots, masks and
ranges are immutable and live on stacks.

Out of room, the functions that take some note it in `NEEDED_ROOM` and hand out the first entries, which are kept for
that purpose, so that the caller can go on to the next place where `NEEDED_ROOM` is looked at.
"""

from __future__ import annotations

import numpy as np

from rer_numba._jit import count_bits, inlined, kernel, lowest_bit, pick
from rer_numba.schema import NONE
from rer_numba.state import (
    EPHEMERAL_RANGE,
    GROUPS,
    LOCAL_ROOM,
    N_CUTS,
    N_FAMILIES,
    N_LOCALS,
    N_SCOPES,
    N_SLOTS,
    N_STACK_SLOTS,
    N_WORDS,
    NEEDED_ROOM,
    SCOPE_ROOM,
    SLICE,
    SLOT_ROOM,
    STACK_DEPTH,
    STACK_FIRST_SLOT,
    STACK_N_CUTS,
    STACK_N_SCOPES,
    STACK_N_SLOTS,
    STACK_N_WORDS,
    STACK_RECORD,
    STACK_ROOM,
    STACK_SLOT_ROOM,
    STACK_SPLIT,
    WORD_ROOM,
)

_NAMES = list(GROUPS)
_SCOPE = _NAMES.index("scope")
_LOCAL = _NAMES.index("local")
_SLOT = _NAMES.index("slot")
_WORD = _NAMES.index("word")
_STACK = _NAMES.index("stack")
_STACK_SLOT = _NAMES.index("stack_slot")


# --- sets of positions


@inlined
def set_bit(bits, row, position):
    """Put a position into the set that starts at word `row`."""
    bits[row + (position >> 6)] |= np.uint64(1) << np.uint64(position & 63)


@inlined
def clear_bit(bits, row, position):
    """Take a position out of the set that starts at word `row`."""
    bits[row + (position >> 6)] &= ~(np.uint64(1) << np.uint64(position & 63))


@inlined
def row_words(w):
    """Words of a set of positions."""
    return w.room[_SCOPE] >> 6


@inlined
def used_words(w):
    """Words of a set of positions that can hold bits now."""
    return (w.head[N_SCOPES] + 63) >> 6


@inlined
def clear_set(w, bits):
    """Empty a set of positions."""
    for k in range(row_words(w)):
        bits[k] = np.uint64(0)


@inlined
def is_empty(w, bits):
    """True when a set of positions holds none."""
    for k in range(used_words(w)):
        if bits[k]:
            return False
    return True


# --- families and masks


@inlined
def family_words(t, w, family):
    """Words of a mask over a family's variants; 0 for a family without packages."""
    if family >= w.head[N_FAMILIES]:
        return np.int64(0)
    return (t.family_variant_offsets[family + 1] - t.family_variant_offsets[family] + 63) >> 6


@inlined
def first_word_of(w, data, words):
    """The first word of a slice that is not empty; the masks of what it meets matter from there on."""
    k = np.int64(0)
    while k < words and not w.word[data + k]:
        k += 1
    return k


@inlined
def last_word_of(w, data, words):
    """The end of the words of a slice that are not empty."""
    k = words
    while k > 0 and not w.word[data + k - 1]:
        k -= 1
    return k


@inlined
def scope_of(w, family):
    """Position of a family's scope; -1 without."""
    return np.int64(w.family_scope[family]) - 1


@inlined
def new_words(w, n):
    """Room for a mask. Returns its first word in `work.word`."""
    first = w.head[N_WORDS]
    if first + n > w.room[_WORD]:
        w.head[NEEDED_ROOM] |= WORD_ROOM
        return np.int64(0)
    w.head[N_WORDS] = first + n
    return first


@inlined
def new_slot(w, kind, count, data, request, parent, origin):
    """A new slot. Returns its id."""
    slot = w.head[N_SLOTS]
    if slot == w.room[_SLOT]:
        w.head[NEEDED_ROOM] |= SLOT_ROOM
        slot = np.int64(0)
    else:
        w.head[N_SLOTS] = slot + 1
    w.slot_kind[slot] = kind
    w.slot_count[slot] = count
    w.slot_data[slot] = data
    w.slot_request[slot] = request
    w.slot_parent[slot] = parent
    w.slot_origin[slot] = origin
    return slot


@inlined
def new_slice(w, masks, first, n, parent, origin):
    """A slot with a copy of the mask that stands in `masks` from word `first`. Returns its id."""
    data = new_words(w, n)
    count = np.int64(0)
    for k in range(n):
        word = masks[first + k]
        w.word[data + k] = word
        count += count_bits(word)
    return new_slot(w, SLICE, count, data, NONE, parent, origin)


@kernel
def new_ephemeral(w, start, end, request, parent, origin):
    """A slot with a copy of a range. Returns its id. The range must stand below `N_CUTS`."""
    return new_slot(w, EPHEMERAL_RANGE, end - start, start, request, parent, origin)


# --- scopes


@inlined
def put_slot(w, position, slot):
    """Give a scope a new slot: it must be extracted from, and may have to be split."""
    w.scope_slot[position] = slot
    set_bit(w.fresh, 0, position)
    if w.slot_kind[slot] == SLICE and w.slot_count[slot] > 1:
        set_bit(w.unsolved, 0, position)
    else:
        clear_bit(w.unsolved, 0, position)


@kernel
def add_scope(t, w, family, slot):
    """Append a scope to the phase."""
    position = w.head[N_SCOPES]
    if position == w.room[_SCOPE]:
        w.head[NEEDED_ROOM] |= SCOPE_ROOM
        return
    w.head[N_SCOPES] = position + 1
    w.scope_family[position] = family
    w.family_scope[family] = position + 1
    put_slot(w, position, slot)
    if w.slot_kind[slot] == SLICE:
        add_mentions(t, w, position)


@kernel
def add_mentions(t, w, position):
    """Note for each family that this scope's variants mention that the scope may be reduced by it."""
    family = w.scope_family[position]
    for mention in range(t.family_mention_offsets[family], t.family_mention_offsets[family + 1]):
        row = local_of(w, t.mention_family[mention]) * row_words(w)
        set_bit(w.user_bits, row, position)
        if t.mention_conflicts[mention]:
            set_bit(w.refuser_bits, row, position)


@inlined
def local_of(w, family):
    """The local number of a family; it gets one when it has none."""
    local = np.int64(w.family_local[family]) - 1
    if local >= 0:
        return local
    local = w.head[N_LOCALS]
    if local == w.room[_LOCAL]:
        w.head[NEEDED_ROOM] |= LOCAL_ROOM
        return np.int64(0)
    w.head[N_LOCALS] = local + 1
    w.local_family[local] = family
    w.family_local[family] = local + 1
    row = local * row_words(w)
    for k in range(row_words(w)):
        w.user_bits[row + k] = np.uint64(0)
        w.refuser_bits[row + k] = np.uint64(0)
    return local


@kernel
def remove_scope(t, w, position):
    """Take back the last scope."""
    family = w.scope_family[position]
    w.family_scope[family] = 0
    if w.slot_kind[w.scope_slot[position]] == SLICE:
        for mention in range(t.family_mention_offsets[family], t.family_mention_offsets[family + 1]):
            local = np.int64(w.family_local[t.mention_family[mention]]) - 1
            clear_bit(w.user_bits, local * row_words(w), position)
            clear_bit(w.refuser_bits, local * row_words(w), position)
    clear_bit(w.unsolved, 0, position)
    w.head[N_SCOPES] = position


@inlined
def find_mention(t, family, other):
    """The mention of `other` by `family`; NONE when there is none. Binary search by name, its loop without a branch.

    `other` is a family of the repository.
    """
    rank = t.family_rank[other]
    low = np.int64(t.family_mention_offsets[family])
    n = t.family_mention_offsets[family + 1] - low
    while n > 1:
        half = n >> 1
        low += pick(t.family_rank[t.mention_family[low + half]] <= rank, half, np.int64(0))
        n -= half
    if n and t.mention_family[low] == other:
        return low
    return np.int64(NONE)


@inlined
def has_linked(t, w, data, low, high, words, link):
    """True when a slice of so many words, those from `low` to `high` not empty, holds variants of a link.

    A family whose masks have one word, as nearly all have, needs no look at which words are kept. Of others a link of
    few variants has few words: 82 ms instead of 407 for three families of 3,000 versions that take exact versions from
    each other, while the 188 take as long as with whole masks (0.99 times, 2026-11-27).
    """
    start = np.int64(t.link_mask_offsets[link])
    if words == 1:
        return w.word[data] & t.link_mask[start] != 0
    first = np.int64(t.link_first_word[link])
    end = first + t.link_mask_offsets[link + 1] - start
    for k in range(max(low, first), min(high, end)):
        if w.word[data + k] & t.link_mask[start - first + k]:
            return True
    return False


# --- the phase stack


@kernel
def push_phase(w, position, slot):
    """Push the current phase with another slot at `position`, which is where it was split.

    What is made from here on is given back when the pushed phase is popped.
    """
    n = w.head[N_SCOPES]
    depth = w.head[STACK_DEPTH]
    first = w.head[N_STACK_SLOTS]
    if depth == w.room[_STACK]:
        w.head[NEEDED_ROOM] |= STACK_ROOM
        return
    if first + n > w.room[_STACK_SLOT]:
        w.head[NEEDED_ROOM] |= STACK_SLOT_ROOM
        return
    for k in range(n):
        w.stack_slot[first + k] = w.scope_slot[k]
    w.stack_slot[first + position] = slot
    for k in range(row_words(w)):
        w.stack_unsolved[depth * row_words(w) + k] = w.unsolved[k]
    if w.slot_count[slot] == 1:
        clear_bit(w.stack_unsolved, depth * row_words(w), position)
    record = depth * STACK_RECORD
    w.stack[record + STACK_N_SCOPES] = n
    w.stack[record + STACK_FIRST_SLOT] = first
    w.stack[record + STACK_SPLIT] = position
    w.stack[record + STACK_N_SLOTS] = w.head[N_SLOTS]
    w.stack[record + STACK_N_WORDS] = w.head[N_WORDS]
    w.stack[record + STACK_N_CUTS] = w.head[N_CUTS]
    w.head[STACK_DEPTH] = depth + 1
    w.head[N_STACK_SLOTS] = first + n


@kernel
def pop_phase(t, w):
    """Make the phase on top of the stack the current one, and give back everything made since it was pushed."""
    depth = w.head[STACK_DEPTH] - 1
    record = depth * STACK_RECORD
    n = np.int64(w.stack[record + STACK_N_SCOPES])
    for position in range(w.head[N_SCOPES] - 1, n - 1, -1):
        remove_scope(t, w, position)
    first = np.int64(w.stack[record + STACK_FIRST_SLOT])
    for k in range(n):
        w.scope_slot[k] = w.stack_slot[first + k]
    for k in range(row_words(w)):
        w.unsolved[k] = w.stack_unsolved[depth * row_words(w) + k]
    clear_set(w, w.changed)
    clear_set(w, w.fresh)
    split = np.int64(w.stack[record + STACK_SPLIT])
    set_bit(w.changed, 0, split)
    set_bit(w.fresh, 0, split)
    w.head[N_SLOTS] = w.stack[record + STACK_N_SLOTS]
    w.head[N_WORDS] = w.stack[record + STACK_N_WORDS]
    w.head[N_CUTS] = w.stack[record + STACK_N_CUTS]
    w.head[STACK_DEPTH] = depth
    w.head[N_STACK_SLOTS] = first


@inlined
def first_of(w, bits):
    """The first position of a set; -1 when it is empty."""
    for k in range(used_words(w)):
        if bits[k]:
            return (np.int64(k) << 6) + lowest_bit(bits[k])
    return np.int64(-1)
