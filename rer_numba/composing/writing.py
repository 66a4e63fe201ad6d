"""Columns of families, packages and variants. Texts and errors stand in them as they were met, until the end."""

from __future__ import annotations

import numpy as np

from rer_numba._jit import inlined, kernel, lowest_bit
from rer_numba.composing.arranging import is_ephemeral
from rer_numba.composing.select import path_of, row_in
from rer_numba.composing.sorting import sort_rows
from rer_numba.composing.state import (
    BUILDING_DIFFERS,
    BY_GIVEN,
    HAS_PLACES,
    HAS_SOURCES,
    N_BUILDING_EXTRACTIONS,
    N_BUILDING_VALUES,
    N_EXTRACTIONS,
    N_FAMILIES,
    N_NAMES,
    N_ODD_PACKAGES,
    N_PACKAGES,
    N_VALUES,
    N_VARIANTS,
    PART,
    REQUIREMENT_BASE,
    REQUIREMENTS,
    VERSION_BASE,
)
from rer_numba.composing.texts import error_of, text_of
from rer_numba.schema import (
    BROKEN_FAMILY,
    EPHEMERAL,
    HAS_BROKEN_PACKAGE,
    HAS_BROKEN_VARIANT,
    NONE,
)

_ZERO, _NINE, _UPPER_A, _UPPER_Z, _LOWER_A, _LOWER_Z, _UNDERSCORE, _DOT = 48, 57, 65, 90, 97, 122, 95, 46


# --- spellings


@kernel
def is_odd(w, text):
    """True when a text has a character that is no letter, digit, underscore or dot."""
    if w.text_odd[text] == 0:
        w.text_odd[text] = 1
        for k in range(w.text_start[text], w.text_start[text + 1]):
            byte = np.int64(w.text_bytes[k])
            if not is_word(byte) and byte != _DOT:
                w.text_odd[text] = 2
    return w.text_odd[text] == 2


@inlined
def is_word(byte):
    """True for a letter, a digit or an underscore."""
    return _ZERO <= byte <= _NINE or _UPPER_A <= byte <= _UPPER_Z or _LOWER_A <= byte <= _LOWER_Z or byte == _UNDERSCORE


# --- families


@kernel
def write_families(w, o):
    """Columns of families, apart from what their packages add to the flags."""
    n = w.head[N_FAMILIES]
    for family in range(n):
        name = np.int64(w.family_name[family])
        o.family_text[family] = w.name_text[name]
        o.family_rank[family] = w.name_rank[name]
        o.family_by_name[family] = w.family_by_name[family]
        o.family_flags[family] = EPHEMERAL if is_ephemeral(w, name) else 0
        o.family_error[family] = w.name_error[name] - 1
        if w.name_error[name]:
            o.family_flags[family] |= BROKEN_FAMILY
    for family in range(n + 1):
        o.family_package_offsets[family] = w.family_packages[family]
        o.family_variant_offsets[family] = w.family_variants[family]
    o.package_variant_offsets[w.head[N_PACKAGES]] = w.head[N_VARIANTS]
    for family in range(n):
        _write_given(w, o, np.int64(family))


@kernel
def _write_given(w, o, family):
    """The places of the packages of a family in the order in which they were handed in."""
    name = np.int64(w.family_name[family])
    first = np.int64(w.name_first[name])
    n = np.int64(w.name_count[name])
    is_placed = n > 0 and w.name_parts[name] == 1 and w.candidate_place[first] != NONE
    for k in range(n):
        at = np.int64(w.kept[first + k])
        w.candidate_rank[at] = k
        # in the order of its only part, which leaves nothing to sort unless it has several paths
        w.order[w.candidate_place[at] if is_placed else k] = at
    sort_rows(w, np.int64(BY_GIVEN), np.int64(0), n)
    for k in range(n):
        o.package_given_rank[w.family_packages[family] + w.candidate_rank[w.order[k]]] = k


# --- packages and variants


@kernel
def write_part(p, q, b, w, o, r, s):
    """The kept packages of a part, and their variants."""
    _map_to_final(p, w)
    for name in range(w.head[N_NAMES]):
        if row_in(p, w, name) < 0:
            continue
        family = np.int64(w.name_family[name]) - 1
        first = np.int64(w.name_first[name])
        for k in range(w.name_count[name]):
            at = np.int64(w.kept[first + k])
            if w.candidate_part[at] != p.about[PART]:
                continue
            package = np.int64(w.candidate_row[at])
            new = np.int64(w.family_packages[family]) + k
            _write_package(p, w, o, package, new, np.int64(w.candidate_variants[at]))
            if o.package_error[new] != NONE:
                o.family_flags[family] |= HAS_BROKEN_PACKAGE
            variants = np.int64(w.candidate_variants[at])
            broken = _write_set(
                p, q, w, r, package, variants, np.int64(w.candidate_values[at]), np.int64(w.candidate_extractions[at])
            )
            if w.head[BUILDING_DIFFERS]:
                broken |= _write_set(
                    p,
                    b,
                    w,
                    s,
                    package,
                    variants,
                    np.int64(w.candidate_building_values[at]),
                    np.int64(w.candidate_building_extractions[at]),
                )
            if broken:
                o.family_flags[family] |= HAS_BROKEN_VARIANT


