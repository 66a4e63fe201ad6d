"""What the columns of sound tables promise each other, by the step that looks, and what is said when one is broken.

The promises themselves are kernels, one function for each (`rer_numba.checking.kernels.PROMISES`): the first line of
its docstring is the promise, which ``docs/layout.md`` lists. A kernel finds the row and chooses among its sentences.
The tables must have passed the checks of each column by itself, in `rer_numba.checks`: types, lengths, offsets and
bounds are right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rer_numba.checking import state

Sentences = Mapping[int, tuple[str, ...]]
"""What a step may say, about ``{row}`` and ``{value}``."""

FACTS: Final[Sentences] = {
    state.TEXTS: (
        "text_bytes is no UTF-8 at byte {row}",
        "text {row} begins within a character",
        "source_text_bytes is no UTF-8 at byte {row}",
        "source_text {row} begins within a character",
    ),
    state.VERSION_KEYS: ("version {row} does not come after the one before it",),
    state.RANGE_SIZES: ("range {row} has {value} cuts",),
    state.RANGE_ORDER: ("cut {row} of the ranges is not above the one before it",),
    state.CUTS: ("cut {row} of the ranges is {value}, which is beside no version",),
    state.FAMILY_RANKS: ("the family of rank {row} has another rank",),
    state.FAMILY_NAMES: ("the family of rank {row} does not come after the one before it",),
    state.EPHEMERAL: ("family {row} is flagged as ephemeral, or should be",),
    state.FAMILY_VARIANTS: ("the variants before family {row} are not those of the packages before it",),
    state.PACKAGE_VARIANTS: ("package {row} has no variant",),
    state.INDEXED: ("package {row} has variants without an index",),
    state.VARIANT_PACKAGE: ("variant {row} does not refer to its package",),
    state.VERSION_ORDER: ("package {row} is not older than the one before it in its family",),
    state.GIVEN_RANK: ("the given rank of package {row}, or of one beside it, is wrong",),
    state.BROKEN_FLAGS: ("family {row} is flagged as broken, or should be",),
    state.REQUIREMENT_RANGE: ("requirement {row} has no range and is not weak",),
    state.REQUIREMENT_MASK: (
        "the mask of requirement {row} does not fit its family",
        "the mask of requirement {row} begins or ends with an empty word",
        "the mask of requirement {row} has bits beyond the variants",
    ),
    state.URI_TAILS: ("a uri ends in text {value}, which begins with no separator",),
    state.LOCATION_FOLDERS: (
        "there are {row} locations and {value} folders",
        "folder {row} is not the location of that number",
    ),
}

REQUIRES: Final[Sentences] = {
    state.VARIANT_REQUIREMENT: ("variant {row} has two requirements on one family",),
    state.VARIANT_EXTRACTION: (
        "extraction {row} of the variants is a conflict",
        "extraction {row} of the variants is not in alphabetical order",
    ),
    state.MENTION_ORDER: ("mention {row} is not in alphabetical order",),
    state.MENTION_MASK: (
        "the mention masks of family {row} do not fit its variants",
        "mention mask {row} (of those with words) has bits beyond the variants",
    ),
    state.LINK_REQUIREMENT: ("the requirement of link {row} is about another family, or has no range",),
    state.MENTION_CONFLICTS: ("mention {row} is flagged as a conflict, or should be",),
    state.LINK_MASK: (
        "the mask of link {row} does not fit its family",
        "the mask of link {row} begins or ends with an empty word",
        "the mask of link {row} has bits beyond the variants",
        "link {row} has no mask",
    ),
}
"""These hold for each set by itself, the plain one and that with ``build_requires``."""
