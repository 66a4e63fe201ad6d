"""Finalise: look for a cycle, and put the packages in order.

Ports: rez.solver._ResolvePhase.finalise and _get_dependency_order (rez 3.4.0).

Scopes are first put in *base order*: the request's, then the others by name. From there on a scope is its place in that
order. rez then moves the dependencies of the first node to the front, again and again; on a graph without cycles that
is the same as visiting each node's remaining dependencies in base order before the node itself.
"""

from __future__ import annotations

import numpy as np

from rer_numba._jit import inlined, kernel, lowest_bit
from rer_numba.calling_off import is_called_off
from rer_numba.extraction import first_variant_of
from rer_numba.schema import NONE
from rer_numba.scopes import clear_bit, first_of, row_words, scope_of, set_bit, used_words
from rer_numba.state import (
    CONFLICT_RANGE,
    CYCLIC,
    FRAME_ROOM,
    GROUPS,
    N_REQUESTS,
    N_RESULTS,
    N_SCOPES,
    NEED_ROOM,
    NEEDED_ROOM,
    SLICE,
    SOLVED,
)

_SCOPE = list(GROUPS).index("scope")
_FRAME = list(GROUPS).index("frame")


@kernel
def finalise(t, w):
    """Write the resolved packages and ephemerals in rez's order.

    Returns SOLVED; CYCLIC when packages require each other in a circle; NEED_ROOM.
    """
    if w.room[_FRAME] <= w.head[N_SCOPES] + 1:
        w.head[NEEDED_ROOM] |= FRAME_ROOM
        return NEED_ROOM
    n = _base_order(t, w)
    status = _close(t, w, n)
    if status == SOLVED:
        _write_results(t, w, n)
    for k in range(n * row_words(w)):
        w.pending[k] = np.uint64(0)
    return status


@kernel
def _base_order(t, w):
    """Positions without conflicts in base order, and the inverse. Returns their number."""
    n = np.int64(0)
    for position in range(w.head[N_SCOPES]):
        if position == w.head[N_REQUESTS]:
            _sort_by_name(t, w, n, w.head[N_SCOPES] - position, position)
            n += w.head[N_SCOPES] - position
            break
        if w.slot_kind[w.scope_slot[position]] != CONFLICT_RANGE:
            w.order[n] = position
            n += 1
    for place in range(n):
        w.order[w.room[_SCOPE] + w.order[place]] = place
    return n


@kernel
def _sort_by_name(t, w, first, n, position):
    """Shell sort of the positions from `position` on, by the names of their families, into `order` from `first` on."""
    for k in range(n):
        w.order[first + k] = position + k
    gap = np.int64(1)
    while gap < n:
        gap = 3 * gap + 1
    while gap > 1:
        gap //= 3
        for k in range(gap, n):
            moved = w.order[first + k]
            rank = t.family_rank[w.scope_family[moved]]
            j = np.int64(k)
            while j >= gap and t.family_rank[w.scope_family[w.order[first + j - gap]]] > rank:
                w.order[first + j] = w.order[first + j - gap]
                j -= gap
            w.order[first + j] = moved


@inlined
def _dependencies(t, w, place):
    """Where the requirements of a solved package stand: (first, end) in `variant_extraction`."""
    position = np.int64(w.order[place])
    slot = np.int64(w.scope_slot[position])
    if w.slot_kind[slot] != SLICE:
        return np.int64(0), np.int64(0)
    variant = first_variant_of(t, w, np.int64(w.scope_family[position]), slot)
    return np.int64(t.variant_extraction_offsets[variant]), np.int64(t.variant_extraction_offsets[variant + 1])


@kernel
def _close(t, w, n):
    """Find all that each package needs, directly or not: row of `pending`, by depth-first search.

    Returns SOLVED, CYCLIC, or NEED_ROOM when it was called off. `result_scope` marks a node: 0 not seen, 1 on the way,
    2 done.
    """
    for place in range(n):
        w.result_scope[place] = 0
    for root in range(n):
        if w.result_scope[root]:
            continue
        depth = _enter(t, w, 0, root)
        while depth:
            place = np.int64(w.frame[2 * depth - 2])
            k = np.int64(w.frame[2 * depth - 1])
            _, end = _dependencies(t, w, place)
            if k == end:
                if is_called_off(w):
                    return NEED_ROOM
                w.result_scope[place] = 2
                depth -= 1
                if depth:
                    _unite_rows(w, np.int64(w.frame[2 * depth - 2]), place)
                continue
            w.frame[2 * depth - 1] = k + 1
            position = scope_of(w, np.int64(t.requirement_family[t.variant_extraction[k]]))
            child = np.int64(w.order[w.room[_SCOPE] + position])
            if w.result_scope[child] == 1:
                return CYCLIC
            if w.result_scope[child] == 2:
                _unite_rows(w, place, child)
            else:
                depth = _enter(t, w, depth, child)
    return SOLVED


@inlined
def _enter(t, w, depth, place):
    """Begin with a node. Returns the new depth."""
    first, _ = _dependencies(t, w, place)
    w.result_scope[place] = 1
    w.frame[2 * depth] = place
    w.frame[2 * depth + 1] = first
    return depth + 1


@inlined
def _unite_rows(w, place, child):
    """What a dependency needs is needed too."""
    row = place * row_words(w)
    other = child * row_words(w)
    for k in range(row_words(w)):
        w.pending[row + k] |= w.pending[other + k]
    set_bit(w.pending, row, child)


@kernel
def _write_results(t, w, n):
    """Visit the nodes in base order, each after its remaining dependencies. `fresh` holds those not written yet."""
    w.head[N_RESULTS] = 0
    for place in range(n):
        set_bit(w.fresh, 0, place)
    root = first_of(w, w.fresh)
    while root >= 0:
        w.frame[0] = root
        depth = np.int64(1)
        while depth:
            place = np.int64(w.frame[depth - 1])
            child = _next_dependency(w, place)
            if child >= 0:
                w.frame[depth] = child
                depth += 1
            else:
                _write_result(t, w, place)
                depth -= 1
                if is_called_off(w):
                    return
        root = first_of(w, w.fresh)


@inlined
def _next_dependency(w, place):
    """The first node in base order that `place` needs and that is not written yet; -1 when there is none."""
    row = place * row_words(w)
    for k in range(used_words(w)):
        word = w.pending[row + k] & w.fresh[k]
        if word:
            return (np.int64(k) << 6) + lowest_bit(word)
    return np.int64(-1)


@inlined
def _write_result(t, w, place):
    clear_bit(w.fresh, 0, place)
    done = w.head[N_RESULTS]
    w.head[N_RESULTS] = done + 1
    position = np.int64(w.order[place])
    slot = np.int64(w.scope_slot[position])
    w.result_scope[done] = position
    w.result_variant[done] = NONE
    if w.slot_kind[slot] == SLICE:
        w.result_variant[done] = first_variant_of(t, w, np.int64(w.scope_family[position]), slot)
