"""What a solve may see and what it prefers: filters and orderers, compiled for one repository.

A policy is made once for a repository and a set of options, and then costs nothing: the kernel reads its arrays (see
`rer_numba.policy_arrays`) beside the columns of the repository. This is the plain one, which hides and prefers nothing;
`rer_numba.compile_policy` makes the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rer_numba.policy_arrays import POLICY, PolicyArrays
from rer_numba.views import Views, empty, views_of, zeros

if TYPE_CHECKING:
    from rer_numba.schema import IntArray, Tables


class Policy:
    """A compiled policy.

    Parameters
    ----------
    tables : Tables or Views
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

    def __init__(self, tables: Tables | Views) -> None:
        views = views_of(tables)
        n_families = len(views.family_text)
        arrays = {array.name: empty(array.dtype) for array in POLICY}
        arrays["family_absent"] = arrays["family_reordered"] = zeros("uint8", n_families)
        arrays["requirement_rank"] = views.requirement_range
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
        import numpy as np

        declared = {array.name: array.dtype for array in POLICY}
        self.arrays = self.arrays._replace(
            **{name: np.ascontiguousarray(array, declared[name]) for name, array in arrays.items()}
        )
