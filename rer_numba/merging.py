"""Requirements on one family, merged one after the other without making a range for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rer_numba.bound_lists import UnitedBounds, intersect, overlap
from rer_numba.versions import VersionRange

if TYPE_CHECKING:
    from rer_numba.requirements import Requirement
    from rer_numba.version_order import Bound


class Merging:
    """What requirements on one family have come to.

    The same as `Requirement.merged`, called for one after the other, at n log n steps in all
    (tests/test_many_requirements.py).

    Parameters
    ----------
    first : Requirement
    """

    def __init__(self, first: Requirement) -> None:
        self._begin(first)

    def _begin(self, first: Requirement) -> None:
        self._like = first
        self._is_changed = False
        self._weak = first.weak
        bounds = () if first.range is None else first.range.bounds
        self._refused = UnitedBounds(bounds) if first.conflict else None
        self._wanted: list[Bound] = [] if first.conflict else list(bounds)

    def add(self, other: Requirement) -> bool:
        """Merge one more; tell whether it goes with the others. If not, nothing has changed.

        Raises
        ------
        VersionError
            Where `Requirement.merged` raises it.
        """
        if other.range is None:
            return True
        if self._like.range is None:
            self._begin(other)
            return True
        if self._refused is None:
            return self._narrow(other.range.inverse() if other.conflict else other.range)
        if not other.conflict:
            return self._want(other, VersionRange.from_bounds(self._refused.bounds).inverse())
        self._refused.unite(other.range.bounds)
        self._weak = self._weak and other.weak
        self._is_changed = True
        return True

    def _narrow(self, allowed: VersionRange | None) -> bool:
        if allowed is None or not overlap(self._wanted, allowed.bounds):
            return False
        self._wanted = intersect(self._wanted, allowed.bounds)
        self._is_changed = True
        return True

    def _want(self, other: Requirement, allowed: VersionRange | None) -> bool:
        """Go on with the first one that wants versions, of those that are not refused."""
        assert other.range is not None
        left = None if allowed is None else other.range.intersection(allowed)
        if left is None:
            return False
        self._begin(other)
        self._wanted = list(left.bounds)
        self._is_changed = True
        return True

    def requirement(self) -> Requirement:
        """What all of them mean together."""
        if not self._is_changed:
            return self._like
        if self._refused is None:
            return self._like.with_range(VersionRange.from_bounds(self._wanted))
        range_ = VersionRange.from_bounds(self._refused.bounds)
        return self._like.with_range(range_, weak=self._weak and not range_.is_any())
