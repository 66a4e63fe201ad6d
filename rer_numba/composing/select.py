"""Which names are taken from which parts, and which of their packages are kept."""

from __future__ import annotations

import numpy as np

from rer_numba._jit import inlined, kernel
from rer_numba.composing.sorting import sort_rows
from rer_numba.composing.state import (
    ALL_NAMES,
    ALLOWS,
    BY_VERSION,
    FAMILIES,
    FAMILY_BASE,
    FOLDERS,
    HAS_BUILDING,
    HAS_GIVEN,
    HAS_PLACES,
    LEAST_AHEAD,
    LOCATIONS,
    MOST_AHEAD,
    N_AHEAD,
    N_ASKED,
    N_CANDIDATES,
    N_NAMES,
    N_QUEUE,
    NAME_ROOM,
    PART,
    THESE_NAMES,
    VERSION_BASE,
)
from rer_numba.composing.texts import name_of, name_of_text, source_text_of
from rer_numba.schema import NONE

_PATH_SHIFT = 40


# --- names


@kernel
def allow_names(p, w):
    """Note the names that a part is asked for, or not to give."""
    base = p.about[PART] * w.head[NAME_ROOM]
    for n in range(w.head[N_ASKED]):
        w.allowed[base + name_of_text(w, np.int64(w.asked_text[n]))] = 1


@inlined
def may_take(p, w, name):
    """True when a part may give a name; NONE is one that no packages have, and nobody has asked for."""
    if p.about[ALLOWS] == ALL_NAMES:
        return True
    if name < 0:
        return p.about[ALLOWS] != THESE_NAMES
    return (w.allowed[p.about[PART] * w.head[NAME_ROOM] + name] == 1) == (p.about[ALLOWS] == THESE_NAMES)


@kernel
def _select(w, name):
    if w.name_selected[name] == 0:
        w.name_selected[name] = 1
        w.name_listed[name] = 1
        w.queue[w.head[N_QUEUE]] = name
        w.head[N_QUEUE] += 1


@kernel
def note_listed(w):
    """Note the names that came from Python as listed."""
    for n in range(w.head[N_ASKED]):
        w.name_listed[name_of_text(w, np.int64(w.asked_text[n]))] = 1


@kernel
def select_asked(w):
    """Select the names that came from Python."""
    for n in range(w.head[N_ASKED]):
        _select(w, name_of_text(w, np.int64(w.asked_text[n])))


@kernel
def select_all(p, w):
    """Select and take all families of a part that have packages or an error, and all that have a folder."""
    for row in range(p.about[FAMILIES]):
        if p.family_package_offsets[row] < p.family_package_offsets[row + 1] or p.family_error[row] != NONE:
            name = name_of(p, w, row)
            if may_take(p, w, name):
                _select(w, name)
                _take(p, w, name, row)
    for row in range(p.about[LOCATIONS], p.about[FOLDERS]):
        name = name_of_text(w, source_text_of(p, w, np.int64(p.folder_name_text[row])))
        if may_take(p, w, name):
            _select(w, name)


@kernel
def follow(p, q, b, w):
    """Take the selected names that a part has, and select what they mention if that is wanted."""
    part = p.about[PART]
    while w.cursor[part] < w.head[N_QUEUE]:
        name = np.int64(w.queue[w.cursor[part]])
        w.cursor[part] += 1
        row = _find_family(p, w, np.int64(w.name_text[name]))
        if row < 0 or not may_take(p, w, name):
            continue
        w.family_map[p.about[FAMILY_BASE] + row] = name + 1
        _take(p, w, name, row)
        if w.head[MOST_AHEAD] > 0:
            _select_mentioned(p, q, w, row)
            if p.about[HAS_BUILDING]:
                _select_mentioned(p, b, w, row)


@kernel
def _select_mentioned(p, q, w, row):
    for mention in range(q.family_mention_offsets[row], q.family_mention_offsets[row + 1]):
        other = np.int64(q.mention_family[mention])
        name = name_of(p, w, other)
        count = np.int64(p.family_package_offsets[other + 1]) - p.family_package_offsets[other]
        count = max(count, np.int64(LEAST_AHEAD))
        if w.name_selected[name] == 0 and w.head[N_AHEAD] + count <= w.head[MOST_AHEAD]:
            w.head[N_AHEAD] += count
            _select(w, name)


@kernel
def _find_family(p, w, text):
    """The row of a name in a part, by bisection, or NONE."""
    first = np.int64(0)
    last = p.about[FAMILIES]
    while first < last:
        middle = (first + last) >> 1
        row = np.int64(p.family_by_name[middle])
        side = _compare(p, w, np.int64(p.family_text[row]), text)
        if side == 0:
            return row
        if side < 0:
            first = middle + 1
        else:
            last = middle
    return np.int64(NONE)


@kernel
def find_folders(p, w, text):
    """The first folder of a part that has a name, by bisection; where it would stand if there is none."""
    first = p.about[LOCATIONS]
    last = p.about[FOLDERS]
    while first < last:
        middle = (first + last) >> 1
        if compare_source(p, w, np.int64(p.folder_name_text[middle]), text) < 0:
            first = middle + 1
        else:
            last = middle
    return first


