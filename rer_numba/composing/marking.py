"""What the kept packages use, numbered: versions, ranges, requirements."""

from __future__ import annotations

import numpy as np

from rer_numba._jit import kernel, lowest_bit
from rer_numba.composing.select import mark_version, row_in
from rer_numba.composing.sorting import is_before, sort_rows
from rer_numba.composing.state import (
    BUILDING_DIFFERS,
    BY_CUTS,
    BY_KEY,
    HAS_BUILDING,
    N_CUTS,
    N_KEY_BYTES,
    N_NAMES,
    N_NEEDS,
    N_PENDING_REQUIREMENTS,
    N_RANGE_ENTRIES,
    N_RANGES,
    N_VERSION_ENTRIES,
    N_VERSIONS,
    PART,
    RANGE_BASE,
    RANGES,
    REQUIREMENT_BASE,
    REQUIREMENTS,
    VERSION_BASE,
    VERSIONS,
)
from rer_numba.composing.texts import PREFIX, error_of, intern_text, name_of, text_of
from rer_numba.schema import CUT_INF, CUT_SHIFT, NONE

_CUT_MASK = (1 << CUT_SHIFT) - 1


# --- marks


@kernel
def mark_part(p, q, b, w):
    """Note everything that the kept packages of a part use, and number it, apart from ranges."""
    for name in range(w.head[N_NAMES]):
        row = row_in(p, w, name)
        if row < 0:
            continue
        if p.family_error[row] != NONE and w.name_error[name] == 0:
            w.name_error[name] = error_of(p, w, np.int64(p.family_error[row])) + 1
        first = np.int64(w.name_first[name])
        for k in range(w.name_count[name]):
            at = np.int64(w.kept[first + k])
            if w.candidate_part[at] == p.about[PART]:
                _mark_package(p, q, b, w, np.int64(name), np.int64(w.candidate_row[at]), k == 0)
    _number_requirements(p, w)
    _mark_bounds(p, w)
    add_versions(p, w)


@kernel
def _mark_package(p, q, b, w, name, package, is_newest):
    mark_version(p, w, np.int64(p.package_version_rank[package]))
    first = np.int64(p.package_variant_offsets[package])
    last = np.int64(p.package_variant_offsets[package + 1])
    _mark_requirements(p, q, w, first, last)
    if p.about[HAS_BUILDING]:
        _mark_requirements(p, b, w, first, last)
        if w.head[BUILDING_DIFFERS] == 0 and _differ(q, b, first, last):
            w.head[BUILDING_DIFFERS] = 1
    if is_newest:
        _note_needs(p, q, w, name, first, last)


@kernel
def _mark_requirements(p, q, w, first, last):
    base = p.about[REQUIREMENT_BASE]
    for k in range(q.variant_requirement_offsets[first], q.variant_requirement_offsets[last]):
        at = base + q.variant_requirement[k]
        w.requirement_mark[at >> 6] |= np.uint64(1) << np.uint64(at & 63)


@kernel
def _differ(q, b, first, last):
    """True when variants do not require the same in both sets."""
    for variant in range(first, last):
        start = np.int64(q.variant_requirement_offsets[variant])
        other = np.int64(b.variant_requirement_offsets[variant])
        count = q.variant_requirement_offsets[variant + 1] - start
        if count != b.variant_requirement_offsets[variant + 1] - other:
            return True
        if q.variant_error[variant] != b.variant_error[variant]:
            return True
        for k in range(count):
            if q.variant_requirement[start + k] != b.variant_requirement[other + k]:
                return True
    return False


@kernel
def _note_needs(p, q, w, name, first, last):
    """Note what the newest package of a name requires: it decides about the order of families."""
    w.name_need[name] = w.head[N_NEEDS]
    for k in range(q.variant_requirement_offsets[first], q.variant_requirement_offsets[last]):
        needed = name_of(p, w, np.int64(p.requirement_family[q.variant_requirement[k]]))
        if needed != name and w.name_stamp[needed] != name + 1:
            w.name_stamp[needed] = name + 1
            w.name_needed[needed] = 1
            w.need[w.head[N_NEEDS]] = needed
            w.head[N_NEEDS] += 1
    w.name_needs[name] = w.head[N_NEEDS] - w.name_need[name]


# --- requirements


@kernel
def _number_requirements(p, w):
    """Number the requirements that a part uses, one for each text, and mark the ranges of new ones."""
    base = p.about[REQUIREMENT_BASE]
    for word in range((p.about[REQUIREMENTS] + 63) >> 6):
        bits = w.requirement_mark[(base >> 6) + word]
        while bits:
            row = (np.int64(word) << 6) + lowest_bit(bits)
            bits &= bits - np.uint64(1)
            text = text_of(p, w, np.int64(p.requirement_text[row]))
            if w.text_requirement[text] == 0:
                w.text_requirement[text] = _new_requirement(p, w, row, text) + 1
            w.requirement_map[base + row] = w.text_requirement[text]


@kernel
def _new_requirement(p, w, row, text):
    n = w.head[N_PENDING_REQUIREMENTS]
    w.head[N_PENDING_REQUIREMENTS] = n + 1
    name = name_of(p, w, np.int64(p.requirement_family[row]))
    w.name_used[name] = 1
    w.requirement_name[n] = name
    w.requirement_flags[n] = p.requirement_flags[row]
    w.requirement_text[n] = text
    if p.requirement_range[row] != NONE:
        at = p.about[RANGE_BASE] + p.requirement_range[row]
        w.range_mark[at >> 6] |= np.uint64(1) << np.uint64(at & 63)
        w.requirement_source[n] = at + 1
    return n


