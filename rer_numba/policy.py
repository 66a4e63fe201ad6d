"""What a solve may see and what it prefers, as arrays: filters and orderers, compiled for one repository.

A policy is made once for a repository and a set of options, and then costs nothing: the kernel reads its arrays beside
the columns of the repository.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from rer_numba.schema import IntArray, Tables


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
    """The arrays of a policy, one field each (see `POLICY`)."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> IntArray: ...


POLICY_DTYPES = [array.dtype for array in POLICY]


class Policy:
    """A compiled policy.

    Parameters
    ----------
    tables : Tables
        The repository it is for.

    Attributes
    ----------
    arrays : PolicyArrays
        What the kernel reads. Arrays that its flags tell it not to read are empty.
    source : object
        What it was compiled from.
    filters, asks_filter, orders_pairs : bool
        Something is hidden; the filter is asked package by package; some packages have variants that no ranks sort.
    orders_by_time : bool
        The order of a family depends on the release times of all its packages.
    """

    def __init__(self, tables: Tables) -> None:
        n_families = len(tables.family_text)
        arrays = {array.name: np.zeros(0, array.dtype) for array in POLICY}
        arrays["family_absent"] = np.zeros(n_families, np.uint8)
        arrays["family_reordered"] = np.zeros(n_families, np.uint8)
        arrays["requirement_rank"] = tables.requirement_range
        self.arrays = PolicyArrays(**arrays)
        self.source: object = None
        self.filters = False
        self.asks_filter = False
        self.orders_pairs = False
        self.orders_by_time = False

    def ask(self, variants: list[int]) -> None:
        """Let the filter answer for packages it has not seen yet; see `compile_policy.AskingPolicy`."""
        raise AssertionError(f"this policy has nobody to ask about {len(variants)} variants")

    def dies_of(self, package: int) -> bool:  # noqa: ARG002  (without a filter nothing is asked)
        """Tell whether rez meets the error of loading a package when it asks the filter, before it loads it."""
        return False

    def places(self) -> IntArray | None:
        """Place of each package in the order of preference; None when it is that of the tables."""
        return self.arrays.package_place if len(self.arrays.package_place) else None

    def put(self, **arrays: IntArray) -> None:
        """Replace some arrays."""
        declared = {array.name: array.dtype for array in POLICY}
        self.arrays = self.arrays._replace(
            **{name: np.ascontiguousarray(array, declared[name]) for name, array in arrays.items()}
        )
