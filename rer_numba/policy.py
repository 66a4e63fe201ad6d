"""What a solve may see and what it prefers: filters and orderers, as arrays that the kernel reads.

The kernel reads the arrays of a policy (see `rer_numba.policy_arrays`) beside the columns of the repository. This is
the plain policy, which hides and prefers nothing. `rer_numba.compile_policy` makes the others, which are filled in bit
by bit: when a solve comes to something that is not compiled yet, the kernel says so, and `Policy.compile` is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from rer_numba.policy_arrays import HIDES, POLICY, PolicyArrays
from rer_numba.views import Views, empty, views_of, zeros

if TYPE_CHECKING:
    from rer_numba.schema import Tables
    from rer_numba.state import Work


class Places(Protocol):
    """The place of each package in the order of preference; only those of one family can be compared."""

    def __getitem__(self, package: int, /) -> int:
        """The place of a package."""


class Policy:
    """A policy.

    Parameters
    ----------
    tables : Tables or Views
        The repository it is for.

    Attributes
    ----------
    arrays : PolicyArrays
        What the kernel reads. Arrays that nothing tells it to read are empty. Some may be replaced by larger ones
        with the same in them; a solve under way reads the old ones until it comes to something.
    filters, orders : bool
        Something is hidden; something else than the newest is preferred.
    asks : bool
        Objects of the user's own class are asked about packages or ranges.
    size : int
        About how many bytes of memory it takes.
    orders_by_time : bool
        The order of a family depends on the release times of all its packages.
    """

    def __init__(self, tables: Tables | Views) -> None:
        self._views = views_of(tables)
        arrays = {array.name: empty(array.dtype) for array in POLICY}
        arrays["family_policy"] = zeros("uint8", len(self._views.family_text))
        self.arrays = PolicyArrays(**arrays)
        self.filters = False
        self.orders = False
        self.asks = False
        self.size = arrays["family_policy"].nbytes
        self.orders_by_time = False

    def compile(self, work: Work) -> bool:
        """Compile what the kernel came to; see `compile_policy.CompiledPolicy`."""
        raise AssertionError(f"there is nothing to compile of this policy: {work.head.tolist()}")

    def ask(self, variants: Sequence[int]) -> None:
        """Let the filter answer for packages it has not seen yet; see `compile_policy.CompiledPolicy`."""
        raise AssertionError(f"this policy has nobody to ask about {len(variants)} variants")

    def dies_of(self, package: int) -> bool:  # noqa: ARG002  (without a filter nothing is asked)
        """Tell whether rez meets the error of loading a package when it asks the filter, before it loads it."""
        return False

    def places(self) -> Places | None:
        """Place of each package in the order of preference; None when it is that of the tables."""
        return None

    def hides(self, family: int, variant: int) -> bool:
        """Tell whether a variant is hidden, of a family that a solve has looked up."""
        arrays = self.arrays
        if not arrays.family_policy[family] & HIDES:
            return False
        first = self._views.family_variant_offsets[family]
        bit = variant - first
        return not int(arrays.seen_mask[mask_start(first, family) + (bit >> 6)]) >> (bit & 63) & 1


def mask_start(first_variant: int, family: int) -> int:
    """The first word of a family in the masks of a policy; see `rer_numba.lookup.first_word`."""
    return (first_variant >> 6) + family
