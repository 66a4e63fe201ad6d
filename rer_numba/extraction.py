"""Extract, merge, intersect, add: one round of the phase loop.

Ports: the inner loop of rez.solver._ResolvePhase.solve, _PackageVariantSlice.extract, _PackageScope.intersect and
RequirementList as it merges extractions (rez 3.4.0).

A round gathers the extractions of all fresh scopes. Each one is a *contribution*: the requirement that all variants of
a scope's slice share on a family, which is the union of what they ask. Two ways decide what follows from them:

* by masks, almost always: what is left of a family is the mask of its scope (or all of it) and-ed with the mask of
  each contribution. As long as something is left, no range was in conflict on the way, and the order of the
  contributions does not matter.
* by ranges, exactly as rez does it, step by step in rez's order: when nothing is left (which of several things failed,
  and is it a failure or an error?), for ephemerals and families without packages (which have no masks), for packages
  that can't be loaded, and where a quirk of rez's union could add a version.
"""

from __future__ import annotations

import numpy as np

from rer_numba._jit import inlined, kernel, lowest_bit
from rer_numba.calling_off import is_called_off
from rer_numba.lookup import first_word, lacks_filter, look_up, note_look_up
from rer_numba.policy_arrays import ASKS, HIDES
from rer_numba.ranges import (
    intersect_ranges,
    is_any,
    load_range,
    mask_of_range,
    same_range,
    subtract_range,
    unite_intervals,
)
from rer_numba.schema import (
    BROKEN_FAMILY,
    CONFLICT,
    EPHEMERAL,
    EXCLUSIVE_LOWER,
    HAS_BROKEN_PACKAGE,
    HAS_BROKEN_VARIANT,
    NONE,
)
from rer_numba.scopes import (
    add_mentions,
    add_scope,
    family_words,
    first_word_of,
    has_linked,
    last_word_of,
    new_ephemeral,
    new_slice,
    put_slot,
    scope_of,
    set_bit,
    used_words,
)
from rer_numba.state import (
    ACCUMULATOR_ROOM,
    ACCUMULATOR_WORD_ROOM,
    BROKEN_VARIANT,
    CONFLICT_RANGE,
    CONTRIBUTION_ROOM,
    EPHEMERAL_RANGE,
    EPHEMERAL_REQUEST,
    ERROR,
    ERROR_ON_MISSING,
    FAILED,
    FAMILY_NOT_FOUND,
    FILTERS,
    FRESH,
    GROUPS,
    INEXACT,
    INTERSECTED,
    MERGE_CONFLICT,
    MISSING_FAMILY,
    N_ACCUMULATOR_WORDS,
    N_ACCUMULATORS,
    N_CONTRIBUTIONS,
    N_CUTS,
    N_FAMILIES,
    N_REQUESTS,
    N_SCOPES,
    NEED_POLICY,
    NEED_ROOM,
    NEEDED_ROOM,
    NO_RANGE,
    PACKAGE_NOT_FOUND,
    PENDING,
    REASON,
    REASON_FAMILY,
    REASON_OTHER,
    REASON_SCOPE,
    REQUIRED,
    ROUND_FILTERS,
    ROUND_START,
    SCOPE_CONFLICT,
    SLICE,
    WANTED,
    WIDENED,
    WIDENS,
)

_NAMES = list(GROUPS)
_CONTRIBUTION = _NAMES.index("contribution")
_ACCUMULATOR = _NAMES.index("accumulator")
_ACCUMULATOR_WORD = _NAMES.index("accumulator_word")


@inlined
def _because(w, status, reason, family, scope, other):
    """Note why a phase failed or which error was met. Returns the status."""
    w.head[REASON] = reason
    w.head[REASON_FAMILY] = family
    w.head[REASON_SCOPE] = scope
    w.head[REASON_OTHER] = other
    return status


# --- extract


