"""The entry of the kernels that check columns: one step of `rer_numba.checking.state`.

`column` is the bundle of the column that a step looks at by itself; `pool`, `sources` and `keys` are the three pools of
strings; `c` holds the facts, `s` a set of what variants require, `w` the work arrays. Nothing here raises or allocates.
`rer_numba.checks` takes the steps.
"""

from __future__ import annotations

from collections import namedtuple

from rer_numba._jit import export_ir as _export_ir
from rer_numba._jit import kernel
from rer_numba.checking.columns import check_index, check_narrow_offsets, check_wide_offsets, longest_row
from rer_numba.checking.facts import (
    broken_flags,
    cuts,
    family_ranks,
    family_variants,
    given_rank,
    indexed,
    location_folders,
    package_variants,
    range_order,
    range_sizes,
    requirement_mask,
    requirement_range,
    variant_package,
    version_order,
)
from rer_numba.checking.requiring import (
    link_mask,
    link_requirement,
    mention_conflicts,
    mention_mask,
    mention_order,
    variant_extraction,
    variant_requirement,
)
from rer_numba.checking.state import (
    BROKEN_FLAGS,
    COLUMN_DTYPES,
    COLUMN_FIELDS,
    CUTS,
    EPHEMERAL,
    FACT_DTYPES,
    FACT_FIELDS,
    FAMILY_NAMES,
    FAMILY_RANKS,
    FAMILY_VARIANTS,
    GIVEN_RANK,
    INDEX,
    INDEXED,
    LINK_MASK,
    LINK_REQUIREMENT,
    LOCATION_FOLDERS,
    MENTION_CONFLICTS,
    MENTION_MASK,
    MENTION_ORDER,
    NARROW_OFFSETS,
    PACKAGE_VARIANTS,
    POOL_DTYPES,
    POOL_FIELDS,
    RANGE_ORDER,
    RANGE_SIZES,
    REQUIREMENT_MASK,
    REQUIREMENT_RANGE,
    SENTENCE,
    SET_DTYPES,
    SET_FIELDS,
    STEP,
    TEXTS,
    URI_TAILS,
    VARIANT_EXTRACTION,
    VARIANT_PACKAGE,
    VARIANT_REQUIREMENT,
    VERSION_KEYS,
    VERSION_ORDER,
    WIDE_OFFSETS,
    WORK_DTYPES,
    WORK_FIELDS,
)
from rer_numba.checking.strings import ephemeral, family_names, texts, uri_tails, version_keys

Column = namedtuple("Column", COLUMN_FIELDS)  # type: ignore[misc]
Pool = namedtuple("Pool", POOL_FIELDS)  # type: ignore[misc]
Facts = namedtuple("Facts", FACT_FIELDS)  # type: ignore[misc]
Set = namedtuple("Set", SET_FIELDS)  # type: ignore[misc]
Work = namedtuple("Work", WORK_FIELDS)  # type: ignore[misc]

PROMISES = {
    TEXTS: texts,
    VERSION_KEYS: version_keys,
    RANGE_SIZES: range_sizes,
    RANGE_ORDER: range_order,
    CUTS: cuts,
    FAMILY_RANKS: family_ranks,
    FAMILY_NAMES: family_names,
    EPHEMERAL: ephemeral,
    FAMILY_VARIANTS: family_variants,
    PACKAGE_VARIANTS: package_variants,
    INDEXED: indexed,
    VARIANT_PACKAGE: variant_package,
    VERSION_ORDER: version_order,
    GIVEN_RANK: given_rank,
    BROKEN_FLAGS: broken_flags,
    REQUIREMENT_RANGE: requirement_range,
    REQUIREMENT_MASK: requirement_mask,
    URI_TAILS: uri_tails,
    LOCATION_FOLDERS: location_folders,
    VARIANT_REQUIREMENT: variant_requirement,
    VARIANT_EXTRACTION: variant_extraction,
    MENTION_ORDER: mention_order,
    MENTION_MASK: mention_mask,
    LINK_REQUIREMENT: link_requirement,
    MENTION_CONFLICTS: mention_conflicts,
    LINK_MASK: link_mask,
}
"""The kernel of each promise, whose docstring begins with it: for ``docs/layout.md``, and for tests."""


@kernel
def enter(column, pool, sources, keys, c, s, w):
    """Take the step that the head asks for. Returns what is wrong: a row, 0 for a column; or NONE."""
    step = w.head[STEP]
    w.head[SENTENCE] = 0
    if step < TEXTS:
        return _look_at_column(column, w, step)
    if step < FAMILY_VARIANTS:
        return _look_at_order(pool, sources, keys, c, w, step)
    if step < VARIANT_REQUIREMENT:
        return _look_at_facts(pool, c, w, step)
    return _look_at_set(c, s, w, step)


@kernel
def _look_at_column(column, w, step):
    """What columns are by themselves."""
    if step == NARROW_OFFSETS:
        return check_narrow_offsets(column, w)
    if step == WIDE_OFFSETS:
        return check_wide_offsets(column, w)
    if step == INDEX:
        return check_index(column, w)
    return longest_row(column, w)


@kernel
def _look_at_order(pool, sources, keys, c, w, step):
    """Strings, versions, ranges and names."""
    if step == TEXTS:
        return texts(pool, sources, w)
    if step == VERSION_KEYS:
        return version_keys(keys, w)
    if step == RANGE_SIZES:
        return range_sizes(c, w)
    if step == RANGE_ORDER:
        return range_order(c, w)
    if step == CUTS:
        return cuts(c, w)
    if step == FAMILY_RANKS:
        return family_ranks(c, w)
    if step == FAMILY_NAMES:
        return family_names(pool, c, w)
    return ephemeral(pool, c, w)


@kernel
def _look_at_facts(pool, c, w, step):
    """Packages, variants and requirements."""
    if step == FAMILY_VARIANTS:
        return family_variants(c, w)
    if step == PACKAGE_VARIANTS:
        return package_variants(c, w)
    if step == INDEXED:
        return indexed(c, w)
    if step == VARIANT_PACKAGE:
        return variant_package(c, w)
    if step == VERSION_ORDER:
        return version_order(c, w)
    if step == GIVEN_RANK:
        return given_rank(c, w)
    if step == BROKEN_FLAGS:
        return broken_flags(c, w)
    if step == REQUIREMENT_RANGE:
        return requirement_range(c, w)
    if step == REQUIREMENT_MASK:
        return requirement_mask(c, w)
    if step == URI_TAILS:
        return uri_tails(pool, c, w)
    return location_folders(c, w)


@kernel
def _look_at_set(c, s, w, step):
    """What variants require."""
    if step == VARIANT_REQUIREMENT:
        return variant_requirement(c, s, w)
    if step == VARIANT_EXTRACTION:
        return variant_extraction(c, s, w)
    if step == MENTION_ORDER:
        return mention_order(c, s, w)
    if step == MENTION_MASK:
        return mention_mask(c, s, w)
    if step == LINK_REQUIREMENT:
        return link_requirement(c, s, w)
    if step == MENTION_CONFLICTS:
        return mention_conflicts(c, s, w)
    return link_mask(c, s, w)


def export_ir() -> tuple[str, str]:
    """The LLVM IR of `enter` behind one table of addresses, and the name of its C function."""
    pool = (Pool, POOL_DTYPES)
    return _export_ir(
        enter,
        (Column, COLUMN_DTYPES),
        *(pool, pool, pool),
        (Facts, FACT_DTYPES),
        (Set, SET_DTYPES),
        (Work, WORK_DTYPES),
    )
