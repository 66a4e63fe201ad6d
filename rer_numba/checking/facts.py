"""Promises of ranges, families, packages and requirements. The first line of a docstring is the promise.

Each returns the first row that breaks it, or NONE.
"""

from __future__ import annotations

import numpy as np

from rer_numba._jit import kernel
from rer_numba.checking.masks import FITS, look_at_kept, words_over
from rer_numba.checking.state import (
    HAS_BUILDING,
    N_FAMILIES,
    N_FOLDERS,
    N_LOCATIONS,
    N_PACKAGES,
    N_RANGES,
    N_REQUIREMENTS,
    N_VERSIONS,
    SENTENCE,
    VALUE,
)
from rer_numba.schema import (
    BROKEN_FAMILY,
    CONFLICT,
    CUT_INF,
    CUT_SHIFT,
    HAS_BROKEN_PACKAGE,
    HAS_BROKEN_VARIANT,
    NONE,
    WEAK,
)

_WITHIN = (1 << CUT_SHIFT) - 2
"""The bits of a cut that lies farther from its version than just behind it."""


# --- ranges


@kernel
def range_sizes(c, w):
    """Each range has at least one interval: an even number of cuts, two or more."""
    for row in range(w.head[N_RANGES]):
        size = np.int64(c.range_offsets[row + 1]) - c.range_offsets[row]
        if size < 2 or size % 2 == 1:
            w.head[VALUE] = size
            return row
    return NONE


@kernel
def range_order(c, w):
    """The intervals of a range are not empty, do not overlap and ascend."""
    for row in range(w.head[N_RANGES]):
        start = np.int64(c.range_offsets[row])
        for k in range(start + 1, np.int64(c.range_offsets[row + 1])):
            is_upper = (k - start) % 2 == 1
            if c.range_cut[k] < c.range_cut[k - 1] or (is_upper and c.range_cut[k] == c.range_cut[k - 1]):
                return k
    return NONE


@kernel
def cuts(c, w):
    """A cut is CUT_INF, or lies just before or just after a known version."""
    end = w.head[N_VERSIONS] << CUT_SHIFT
    for k in range(np.int64(c.range_offsets[w.head[N_RANGES]])):
        cut = c.range_cut[k]
        is_known = 0 <= cut < end and cut & _WITHIN == 0
        if not is_known and cut != CUT_INF:
            w.head[VALUE] = cut
            return k
    return NONE


# --- families, packages, variants


@kernel
def family_ranks(c, w):
    """The ranks of the families, and the families by name, are each other's inverse."""
    for rank in range(w.head[N_FAMILIES]):
        if c.family_rank[c.family_by_name[rank]] != rank:
            return rank
    return NONE


@kernel
def family_variants(c, w):
    """The variants of a family are the variants of its packages."""
    for family in range(w.head[N_FAMILIES] + 1):
        if c.family_variant_offsets[family] != c.package_variant_offsets[c.family_package_offsets[family]]:
            return family
    return NONE


@kernel
def package_variants(c, w):
    """Each package has at least one variant."""
    for package in range(w.head[N_PACKAGES]):
        if c.package_variant_offsets[package] == c.package_variant_offsets[package + 1]:
            return package
    return NONE


@kernel
def indexed(c, w):
    """A package has either variants with an index, or exactly one without."""
    for package in range(w.head[N_PACKAGES]):
        size = np.int64(c.package_variant_offsets[package + 1]) - c.package_variant_offsets[package]
        if c.package_indexed[package] > 1 or (c.package_indexed[package] == 0 and size != 1):
            return package
    return NONE


@kernel
def variant_package(c, w):
    """The variants of a package refer to it."""
    for package in range(w.head[N_PACKAGES]):
        for variant in range(c.package_variant_offsets[package], c.package_variant_offsets[package + 1]):
            if c.variant_package[variant] != package:
                return np.int64(variant)
    return np.int64(NONE)


@kernel
def version_order(c, w):
    """The packages of a family are in strictly descending order of their versions."""
    for family in range(w.head[N_FAMILIES]):
        first = np.int64(c.family_package_offsets[family])
        for package in range(first + 1, np.int64(c.family_package_offsets[family + 1])):
            if c.package_version_rank[package] >= c.package_version_rank[package - 1]:
                return package
    return NONE


@kernel
def given_rank(c, w):
    """The given ranks of a family's packages are the numbers from 0, each once."""
    for family in range(w.head[N_FAMILIES]):
        first = np.int64(c.family_package_offsets[family])
        end = np.int64(c.family_package_offsets[family + 1])
        for package in range(first, end):
            rank = np.int64(c.package_given_rank[package])
            if rank < 0 or rank >= end - first:
                return package
            w.seen[first + rank] = 1
    for package in range(w.head[N_PACKAGES]):
        if w.seen[package] == 0:
            return package
    return NONE


@kernel
def broken_flags(c, w):
    """A family is flagged as broken, or as having broken packages or variants, if and only if there is an error."""
    for family in range(w.head[N_FAMILIES]):
        flags = 0
        if c.family_error[family] != NONE:
            flags |= BROKEN_FAMILY
        for package in range(c.family_package_offsets[family], c.family_package_offsets[family + 1]):
            if c.package_error[package] != NONE:
                flags |= HAS_BROKEN_PACKAGE
        for variant in range(c.family_variant_offsets[family], c.family_variant_offsets[family + 1]):
            if c.variant_error[variant] != NONE:
                flags |= HAS_BROKEN_VARIANT
            if w.head[HAS_BUILDING] and c.building_variant_error[variant] != NONE:
                flags |= HAS_BROKEN_VARIANT
        if c.family_flags[family] & (BROKEN_FAMILY | HAS_BROKEN_PACKAGE | HAS_BROKEN_VARIANT) != flags:
            return family
    return NONE


# --- requirements


@kernel
def requirement_range(c, w):
    """Only a weak requirement has no range."""
    for row in range(w.head[N_REQUIREMENTS]):
        is_weak = c.requirement_flags[row] & (CONFLICT | WEAK) == CONFLICT | WEAK
        if c.requirement_range[row] == NONE and not is_weak:
            return row
    return NONE


@kernel
def requirement_mask(c, w):
    """The mask of a requirement has bits of variants of its family, and none without a range."""
    for row in range(w.head[N_REQUIREMENTS]):
        family = np.int64(c.requirement_family[row])
        words = words_over(c, family) if c.requirement_range[row] != NONE else 0
        start, end = c.requirement_mask_offsets[row], c.requirement_mask_offsets[row + 1]
        first = np.int64(c.requirement_first_word[row])
        problem = look_at_kept(c, family, words, first, c.requirement_mask, start, end)
        if problem != FITS:
            w.head[SENTENCE] = problem
            return row
    return NONE


@kernel
def location_folders(c, w):
    """The first folders are the locations, in order."""
    n = w.head[N_LOCATIONS]
    if w.head[N_FOLDERS] < n:
        w.head[VALUE] = w.head[N_FOLDERS]
        return n
    w.head[SENTENCE] = 1
    for folder in range(n):
        if c.folder_location[folder] != folder:
            return folder
    return NONE