@kernel
def extract(t, w):
    """Extract from every fresh scope, scope by scope, families in alphabetical order.

    Returns PENDING; ERROR when a slice holds a variant whose own requirements conflict; NEED_ROOM when it was called
    off. The contributions stand from `ROUND_START` to `N_CONTRIBUTIONS`.
    """
    w.head[ROUND_START] = w.head[N_CONTRIBUTIONS]
    w.head[N_ACCUMULATORS] = 0
    w.head[N_ACCUMULATOR_WORDS] = 0
    w.head[INEXACT] = 0
    w.head[WIDENS] = 0
    for k in range(used_words(w)):
        bits = w.fresh[k]
        w.fresh[k] = np.uint64(0)
        while bits:
            position = (np.int64(k) << 6) + lowest_bit(bits)
            bits &= bits - np.uint64(1)
            slot = np.int64(w.scope_slot[position])
            if w.slot_kind[slot] != SLICE:
                continue
            if is_called_off(w):
                return NEED_ROOM
            family = np.int64(w.scope_family[position])
            if w.slot_origin[slot] == FRESH and t.family_flags[family] & HAS_BROKEN_VARIANT:
                if _touch(t, w, family, slot):
                    _forget_accumulators(w)
                    return _because(w, ERROR, BROKEN_VARIANT, family, position, NONE)
            if w.slot_count[slot] == 1:
                _extract_from_variant(t, w, position, family, slot)
            else:
                _extract_in_common(t, w, position, family, slot)
    return PENDING


@kernel
def _touch(t, w, family, slot):
    """True when the slice holds a variant whose requirements conflict with each other."""
    first_variant = np.int64(t.family_variant_offsets[family])
    data = np.int64(w.slot_data[slot])
    for k in range(family_words(t, w, family)):
        bits = w.word[data + k]
        while bits:
            if t.variant_error[first_variant + (np.int64(k) << 6) + lowest_bit(bits)] != NONE:
                return True
            bits &= bits - np.uint64(1)
    return False


@inlined
def first_variant_of(t, w, family, slot):
    """The variant with the lowest bit of a slice: one of the newest package."""
    k = np.int64(0)
    data = np.int64(w.slot_data[slot])
    while not w.word[data + k]:
        k += 1
    return t.family_variant_offsets[family] + (k << 6) + lowest_bit(w.word[data + k])


@inlined
def _extract_from_variant(t, w, position, family, slot):
    """Everything a single variant requires."""
    variant = first_variant_of(t, w, family, slot)
    for k in range(t.variant_extraction_offsets[variant], t.variant_extraction_offsets[variant + 1]):
        requirement = np.int64(t.variant_extraction[k])
        other = np.int64(t.requirement_family[requirement])
        _note_contribution(w, position, slot, other, NONE, requirement)
        _gather_required(t, w, other, requirement)


@inlined
def _gather_required(t, w, other, requirement):
    """Gather what one requirement allows."""
    start = t.requirement_mask_offsets[requirement]
    first = np.int64(t.requirement_first_word[requirement]) if family_words(t, w, other) > 1 else np.int64(0)
    end = first + t.requirement_mask_offsets[requirement + 1] - start
    _gather(t, w, other, t.requirement_mask, start, first, end)


@inlined
def _extract_in_common(t, w, position, family, slot):
    """Each family that all variants of the slice require, with the union of the ranges they ask for."""
    words = family_words(t, w, family)
    data = np.int64(w.slot_data[slot])
    low, high = first_word_of(w, data, words), last_word_of(w, data, words)
    first = np.int64(t.family_mention_offsets[family])
    for mention in range(first, t.family_mention_offsets[family + 1]):
        mask = t.family_mention_mask_offsets[family] + (mention - first) * words
        common = True
        for k in range(low, high):
            if w.word[data + k] & ~t.mention_mask[mask + k]:
                common = False
                break
        if common:
            other = np.int64(t.mention_family[mention])
            _note_contribution(w, position, slot, other, mention, NONE)
            link = np.int64(t.mention_link_offsets[mention])
            if t.mention_link_offsets[mention + 1] == link + 1:
                _gather_required(t, w, other, np.int64(t.link_requirement[link]))
                continue
            other_words = family_words(t, w, other)
            _unite_masks(t, w, data, low, high, words, mention, other_words)
            _gather(t, w, other, w.scratch, np.int64(0), np.int64(0), other_words)


