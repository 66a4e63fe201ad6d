"""What a solve may see and what it prefers, as arrays: their declarations. `rer_numba.policy` says who makes them."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any, NamedTuple

# family_policy
UNFILTERED = 1
HIDES = 2
ASKS = 4
ABSENT = 8
UNORDERED = 16
REORDERED = 32

# pair_start
NOT_RANKED = 0
BY_RANK = -1


class PolicyArray(NamedTuple):
    """One array of a policy: name, type, what it has one entry for, meaning."""

    name: str
    dtype: str
    length: str
    meaning: str


POLICY: tuple[PolicyArray, ...] = (
    PolicyArray(
        "family_policy",
        "uint8",
        "family",
        "1: what is hidden of it is not compiled yet; 2: its masks hide something; 4: the filter has to be asked for "
        "some of it; 8: none of its packages counts as existing; 16: its order is not compiled yet; 32: its packages "
        "are not taken newest first",
    ),
    # masks, which lie as in `looked_up`
    PolicyArray("seen_mask", "uint64", "variant // 64 + family", "variants that a solve may see, where 2 is set"),
    PolicyArray("unasked_mask", "uint64", "variant // 64 + family", "variants that the filter must still be asked for"),
    PolicyArray("package_place", "int32", "package", "place within its family in the order of preference, where 32 is"),
    PolicyArray(
        "range_place",
        "int32",
        "variant_requirement",
        "place of its range in an order of those that the package requires, -1 without a range; or a row of the square",
    ),
    PolicyArray("pair_start", "int32", "package", "0: not compiled yet; -1: by place; else where its square starts"),
    PolicyArray(
        "pair_order",
        "int16",
        "pair",
        "squares, each behind the number of its rows: -1 less, 0 equal, 1 greater, 2 neither",
    ),
)


class PolicyArrays(namedtuple("PolicyArrays", [array.name for array in POLICY])):  # type: ignore[misc]
    """The arrays of a policy, or views of them, one field each (see `POLICY`)."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


POLICY_DTYPES = [array.dtype for array in POLICY]
