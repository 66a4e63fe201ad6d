"""What a solve may see and what it prefers, as arrays: their declarations. `rer_numba.policy` says who makes them."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any, NamedTuple


class PolicyArray(NamedTuple):
    """One array of a policy: name, type, what it has one entry for, meaning."""

    name: str
    dtype: str
    length: str
    meaning: str


POLICY: tuple[PolicyArray, ...] = (
    PolicyArray("family_word_offsets", "int64", "family + 1", "where the masks of a family start in the next two"),
    PolicyArray("seen_mask", "uint64", "word", "variants that a solve may see"),
    PolicyArray(
        "asked_mask",
        "uint64",
        "word",
        "variants for which the filter has answered; all, unless it is asked package by package",
    ),
    PolicyArray("family_absent", "uint8", "family", "1 when none of its packages counts as existing"),
    PolicyArray("family_reordered", "uint8", "family", "1 when its packages are not taken newest first"),
    PolicyArray("package_place", "int32", "package", "place within its family in the order of preference"),
    PolicyArray("requirement_rank", "int32", "requirement", "place of its range in the order of ranges; -1 without"),
    PolicyArray("pair_start", "int32", "package", "where its comparisons start, -1 when the ranks do"),
    PolicyArray("pair_count", "int32", "package", "how many distinct requirements its variants have"),
    PolicyArray("pair_order", "int8", "pair", "-1 less, 0 equal, 1 greater, 2 neither: a square for each package"),
    PolicyArray("pair_local", "int32", "variant_requirement", "row of a variant's requirement in that square"),
)


class PolicyArrays(namedtuple("PolicyArrays", [array.name for array in POLICY])):  # type: ignore[misc]
    """The arrays of a policy, or views of them, one field each (see `POLICY`)."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


POLICY_DTYPES = [array.dtype for array in POLICY]