@inlined
def _unite_masks(t, w, data, low, high, words, mention, other_words):
    """Or the masks of the requirements that the variants of a slice have on one family into `work.scratch`.

    The slice stands at `data`; its words from `low` to `high` are not empty.
    """
    for k in range(other_words):
        w.scratch[k] = np.uint64(0)
    united = 0
    exclusive = 0
    for link in range(t.mention_link_offsets[mention], t.mention_link_offsets[mention + 1]):
        if not has_linked(t, w, data, low, high, words, link):
            continue
        requirement = t.link_requirement[link]
        flags = t.requirement_flags[requirement]
        if not flags & CONFLICT:
            united += 1
            exclusive |= flags & EXCLUSIVE_LOWER
            word = np.int64(t.requirement_first_word[requirement]) if other_words > 1 else np.int64(0)
            for k in range(t.requirement_mask_offsets[requirement], t.requirement_mask_offsets[requirement + 1]):
                w.scratch[word] |= t.requirement_mask[k]
                word += 1
    if united > 1 and exclusive:
        w.head[INEXACT] = 1  # see ranges.unite_intervals for the quirk


@inlined
def _note_contribution(w, position, slot, other, mention, requirement):
    n = w.head[N_CONTRIBUTIONS]
    if n == w.room[_CONTRIBUTION]:
        w.head[NEEDED_ROOM] |= CONTRIBUTION_ROOM
        return
    w.contribution_family[n] = other
    w.contribution_scope[n] = position
    w.contribution_slot[n] = slot
    w.contribution_mention[n] = mention
    w.contribution_requirement[n] = requirement
    w.head[N_CONTRIBUTIONS] = n + 1


@inlined
def _gather(t, w, other, masks, start, first, end):
    """And the mask of a contribution into what is left of its family.

    Its words from `first` to `end` stand in `masks` from `start` on; the others are empty. A contribution that takes
    nothing from an existing slice leaves no trace.
    """
    words = family_words(t, w, other)
    if words == 0:
        w.head[INEXACT] = 1
        return
    accumulator = np.int64(w.family_accumulator[other]) - 1
    if accumulator < 0:
        position = scope_of(w, other)
        if position >= 0:
            slot = np.int64(w.scope_slot[position])
            data = np.int64(w.slot_data[slot])
            if w.slot_kind[slot] == SLICE:
                narrows = False
                for k in range(words):
                    if w.word[data + k] & ~_kept_word(masks, start, first, end, k):
                        narrows = True
                        break
                if not narrows:
                    return
        accumulator = _new_accumulator(t, w, other, position, words)
    data = np.int64(w.accumulator_data[accumulator])
    for k in range(words):
        w.accumulator_word[data + k] &= _kept_word(masks, start, first, end, k)


@inlined
def _kept_word(masks, start, first, end, k):
    """Word `k` of a mask of which only those from `first` to `end` are kept, at `start`."""
    return masks[start + k - first] if first <= k < end else np.uint64(0)


@kernel
def _new_accumulator(t, w, other, position, words):
    """What is left of a family before any contribution, hidden packages included. Returns its accumulator."""
    accumulator = w.head[N_ACCUMULATORS]
    data = w.head[N_ACCUMULATOR_WORDS]
    if accumulator == w.room[_ACCUMULATOR]:
        w.head[NEEDED_ROOM] |= ACCUMULATOR_ROOM
        return np.int64(0)
    if data + words > w.room[_ACCUMULATOR_WORD]:
        w.head[NEEDED_ROOM] |= ACCUMULATOR_WORD_ROOM
        return np.int64(0)
    w.head[N_ACCUMULATORS] = accumulator + 1
    w.head[N_ACCUMULATOR_WORDS] = data + words
    w.family_accumulator[other] = accumulator + 1
    w.accumulator_family[accumulator] = other
    w.accumulator_data[accumulator] = data
    slot = np.int64(w.scope_slot[position]) if position >= 0 else np.int64(NONE)
    if slot != NONE and w.slot_kind[slot] == SLICE:
        for k in range(words):
            w.accumulator_word[data + k] = w.word[w.slot_data[slot] + k]
        return accumulator
    if slot != NONE:
        w.head[WIDENS] = 1
    for k in range(words):
        w.accumulator_word[data + k] = ~(w.word[w.slot_data[slot] + k] if slot != NONE else np.uint64(0))
    if t.family_flags[other] & (HAS_BROKEN_PACKAGE | BROKEN_FAMILY):
        w.head[INEXACT] = 1
    return accumulator


# --- merge, intersect, add: by masks