@kernel
def _map_to_final(p, w):
    """Put final numbers of requirements in the place of those in which they were met, for the rows of a part."""
    base = p.about[REQUIREMENT_BASE]
    for word in range((p.about[REQUIREMENTS] + 63) >> 6):
        bits = w.requirement_mark[(base >> 6) + word]
        while bits:
            at = base + (np.int64(word) << 6) + lowest_bit(bits)
            bits &= bits - np.uint64(1)
            w.requirement_map[at] = w.requirement_new[w.requirement_map[at] - 1]


@inlined
def _text_or_none(p, w, row):
    return text_of(p, w, np.int64(row)) if row >= 0 else np.int64(NONE)


@kernel
def _write_package(p, w, o, package, new, first_variant):
    rank = np.int64(w.version_map[p.about[VERSION_BASE] + p.package_version_rank[package]])
    o.package_version_rank[new] = rank
    text = text_of(p, w, np.int64(p.package_version_text[package]))
    o.package_version_text[new] = text
    if not is_odd(w, text):
        w.version_dotted[rank] = 1
    else:
        w.odd_package[w.head[N_ODD_PACKAGES]] = new
        w.head[N_ODD_PACKAGES] += 1
    o.package_indexed[new] = p.package_indexed[package]
    o.package_variant_offsets[new] = first_variant
    o.package_uri_text[new] = _text_or_none(p, w, np.int64(p.package_uri_text[package]))
    o.package_uri_tail_text[new] = _text_or_none(p, w, np.int64(p.package_uri_tail_text[package]))
    o.package_timestamp[new] = p.package_timestamp[package]
    o.package_timestamp_error[new] = error_of(p, w, np.int64(p.package_timestamp_error[package]))
    o.package_error[new] = error_of(p, w, np.int64(p.package_error[package]))
    count = np.int64(p.package_variant_offsets[package + 1]) - p.package_variant_offsets[package]
    for k in range(count):
        o.variant_package[first_variant + k] = new
    if w.head[HAS_SOURCES]:
        o.package_location[new] = path_of(p, package)
        o.package_inode[new] = p.package_inode[package] if p.about[HAS_PLACES] else np.int64(NONE)
        o.package_mtime[new] = p.package_mtime[package] if p.about[HAS_PLACES] else np.int64(NONE)
        o.package_size[new] = p.package_size[package] if p.about[HAS_PLACES] else np.int64(NONE)
        o.package_ctime[new] = p.package_ctime[package] if p.about[HAS_PLACES] else np.int64(NONE)


@kernel
def _write_set(p, q, w, r, package, variant, value, extraction):
    """What the variants of a package require. Returns 1 when one of them is broken."""
    base = p.about[REQUIREMENT_BASE]
    broken = np.int64(0)
    for row in range(p.package_variant_offsets[package], p.package_variant_offsets[package + 1]):
        error = error_of(p, w, np.int64(q.variant_error[row]))
        r.variant_error[variant] = error
        if error != NONE:
            broken = np.int64(1)
        r.variant_requirement_offsets[variant] = value
        for k in range(q.variant_requirement_offsets[row], q.variant_requirement_offsets[row + 1]):
            r.variant_requirement[value] = w.requirement_map[base + q.variant_requirement[k]]
            value += 1
        r.variant_extraction_offsets[variant] = extraction
        for k in range(q.variant_extraction_offsets[row], q.variant_extraction_offsets[row + 1]):
            r.variant_extraction[extraction] = w.requirement_map[base + q.variant_extraction[k]]
            extraction += 1
        variant += 1
    return broken


@kernel
def end_offsets(w, r, s):
    """The last entry of the offsets of variants."""
    n = w.head[N_VARIANTS]
    r.variant_requirement_offsets[n] = w.head[N_VALUES]
    r.variant_extraction_offsets[n] = w.head[N_EXTRACTIONS]
    if w.head[BUILDING_DIFFERS]:
        s.variant_requirement_offsets[n] = w.head[N_BUILDING_VALUES]
        s.variant_extraction_offsets[n] = w.head[N_BUILDING_EXTRACTIONS]