# --- versions


@kernel
def _mark_bounds(p, w):
    """Note the versions beside the cuts of the ranges that a part uses."""
    base = p.about[RANGE_BASE]
    for word in range((p.about[RANGES] + 63) >> 6):
        bits = w.range_mark[(base >> 6) + word]
        while bits:
            row = (np.int64(word) << 6) + lowest_bit(bits)
            bits &= bits - np.uint64(1)
            for k in range(p.range_offsets[row], p.range_offsets[row + 1]):
                if p.range_cut[k] != CUT_INF:
                    mark_version(p, w, p.range_cut[k] >> CUT_SHIFT)


@kernel
def add_versions(p, w):
    """Add the versions that a part uses to the entries."""
    base = p.about[VERSION_BASE]
    for word in range((p.about[VERSIONS] + 63) >> 6):
        bits = w.version_mark[(base >> 6) + word]
        while bits:
            row = (np.int64(word) << 6) + lowest_bit(bits)
            bits &= bits - np.uint64(1)
            _add_version(p, w, row)


@kernel
def _add_version(p, w, row):
    entry = w.head[N_VERSION_ENTRIES]
    w.head[N_VERSION_ENTRIES] = entry + 1
    start = w.version_start[entry]
    first = p.version_key_offsets[row]
    length = p.version_key_offsets[row + 1] - first
    prefix = np.int64(0)
    for k in range(length):
        w.key_bytes[start + k] = p.version_key[first + k]
        if k < PREFIX:
            prefix = (prefix << 8) | np.int64(p.version_key[first + k])
    w.version_start[entry + 1] = start + length
    w.version_prefix[entry] = prefix << (8 * max(PREFIX - length, 0))
    w.version_text[entry] = text_of(p, w, np.int64(p.version_text[row]))
    w.version_at[entry] = p.about[VERSION_BASE] + row


@kernel
def forget_versions(w):
    """Begin anew with the entries of versions: with the empty version, whose text is empty as well."""
    w.head[N_VERSION_ENTRIES] = 1
    w.version_at[0] = NONE
    w.version_text[0] = intern_text(w, np.int64(0))
    w.version_start[1] = 0


@kernel
def rank_versions(w):
    """Sort the entries, and give each distinct version a rank."""
    n = w.head[N_VERSION_ENTRIES]
    for entry in range(n):
        w.order[entry] = entry
    sort_rows(w, np.int64(BY_KEY), np.int64(0), n)
    ranks = np.int64(0)
    key_bytes = np.int64(0)
    for k in range(n):
        entry = np.int64(w.order[k])
        if k == 0 or is_before(w, np.int64(BY_KEY), np.int64(w.order[k - 1]), entry):
            w.version_entry[ranks] = entry
            ranks += 1
            key_bytes += w.version_start[entry + 1] - w.version_start[entry]
        if w.version_at[entry] != NONE:
            w.version_map[w.version_at[entry]] = ranks - 1
    w.head[N_VERSIONS] = ranks
    w.head[N_KEY_BYTES] = key_bytes


# --- ranges


@kernel
def number_ranges(p, w):
    """Add the ranges that a part uses to the entries, with ranks."""
    base = p.about[RANGE_BASE]
    for word in range((p.about[RANGES] + 63) >> 6):
        bits = w.range_mark[(base >> 6) + word]
        while bits:
            row = (np.int64(word) << 6) + lowest_bit(bits)
            bits &= bits - np.uint64(1)
            _add_range(p, w, row)


@kernel
def _add_range(p, w, row):
    entry = w.head[N_RANGE_ENTRIES]
    w.head[N_RANGE_ENTRIES] = entry + 1
    end = np.int64(w.range_start[entry])
    for k in range(p.range_offsets[row], p.range_offsets[row + 1]):
        cut = p.range_cut[k]
        if cut != CUT_INF:
            rank = np.int64(w.version_map[p.about[VERSION_BASE] + (cut >> CUT_SHIFT)])
            cut = (rank << CUT_SHIFT) | (cut & _CUT_MASK)
        w.cut[end] = cut
        end += 1
    w.range_start[entry + 1] = end
    w.range_at[entry] = p.about[RANGE_BASE] + row


@kernel
def arrange_ranges(w):
    """Sort the entries, and give each distinct range a number."""
    n = w.head[N_RANGE_ENTRIES]
    for entry in range(n):
        w.order[entry] = entry
    sort_rows(w, np.int64(BY_CUTS), np.int64(0), n)
    ranges = np.int64(0)
    cuts = np.int64(0)
    for k in range(n):
        entry = np.int64(w.order[k])
        if k == 0 or is_before(w, np.int64(BY_CUTS), np.int64(w.order[k - 1]), entry):
            w.range_entry[ranges] = entry
            ranges += 1
            cuts += w.range_start[entry + 1] - w.range_start[entry]
        w.range_map[w.range_at[entry]] = ranges - 1
    w.head[N_RANGES] = ranges
    w.head[N_CUTS] = cuts