@kernel
def _forget_accumulators(w):
    for k in range(w.head[N_ACCUMULATORS]):
        w.family_accumulator[w.accumulator_family[k]] = 0


@inlined
def _something_left(t, w):
    """True when masks alone decide the round: every family keeps a variant that is not hidden."""
    if w.head[INEXACT]:
        return False
    for k in range(w.head[N_ACCUMULATORS]):
        data = np.int64(w.accumulator_data[k])
        family = np.int64(w.accumulator_family[k])
        left = False
        for i in range(family_words(t, w, family)):
            if w.accumulator_word[data + i]:
                left = True
                break
        if not left:
            return False
        if w.head[FILTERS] and not _something_seen(t, w, family, data):
            return False
    return True


@kernel
def _something_seen(t, w, family, data):
    """True when the policy is known not to hide all that is left of a family."""
    policy = t.family_policy[family]
    if not policy & HIDES:
        return True
    if policy & ASKS and not _has_slice(w, family):
        return False
    first = first_word(t, family)
    for k in range(family_words(t, w, family)):
        if w.accumulator_word[data + k] & t.seen_mask[first + k]:
            return True
    return False


@inlined
def _has_slice(w, family):
    position = scope_of(w, family)
    return position >= 0 and w.slot_kind[w.scope_slot[position]] == SLICE


@kernel
def _hide(t, w, family, data):
    """Take what the policy hides out of what is left of a family."""
    if t.family_policy[family] & HIDES:
        first = first_word(t, family)
        for k in range(family_words(t, w, family)):
            w.accumulator_word[data + k] &= t.seen_mask[first + k]


@kernel
def _lacks_filters(t, w):
    """True when it is not compiled yet what the policy hides of the families of the round.

    Whatever the round looks up is among them: a family with packages and without a slice has an accumulator.
    """
    for k in range(w.head[N_ACCUMULATORS]):
        if lacks_filter(t, w, np.int64(w.accumulator_family[k])):
            return True
    return False


@kernel
def settle(t, w):
    """Merge the contributions of the round, intersect the scopes with them and add new scopes.

    Returns PENDING; FAILED with the reason; ERROR; NEED_ROOM; NEED_POLICY, when it has to be called again.
    """
    _forget_accumulators(w)
    if w.head[NEEDED_ROOM]:
        return NEED_ROOM
    if w.head[FILTERS] and _lacks_filters(t, w):
        w.head[WANTED] = ROUND_FILTERS
        return NEED_POLICY
    if not _something_left(t, w):
        return settle_exactly(t, w)
    if w.head[WIDENS]:
        _note_widened(t, w)
    for k in range(w.head[N_ACCUMULATORS]):
        family = np.int64(w.accumulator_family[k])
        data = np.int64(w.accumulator_data[k])
        words = family_words(t, w, family)
        position = scope_of(w, family)
        if position < 0:
            note_look_up(t, w, family, w.accumulator_word, data)
        if w.head[FILTERS]:
            _hide(t, w, family, data)
        if position < 0:
            slot = new_slice(w, w.accumulator_word, data, words, NONE, FRESH)
            add_scope(t, w, family, slot)
        else:
            _narrow(t, w, position, w.accumulator_word, data, words)
    return NEED_ROOM if w.head[NEEDED_ROOM] else PENDING


@kernel
def _note_widened(t, w):
    """Log what the conflict scopes look up. rez does so scope by scope, before it adds the new ones."""
    for position in range(w.head[N_REQUESTS]):
        if w.slot_kind[w.scope_slot[position]] == CONFLICT_RANGE:
            for k in range(w.head[N_ACCUMULATORS]):
                if w.accumulator_family[k] == w.scope_family[position]:
                    family = np.int64(w.accumulator_family[k])
                    note_look_up(t, w, family, w.accumulator_word, np.int64(w.accumulator_data[k]))


@inlined
def _narrow(t, w, position, masks, start, words):
    """Give a scope a smaller slice, or the slice that its conflict range leaves."""
    slot = np.int64(w.scope_slot[position])
    set_bit(w.changed, 0, position)
    if w.slot_kind[slot] == SLICE:
        put_slot(w, position, new_slice(w, masks, start, words, slot, INTERSECTED))
    else:
        put_slot(w, position, new_slice(w, masks, start, words, NONE, FRESH))
        set_bit(w.widened, 0, position)
        add_mentions(t, w, position)


