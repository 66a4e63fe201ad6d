"""What the kernels of `rer_numba.checks` read and write: bundles of columns, and a few scalars.

They allocate nothing and believe nothing: a step reads what earlier ones have found to be sound, and no more. The order
of the steps is the order below; a step must not be moved before one that it relies on.
"""

from __future__ import annotations

from rer_numba.schema import COLUMN_BY_NAME

# --- steps
(
    NARROW_OFFSETS,  # of `column`, int32: they begin at 0 and never fall
    WIDE_OFFSETS,  # the same, int64
    INDEX,  # of `column`: all lie between LOWEST and LIMIT
    LONGEST,  # of `column`, offsets that are sound: not a check, it returns how many values the longest row has
    # promises of facts
    TEXTS,
    VERSION_KEYS,
    RANGE_SIZES,
    RANGE_ORDER,
    CUTS,
    FAMILY_RANKS,
    FAMILY_NAMES,
    EPHEMERAL,
    FAMILY_VARIANTS,
    PACKAGE_VARIANTS,
    INDEXED,
    VARIANT_PACKAGE,
    VERSION_ORDER,
    GIVEN_RANK,
    BROKEN_FLAGS,
    REQUIREMENT_RANGE,
    REQUIREMENT_MASK,
    URI_TAILS,
    LOCATION_FOLDERS,
    # promises of a set
    VARIANT_REQUIREMENT,
    VARIANT_EXTRACTION,
    MENTION_ORDER,
    MENTION_MASK,
    LINK_REQUIREMENT,
    MENTION_CONFLICTS,
    LINK_MASK,
) = range(30)

# --- head: scalars, by place
(
    STEP,  # in
    ROWS,  # in: entries of `column`
    LOWEST,  # in
    LIMIT,  # in: what an index stays below
    SENTENCE,  # out: which of its sentences a promise asks for
    VALUE,  # out: a number for the sentence, beside the row
    # in: how many rows the tables have
    N_TEXTS,
    N_SOURCE_TEXTS,
    N_VERSIONS,
    N_RANGES,
    N_FAMILIES,
    N_PACKAGES,
    N_REQUIREMENTS,
    N_LOCATIONS,
    N_FOLDERS,
    HAS_BUILDING,  # in: there are two sets
    HEAD_SIZE,
) = range(17)

COUNTED: tuple[tuple[int, str], ...] = (
    (N_TEXTS, "text"),
    (N_SOURCE_TEXTS, "source_text"),
    (N_VERSIONS, "version"),
    (N_RANGES, "range"),
    (N_FAMILIES, "family"),
    (N_PACKAGES, "package"),
    (N_REQUIREMENTS, "requirement"),
    (N_LOCATIONS, "location"),
    (N_FOLDERS, "folder"),
)
"""Which table of `schema.COUNTS` a place of the head counts."""

# --- bundles
COLUMN_FIELDS = ("narrow", "wide")
COLUMN_DTYPES = ["int32", "int64"]
"""A column that is looked at by itself, in the field of its type."""

POOL_FIELDS = ("offsets", "bytes")
POOL_DTYPES = ["int64", "uint8"]
"""Strings, one after the other."""
POOLS = (
    ("text_offsets", "text_bytes"),
    ("source_text_offsets", "source_text_bytes"),
    ("version_key_offsets", "version_key"),
)

FACT_FIELDS = (
    "range_offsets",
    "range_cut",
    "family_text",
    "family_rank",
    "family_by_name",
    "family_flags",
    "family_error",
    "family_package_offsets",
    "family_variant_offsets",
    "package_version_rank",
    "package_given_rank",
    "package_indexed",
    "package_variant_offsets",
    "package_uri_tail_text",
    "package_error",
    "variant_package",
    "variant_error",
    "building_variant_error",
    "requirement_family",
    "requirement_range",
    "requirement_flags",
    "requirement_first_word",
    "requirement_mask_offsets",
    "requirement_mask",
    "folder_location",
)
SET_FIELDS = (
    "variant_requirement_offsets",
    "variant_requirement",
    "variant_extraction_offsets",
    "variant_extraction",
    "family_mention_offsets",
    "mention_family",
    "mention_conflicts",
    "family_mention_mask_offsets",
    "mention_mask",
    "mention_link_offsets",
    "link_requirement",
    "link_first_word",
    "link_mask_offsets",
    "link_mask",
)
FACT_DTYPES = [COLUMN_BY_NAME[name].dtype for name in FACT_FIELDS]
SET_DTYPES = [COLUMN_BY_NAME[name].dtype for name in SET_FIELDS]

WORK_FIELDS = ("head", "seen", "stamp")
WORK_DTYPES = ["int64", "uint8", "int32"]
"""The scalars above; a zero for each package; a number for each family."""
