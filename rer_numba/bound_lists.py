"""Sorted lists of bounds that change in place: what many requirements on one family come to, in n log n steps.

Merging ranges one after the other makes a new range each time, whose cost grows with all that was merged before. Here
a range that joins costs what it changes: places are found by bisection, and everything else stays where it is.

Invariants
----------
- What comes out is what `VersionRange.union` and `VersionRange.intersection` give when they are called once for each
  range, in the same order: spelling and REZ-QUIRKs of the union included, which depend on that order
  (tests/test_many_requirements.py).
- Bounds are sorted, and share no version.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import attrgetter

from rer_numba.version_order import BOTTOM, TOP, Bound, Cut

_Splice = tuple[int, int, list[Bound]]
"""(first, end, new ones): what comes in the place of some items of a list."""

_PLACES = attrgetter("places")
_LOWER = attrgetter("lower.place")
_UPPER = attrgetter("upper.place")

_FEW = 64
"""One change for so many items or more is made in place, and moves the items behind it; else a new list is made."""


def lies_apart(lower: Cut, upper: Cut, previous_inclusive: bool) -> bool:
    """Tell whether a bound that begins at `lower` stays a piece of its own behind those that reach to `upper`.

    Ports: rez.version.VersionRange._union (rez 3.4.0).

    REZ-QUIRK: when a bound starts at the very version where the union so far ends, rez asks whether the *previous*
    bound includes its own upper end, which need not be the bound that reaches highest. So '1..3|2|>3' stays in two
    pieces that touch, and '1+<3|2..2.5|>3' swallows the excluded 3 (test_union_quirks).
    """
    if lower.version.key == upper.version.key:
        return lower.after and not previous_inclusive
    return lower.version.key > upper.version.key


def joined(first: Bound, upper: Cut) -> Bound:
    """Give the bound from the lower end of one to a cut; raises VersionError if that is impossible."""
    return first if first.upper is upper and first.is_possible() else Bound(first.lower, upper)


class UnitedBounds:
    """The union of ranges that join one after the other.

    Parameters
    ----------
    bounds : sequence of Bound
        Of the first range.

    Attributes
    ----------
    bounds : list of Bound
    """

    def __init__(self, bounds: Sequence[Bound]) -> None:
        self.bounds = list(bounds)
        # Items that the next union joins to those before them whatever it adds: two pieces that touch. A lone bound
        # may be impossible, which the next union says.
        self._unsettled = _touching(self.bounds) if len(bounds) > 1 else [1]

    def unite(self, others: Sequence[Bound]) -> None:
        """Let a range join, whose bounds these are.

        Raises
        ------
        VersionError
            A bound is impossible, as `VersionRange.union` raises it.

        Notes
        -----
        Cost is a step for each bound that joins and for each that it meets, and log n for finding them.
        """
        splices = []
        moved = at = 0
        unsettled: list[int] = []
        waiting = iter(self._unsettled)
        next_unsettled = next(waiting, None)
        while at < len(others) or next_unsettled is not None:
            start = len(self.bounds) if next_unsettled is None else next_unsettled - 1
            if at < len(others):
                start = min(start, bisect_right(self.bounds, others[at].places, key=_PLACES) - 1)
            first, end, pieces, at = self._swept(start, others, at)
            while next_unsettled is not None and next_unsettled <= end:
                next_unsettled = next(waiting, None)
            splices.append((first, end, pieces))
            unsettled += [first + moved + place for place in _touching(pieces)]
            moved += len(pieces) - (end - first)
        _splice(self.bounds, splices)
        self._unsettled = unsettled

    def _swept(self, start: int, others: Sequence[Bound], at: int) -> tuple[int, int, list[Bound], int]:
        """Unite from an item on, until the rest of the list is as it was.

        Parameters
        ----------
        start : int
            -1: begin with `others[at]`.
        others, at
            What joins, from `others[at]` on.

        Returns
        -------
        first, end, pieces
            A splice.
        at : int
            What has not joined yet.
        """
        bounds, end = self.bounds, start + 1
        is_own = start >= 0
        first = previous = bounds[start] if is_own else others[at]
        at += not is_own
        upper = first.upper
        pieces: list[Bound] = []
        while end < len(bounds) or at < len(others):
            if end < len(bounds) and (at == len(others) or bounds[end].places <= others[at].places):
                bound = bounds[end]
                if (
                    is_own
                    and upper.place == previous.upper.place
                    and lies_apart(bound.lower, upper, previous.upper.after)
                    and previous.is_possible()
                ):
                    break  # as if nothing had joined so far
                is_own = True
                end += 1
            else:
                bound = others[at]
                is_own = False
                at += 1
            if lies_apart(bound.lower, upper, previous.upper.after):
                pieces.append(joined(first, upper))
                first = bound
            previous = bound
            if bound.upper.place > upper.place:
                upper = bound.upper
        pieces.append(joined(first, upper))
        return max(start, 0), end, pieces, at


def _touching(bounds: Sequence[Bound]) -> list[int]:
    """The items that a union would join to the one before."""
    return [
        place
        for place in range(1, len(bounds))
        if not lies_apart(bounds[place].lower, bounds[place - 1].upper, bounds[place - 1].upper.after)
    ]


def overlap(some: Sequence[Bound], others: Sequence[Bound]) -> bool:
    """Tell whether some version lies in both."""
    fewer, more = sorted((some, others), key=len)
    for bound in fewer:
        at = bisect_right(more, bound.lower.place, key=_UPPER)
        if at < len(more) and max(bound.lower.place, more[at].lower.place) < min(
            bound.upper.place, more[at].upper.place
        ):
            return True
    return False


def intersect(bounds: list[Bound], others: Sequence[Bound]) -> list[Bound]:
    """Leave what lies in others too. Of two equal ends that of the first bound stays.

    Parameters
    ----------
    bounds : list of Bound
        May be changed, and be what is returned.
    others : sequence of Bound

    Notes
    -----
    Cost is that of both together; log n for each of `others` if these are few.
    """
    if len(others) * _FEW > len(bounds):
        return _intersected(bounds, others)
    ends = [BOTTOM, *(cut for bound in others for cut in (bound.lower, bound.upper)), TOP]
    for lower, upper in zip(ends[-2::-2], ends[::-2], strict=True):
        _cut_out(bounds, lower, upper)
    return bounds


def _intersected(bounds: Sequence[Bound], others: Sequence[Bound]) -> list[Bound]:
    shared: list[Bound] = []
    place = at = 0
    while place < len(bounds) and at < len(others):
        bound, other = bounds[place], others[at]
        lower = other.lower if other.lower.place > bound.lower.place else bound.lower
        upper = other.upper if other.upper.place < bound.upper.place else bound.upper
        if lower.place < upper.place:
            shared.append(Bound(lower, upper))
        if bound.upper.place <= other.upper.place:
            place += 1
        else:
            at += 1
    return shared


def _cut_out(bounds: list[Bound], lower: Cut, upper: Cut) -> None:
    """Take out what lies between two cuts. Nothing there makes two pieces that touch of a bound around it."""
    first = bisect_right(bounds, lower.place, key=_UPPER)
    end = bisect_left(bounds, upper.place, lo=first, key=_LOWER)
    if first == end:
        return
    pieces = []
    if bounds[first].lower.place < lower.place:
        pieces.append(Bound(bounds[first].lower, lower))
    if bounds[end - 1].upper.place > upper.place:
        pieces.append(Bound(upper, bounds[end - 1].upper))
    bounds[first:end] = pieces


def _splice(bounds: list[Bound], splices: list[_Splice]) -> None:
    """Put pieces in the place of items; the splices are sorted and have no item in common."""
    if len(splices) * _FEW <= len(bounds):
        for first, end, pieces in reversed(splices):
            bounds[first:end] = pieces
        return
    made: list[Bound] = []
    done = 0
    for first, end, pieces in splices:
        made += bounds[done:first]
        made += pieces
        done = end
    made += bounds[done:]
    bounds[:] = made