# --- merge, intersect, add: by ranges


@kernel
def settle_exactly(t, w):
    """`settle`, step by step as rez does it. The merged range of each family stands above the ranges that are kept."""
    kept = w.head[N_CUTS]
    status = _merge_exactly(t, w)
    if status == PENDING:
        status = _intersect_exactly(t, w)
    if status == PENDING:
        status = _add_exactly(t, w)
    _forget_accumulators(w)
    # an ephemeral may have been given a range of this round: then nothing of it is given back before the phase fails
    if status != PENDING or not _keeps_range(w, kept):
        w.head[N_CUTS] = kept
    return NEED_ROOM if w.head[NEEDED_ROOM] else status


@kernel
def _keeps_range(w, kept):
    for position in range(w.head[N_SCOPES]):
        slot = w.scope_slot[position]
        if w.slot_kind[slot] == EPHEMERAL_RANGE and w.slot_data[slot] >= kept:
            return True
    return False


@kernel
def _contribution_range(t, w, n, out):
    """The range of a contribution, at `out`. Returns its end."""
    requirement = w.contribution_requirement[n]
    if requirement != NONE:
        return unite_intervals(w, out, load_range(t, w, t.requirement_range[requirement], out))
    slot = np.int64(w.contribution_slot[n])
    family = np.int64(w.scope_family[w.contribution_scope[n]])
    words = family_words(t, w, family)
    mention = np.int64(w.contribution_mention[n])
    data = np.int64(w.slot_data[slot])
    low, high = first_word_of(w, data, words), last_word_of(w, data, words)
    end = out
    for link in range(t.mention_link_offsets[mention], t.mention_link_offsets[mention + 1]):
        requirement = t.link_requirement[link]
        if not t.requirement_flags[requirement] & CONFLICT and has_linked(t, w, data, low, high, words, link):
            end = load_range(t, w, t.requirement_range[requirement], end)
    return unite_intervals(w, out, end)


@kernel
def _merge_exactly(t, w):
    """Merge the contributions on each family in the order they were made.

    Ports: rez.version.RequirementList (rez 3.4.0). The first pair in conflict fails the phase.
    """
    w.head[N_ACCUMULATORS] = 0
    for n in range(w.head[ROUND_START], w.head[N_CONTRIBUTIONS]):
        family = np.int64(w.contribution_family[n])
        out = w.head[N_CUTS]
        end = _contribution_range(t, w, n, out)
        accumulator = np.int64(w.family_accumulator[family]) - 1
        if accumulator < 0:
            accumulator = w.head[N_ACCUMULATORS]
            if accumulator == w.room[_ACCUMULATOR]:
                w.head[NEEDED_ROOM] |= ACCUMULATOR_ROOM
                return NEED_ROOM
            w.head[N_ACCUMULATORS] = accumulator + 1
            w.family_accumulator[family] = accumulator + 1
            w.accumulator_family[accumulator] = family
        else:
            start = out
            out = end
            end = intersect_ranges(
                w, np.int64(w.accumulator_data[accumulator]), np.int64(w.accumulator_end[accumulator]), start, out, out
            )
            if end == out and not w.head[NEEDED_ROOM]:
                return _because(w, FAILED, MERGE_CONFLICT, family, NONE, n)
        if is_called_off(w) or w.head[NEEDED_ROOM]:
            return NEED_ROOM
        w.accumulator_data[accumulator] = out
        w.accumulator_end[accumulator] = end
        w.head[N_CUTS] = end
    return PENDING


@kernel
def _intersect_exactly(t, w):
    """Intersect the scopes with the merged extractions, in scope order. The first that fails is the one reported."""
    for position in range(w.head[N_SCOPES]):
        family = np.int64(w.scope_family[position])
        accumulator = np.int64(w.family_accumulator[family]) - 1
        if accumulator < 0:
            continue
        start = np.int64(w.accumulator_data[accumulator])
        end = np.int64(w.accumulator_end[accumulator])
        slot = np.int64(w.scope_slot[position])
        kind = w.slot_kind[slot]
        if kind == SLICE:
            status = _intersect_slice(t, w, position, family, slot, start, end)
        elif kind == EPHEMERAL_RANGE:
            status = _intersect_ephemeral(w, position, family, slot, start, end)
        else:
            status = _intersect_conflict(t, w, position, family, slot, start, end)
        if status != PENDING:
            return status
        if is_called_off(w) or w.head[NEEDED_ROOM]:
            return NEED_ROOM
    return PENDING