@kernel
def compare_source(p, w, row, text):
    """-1, 0 or 1: a source text of a part stands before another text, is it, or stands behind it."""
    start = p.source_text_offsets[row]
    length = p.source_text_offsets[row + 1] - start
    other = w.text_start[text]
    other_length = w.text_start[text + 1] - other
    for k in range(min(length, other_length)):
        byte = p.source_text_bytes[start + k]
        other_byte = w.text_bytes[other + k]
        if byte != other_byte:
            return -1 if byte < other_byte else 1
    if length == other_length:
        return 0
    return -1 if length < other_length else 1


@kernel
def _compare(p, w, row, text):
    """-1, 0 or 1: a text of a part stands before another text, is it, or stands behind it."""
    start = p.text_offsets[row]
    length = p.text_offsets[row + 1] - start
    other = w.text_start[text]
    other_length = w.text_start[text + 1] - other
    for k in range(min(length, other_length)):
        byte = p.text_bytes[start + k]
        other_byte = w.text_bytes[other + k]
        if byte != other_byte:
            return -1 if byte < other_byte else 1
    if length == other_length:
        return 0
    return -1 if length < other_length else 1


@kernel
def _take(p, w, name, row):
    """Take a name from a part."""
    w.row_of[p.about[PART] * w.head[NAME_ROOM] + name] = row + 1
    count = p.family_package_offsets[row + 1] - p.family_package_offsets[row]
    if count:
        w.name_parts[name] += 1
        w.name_count[name] += count


@inlined
def row_in(p, w, name):
    """The row of a name in a part that gives it, or NONE."""
    return np.int64(w.row_of[p.about[PART] * w.head[NAME_ROOM] + name]) - 1


# --- candidates


@kernel
def count_candidates(w):
    """Give each name its place among the candidates."""
    first = np.int64(0)
    for name in range(w.head[N_NAMES]):
        w.name_first[name] = first
        first += w.name_count[name]
    w.head[N_CANDIDATES] = first


@kernel
def gather_candidates(p, q, b, w):
    """Add the packages of a part, and note the versions of those that other parts have as well."""
    for name in range(w.head[N_NAMES]):
        row = row_in(p, w, name)
        if row < 0:
            continue
        at = np.int64(w.name_first[name]) + w.name_filled[name]
        for package in range(p.family_package_offsets[row], p.family_package_offsets[row + 1]):
            w.candidate_part[at] = p.about[PART]
            w.candidate_row[at] = package
            w.kept[at] = at
            w.candidate_place[at] = NONE if p.about[HAS_GIVEN] else np.int64(p.package_given_rank[package])
            w.candidate_given[at] = _given(p, np.int64(package))
            _count_variants(p, q, b, w, np.int64(package), at)
            if w.name_parts[name] > 1:
                mark_version(p, w, np.int64(p.package_version_rank[package]))
            at += 1
        w.name_filled[name] = at - w.name_first[name]


@inlined
def mark_version(p, w, row):
    """Note that a version of a part is used."""
    w.version_mark[(p.about[VERSION_BASE] + row) >> 6] |= np.uint64(1) << np.uint64(row & 63)


@inlined
def path_of(p, package):
    """Number of the path that a package of a part lies on."""
    if p.about[HAS_PLACES]:
        return p.paths[p.package_location[package]]
    return p.paths[0]


@inlined
def _given(p, package):
    if p.about[HAS_GIVEN]:
        return p.given[package]
    return (path_of(p, package) << _PATH_SHIFT) + 2 * np.int64(p.package_given_rank[package])


@inlined
def _count_variants(p, q, b, w, package, at):
    first = np.int64(p.package_variant_offsets[package])
    last = np.int64(p.package_variant_offsets[package + 1])
    w.candidate_variants[at] = last - first
    w.candidate_values[at] = q.variant_requirement_offsets[last] - q.variant_requirement_offsets[first]
    w.candidate_extractions[at] = q.variant_extraction_offsets[last] - q.variant_extraction_offsets[first]
    w.candidate_building_values[at] = b.variant_requirement_offsets[last] - b.variant_requirement_offsets[first]
    w.candidate_building_extractions[at] = b.variant_extraction_offsets[last] - b.variant_extraction_offsets[first]


@kernel
def rank_candidates(p, w):
    """Note the ranks of the versions of packages of names that several parts have."""
    for name in range(w.head[N_NAMES]):
        if w.name_parts[name] > 1:
            first = np.int64(w.name_first[name])
            for at in range(first, first + w.name_count[name]):
                if w.candidate_part[at] == p.about[PART]:
                    row = np.int64(p.package_version_rank[w.candidate_row[at]])
                    w.candidate_rank[at] = w.version_map[p.about[VERSION_BASE] + row]


@kernel
def choose_candidates(w):
    """Sort the candidates of each name that several parts have, and keep one of each version: the one given first."""
    for name in range(w.head[N_NAMES]):
        if w.name_parts[name] > 1:
            _choose(w, np.int64(name), np.int64(w.name_first[name]), np.int64(w.name_count[name]))


@kernel
def _choose(w, name, first, count):
    for k in range(count):
        w.order[k] = first + k
    sort_rows(w, np.int64(BY_VERSION), np.int64(0), count)
    kept = np.int64(0)
    for k in range(count):
        if k == 0 or w.candidate_rank[w.order[k]] != w.candidate_rank[w.order[k - 1]]:
            w.kept[first + kept] = w.order[k]
            kept += 1
    w.name_count[name] = kept
