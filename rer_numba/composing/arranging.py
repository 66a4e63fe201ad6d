"""The order of families and requirements, where packages stand, and how long the columns are."""

from __future__ import annotations

import numpy as np

from rer_numba._jit import kernel
from rer_numba.composing.marking import arrange_ranges
from rer_numba.composing.sorting import sort_rows
from rer_numba.composing.state import (
    BUILDING_DIFFERS,
    BY_NAME,
    BY_RANK,
    BY_TEXT,
    LONGEST_FAMILY,
    LONGEST_PACKAGE,
    N_BUILDING_EXTRACTIONS,
    N_BUILDING_VALUES,
    N_EXTRACTIONS,
    N_FAMILIES,
    N_NAMES,
    N_PACKAGES,
    N_PENDING_REQUIREMENTS,
    N_REQUIREMENTS,
    N_VALUES,
    N_VARIANTS,
    UNLISTED_ERROR,
)

_DOT = 46


@kernel
def arrange(w):
    """Number everything but versions."""
    arrange_ranges(w)
    n = _sort_names(w)
    _place_families(w, n)
    _place_packages(w)
    _place_requirements(w)


@kernel
def is_ephemeral(w, name):
    """True for a name that begins with a dot."""
    text = np.int64(w.name_text[name])
    start = w.text_start[text]
    return w.text_start[text + 1] > start and w.text_bytes[start] == _DOT


@kernel
def _sort_names(w):
    """Sort the names that are used, in `order`. Returns how many."""
    n = np.int64(0)
    for name in range(w.head[N_NAMES]):
        if w.head[UNLISTED_ERROR] and w.name_used[name] and not w.name_listed[name] and w.name_error[name] == 0:
            if not is_ephemeral(w, np.int64(name)):
                w.name_error[name] = w.head[UNLISTED_ERROR]
        if w.name_count[name] or w.name_error[name]:
            w.name_used[name] = 1
        if w.name_used[name]:
            w.order[n] = name
            n += 1
    sort_rows(w, np.int64(BY_NAME), np.int64(0), n)
    for k in range(n):
        w.name_rank[w.order[k]] = k
        w.family_by_name[k] = w.order[k]
    return n


# --- families


@kernel
def _place_families(w, n):
    """Put each family behind those that its newest package needs; see `rer_numba.family_order`."""
    w.head[N_FAMILIES] = 0
    for needed in range(2):
        for k in range(n):
            name = np.int64(w.family_by_name[k])
            if w.name_needed[name] == needed:
                _place_with_needs(w, name)
    for k in range(n):
        w.family_by_name[k] = w.name_family[w.family_by_name[k]] - 1


@kernel
def _place_with_needs(w, root):
    """Place a name after all that it needs. A name that was met has a family of -1 until it has its place."""
    depth = np.int64(0)
    name = root
    while True:
        if name >= 0 and w.name_family[name] == 0:
            w.name_family[name] = -1
            _sort_needs(w, name)
            w.stack[2 * depth] = name
            w.stack[2 * depth + 1] = 0
            depth += 1
        if depth == 0:
            return
        name = np.int64(w.stack[2 * depth - 2])
        place = np.int64(w.stack[2 * depth - 1])
        if place < w.name_needs[name]:
            w.stack[2 * depth - 1] = place + 1
            name = np.int64(w.need[w.name_need[name] + place])
            continue
        family = w.head[N_FAMILIES]
        w.family_name[family] = name
        w.name_family[name] = family + 1
        w.head[N_FAMILIES] = family + 1
        depth -= 1
        name = np.int64(-1)


@kernel
def _sort_needs(w, name):
    """Sort what a name needs by name."""
    first = np.int64(w.name_need[name])
    n = np.int64(w.name_needs[name])
    for k in range(n):
        w.order[k] = w.need[first + k]
    sort_rows(w, np.int64(BY_RANK), np.int64(0), n)
    for k in range(n):
        w.need[first + k] = w.order[k]


# --- packages


@kernel
def _place_packages(w):
    """Give families, packages and variants their places: counts of candidates become where they start."""
    packages = np.int64(0)
    variants = np.int64(0)
    values = np.int64(0)
    extractions = np.int64(0)
    building_values = np.int64(0)
    building_extractions = np.int64(0)
    longest = np.int64(1)
    longest_family = np.int64(1)
    for family in range(w.head[N_FAMILIES]):
        name = np.int64(w.family_name[family])
        w.family_packages[family] = packages
        w.family_variants[family] = variants
        first = np.int64(w.name_first[name])
        for k in range(w.name_count[name]):
            at = np.int64(w.kept[first + k])
            count = np.int64(w.candidate_variants[at])
            longest = max(longest, count)
            w.candidate_variants[at] = variants
            variants += count
            count = np.int64(w.candidate_values[at])
            w.candidate_values[at] = values
            values += count
            count = np.int64(w.candidate_extractions[at])
            w.candidate_extractions[at] = extractions
            extractions += count
            count = np.int64(w.candidate_building_values[at])
            w.candidate_building_values[at] = building_values
            building_values += count
            count = np.int64(w.candidate_building_extractions[at])
            w.candidate_building_extractions[at] = building_extractions
            building_extractions += count
        packages += w.name_count[name]
        longest_family = max(longest_family, variants - w.family_variants[family])
    w.family_packages[w.head[N_FAMILIES]] = packages
    w.family_variants[w.head[N_FAMILIES]] = variants
    w.head[LONGEST_FAMILY] = longest_family
    w.head[LONGEST_PACKAGE] = longest
    w.head[N_PACKAGES] = packages
    w.head[N_VARIANTS] = variants
    w.head[N_VALUES] = values
    w.head[N_EXTRACTIONS] = extractions
    w.head[N_BUILDING_VALUES] = building_values if w.head[BUILDING_DIFFERS] else np.int64(0)
    w.head[N_BUILDING_EXTRACTIONS] = building_extractions if w.head[BUILDING_DIFFERS] else np.int64(0)


# --- requirements


@kernel
def family_words(w, family):
    """How many words a mask over the variants of a family takes."""
    return (np.int64(w.family_variants[family + 1]) - w.family_variants[family] + 63) >> 6


@kernel
def _place_requirements(w):
    """Sort the requirements by family and text."""
    n = w.head[N_PENDING_REQUIREMENTS]
    families = w.head[N_FAMILIES]
    for row in range(n):
        family = np.int64(w.name_family[w.requirement_name[row]]) - 1
        w.family_requirements[family + 1] += 1
    for family in range(families):
        w.family_requirements[family + 1] += w.family_requirements[family]
    # each family's start moves to its end while its rows are put in, and back
    for row in range(n):
        family = np.int64(w.name_family[w.requirement_name[row]]) - 1
        w.order[w.family_requirements[family]] = row
        w.family_requirements[family] += 1
    for family in range(families, 0, -1):
        w.family_requirements[family] = w.family_requirements[family - 1]
    w.family_requirements[0] = 0
    for family in range(families):
        sort_rows(
            w,
            np.int64(BY_TEXT),
            np.int64(w.family_requirements[family]),
            np.int64(w.family_requirements[family + 1]),
        )
    for row in range(n):
        w.requirement_order[row] = w.order[row]
        w.requirement_new[w.order[row]] = row
    w.head[N_REQUIREMENTS] = n