@kernel
def _intersect_slice(t, w, position, family, slot, start, end):
    if is_any(w, start, end):
        return PENDING
    words = family_words(t, w, family)
    mask_of_range(t, w, family, start, end, np.int64(0))
    left = False
    narrows = False
    data = np.int64(w.slot_data[slot])
    for k in range(words):
        word = w.word[data + k]
        w.scratch[k] &= word
        left |= w.scratch[k] != 0
        narrows |= w.scratch[k] != word
    if not left:
        return _because(w, FAILED, SCOPE_CONFLICT, family, position, NONE)
    if narrows:
        _narrow(t, w, position, w.scratch, np.int64(0), words)
    return PENDING


@kernel
def _intersect_ephemeral(w, position, family, slot, start, end):
    """An ephemeral is only a range. Ports: rez.solver._PackageScope.intersect (rez 3.4.0)."""
    data = np.int64(w.slot_data[slot])
    data_end = data + w.slot_count[slot]
    out = w.head[N_CUTS]
    out_end = intersect_ranges(w, start, end, data, data_end, out)
    if out_end == out:
        return _because(w, FAILED, SCOPE_CONFLICT, family, position, NONE)
    if same_range(w, out, out_end, data, data_end):
        return PENDING
    w.head[N_CUTS] = out_end
    put_slot(w, position, new_ephemeral(w, out, out_end, NONE, slot, INTERSECTED))
    set_bit(w.changed, 0, position)
    return PENDING


@kernel
def _intersect_conflict(t, w, position, family, slot, start, end):
    """What a conflict leaves of an extraction: a slice that was not there before, or a range for an ephemeral."""
    request = np.int64(w.slot_request[slot])
    flags = w.request_flags[request]
    if not flags & NO_RANGE:
        out = w.head[N_CUTS]
        out_end = subtract_range(
            w, start, end, np.int64(w.request_cut_offsets[request]), np.int64(w.request_cut_offsets[request + 1]), out
        )
        if out_end == out:
            return _because(w, FAILED, SCOPE_CONFLICT, family, position, NONE)
        w.head[N_CUTS] = out_end
        start = out
        end = out_end
    if flags & EPHEMERAL_REQUEST:
        put_slot(w, position, new_ephemeral(w, start, end, NONE, NONE, FRESH))
        set_bit(w.changed, 0, position)
        set_bit(w.widened, 0, position)
        return PENDING
    reason = look_up(t, w, family, start, end)
    if reason == PACKAGE_NOT_FOUND:
        return _because(w, FAILED, SCOPE_CONFLICT, family, position, NONE)
    if reason:
        return _because(w, ERROR, reason, family, position, WIDENED)
    _narrow(t, w, position, w.scratch, np.int64(0), family_words(t, w, family))
    return PENDING


@kernel
def _add_exactly(t, w):
    """Add scopes for the families that have none, in the order they were first extracted."""
    for accumulator in range(w.head[N_ACCUMULATORS]):
        family = np.int64(w.accumulator_family[accumulator])
        if scope_of(w, family) >= 0:
            continue
        start = np.int64(w.accumulator_data[accumulator])
        end = np.int64(w.accumulator_end[accumulator])
        if family >= w.head[N_FAMILIES] or t.family_flags[family] & EPHEMERAL:
            add_scope(t, w, family, new_ephemeral(w, start, end, NONE, NONE, FRESH))
            continue
        reason = look_up(t, w, family, start, end)
        if reason == FAMILY_NOT_FOUND and not w.head[ERROR_ON_MISSING]:
            return _because(w, FAILED, MISSING_FAMILY, family, NONE, NONE)
        if reason:
            return _because(w, ERROR, reason, family, NONE, REQUIRED)
        slot = new_slice(w, w.scratch, np.int64(0), family_words(t, w, family), NONE, FRESH)
        add_scope(t, w, family, slot)
    return PENDING
