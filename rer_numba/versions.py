"""Version ranges, as rez understands, compares and spells them. `Version`, `Cut` and `Bound` are reached from here too.

A range is a list of bounds; a bound is the versions between two cuts (see rer_numba.version_order).

Invariants
----------
- Objects are not changed once made.
- The bounds of a range are sorted and share no version. Two may touch where rez's own union leaves them so; see the
  REZ-QUIRK notes. Only an impossible range that somebody insisted on (`invalid_bound_error=False`) may be otherwise.
- Where two equal ends meet that are spelled differently, the one that rez keeps is kept.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from functools import total_ordering
from itertools import groupby

from rer_numba.bound_lists import intersect, joined, lies_apart, overlap
from rer_numba.errors import VersionError
from rer_numba.range_text import RangeSyntaxError, parse_part
from rer_numba.version_order import BOTTOM, TOP, Bound, Cut, Version, places_around, upper_cut, version_key

__all__ = ["Bound", "Cut", "Version", "VersionRange", "version_key"]

_ANY = Bound(BOTTOM, TOP)

Look = Callable[[], None]
"""Looks whether to go on, and raises if not."""


def _parsed_bounds(text: str, invalid_bound_error: bool, look: Look | None) -> list[Bound]:
    """Read the parts of a range text, in order; an empty list means any version. `look` is called before each part.

    REZ-QUIRK: after an empty part the range is any, but the parts behind it must still be spelled well, while their
    bounds may be impossible (test_empty_parts).
    """
    bounds: list[Bound] = []
    is_any = False
    for part in text.split("|"):
        if look is not None:
            look()
        if not part:
            is_any = True
            continue
        ends = parse_part(part)
        if ends is None or is_any:
            continue
        lower, lower_after, upper, upper_after = ends
        version = Version(lower)
        upper_version = version if upper == lower else None if upper is None else Version(upper)
        end = TOP if upper_version is None else upper_cut(upper_version, upper_after)
        bounds.append(Bound(Cut(version, lower_after), end, invalid_bound_error))
    return [] if is_any else bounds


def _united(bounds: list[Bound]) -> tuple[Bound, ...]:
    """Join bounds that overlap or touch.

    Ports: rez.version.VersionRange._union (rez 3.4.0).
    """
    if len(bounds) < 2:
        return tuple(bounds)
    ordered = sorted(bounds, key=lambda bound: bound.places)
    first = previous = ordered[0]
    upper = first.upper
    united = []
    for bound in ordered[1:]:
        if lies_apart(bound.lower, upper, previous.upper.after):
            united.append(joined(first, upper))
            first = bound
        previous = bound
        if bound.upper.place > upper.place:
            upper = bound.upper
    united.append(joined(first, upper))
    return tuple(united)


def _encloses(outer: tuple[bytes, bytes], inner: tuple[bytes, bytes]) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


@total_ordering
class VersionRange:
    """A set of versions, as bounds in ascending order.

    Ports: rez.version.VersionRange (rez 3.4.0).

    Parameters
    ----------
    text : str
        As in '1.2+<2|==3'. '' is any version.
    invalid_bound_error : bool
        Raise for an impossible part such as '3+<2'. Even if False, a union with other parts raises.
    look : callable, optional
        Called now and then while a long text is read; it may raise to end that.

    Attributes
    ----------
    bounds : tuple of Bound
    places : tuple of tuple of two bytes
        The ends of the bounds; ranges compare like their places.

    Raises
    ------
    VersionError
        `text` is no range; rez's text.
    """

    __slots__ = ("_text", "bounds", "places")

    bounds: tuple[Bound, ...]
    places: tuple[tuple[bytes, bytes], ...]
    _text: str | None

    def __init__(self, text: str = "", invalid_bound_error: bool = True, *, look: Look | None = None) -> None:
        try:
            bounds = _parsed_bounds(text, invalid_bound_error, look)
        except RangeSyntaxError as error:
            raise VersionError(f"Syntax error in version range '{text}': {error}") from None
        except VersionError as error:
            raise VersionError(f"Invalid version range '{text}': {error}") from None
        # REZ-QUIRK: what the union finds wrong is reported without the text (test_impossible_bounds).
        self._set_bounds(_united(bounds) if bounds else (_ANY,))

    def _set_bounds(self, bounds: tuple[Bound, ...]) -> None:
        self.bounds = bounds
        self.places = tuple([bound.places for bound in bounds])
        self._text = None

    @classmethod
    def from_bounds(cls, bounds: Iterable[Bound]) -> VersionRange:
        """Make a range of bounds that are used as they are."""
        made = cls.__new__(cls)
        made._set_bounds(tuple(bounds))
        return made

    @classmethod
    def from_version(cls, version: Version, op: str | None = None) -> VersionRange:
        """Make a range from one version.

        Parameters
        ----------
        version : Version
            The end of the range.
        op : str, optional
            '>', '>=', '<', '<=', '==' or rez's words 'gt', 'gte', 'lt', 'lte', 'eq'. None gives the version and all
            longer ones that start with it.

        Raises
        ------
        VersionError
            Unknown `op`, or no such range. REZ-QUIRK: the empty version without an `op` has none (test_from_version).
        """
        if op is None:
            bound = Bound(Cut(version, False), upper_cut(version.next(), False))
        elif op in ("eq", "=="):
            bound = Bound.exact(version)
        elif op in ("gt", ">", "gte", ">="):
            bound = Bound(Cut(version, op in ("gt", ">")), TOP)
        elif op in ("lt", "<", "lte", "<="):
            bound = Bound(BOTTOM, upper_cut(version, op in ("lte", "<=")))
        else:
            raise VersionError(f"Unknown bound operation '{op}'")
        return cls.from_bounds([bound])

    @classmethod
    def from_versions(cls, versions: Iterable[Version]) -> VersionRange:
        """Make the range of exactly these versions; of equal ones the first one's spelling stays."""
        distinct = [next(equal) for _, equal in groupby(sorted(versions))]
        return cls.from_bounds(map(Bound.exact, distinct))

    @classmethod
    def as_span(
        cls,
        lower_version: Version | None = None,
        upper_version: Version | None = None,
        lower_inclusive: bool = True,
        upper_inclusive: bool = True,
    ) -> VersionRange:
        """Make the range between two versions; None leaves that end open."""
        lower = BOTTOM if lower_version is None else Cut(lower_version, not lower_inclusive)
        upper = TOP if upper_version is None else upper_cut(upper_version, upper_inclusive)
        return cls.from_bounds([Bound(lower, upper)])

    def is_any(self) -> bool:
        """Tell whether this is the range of all versions."""
        return self.places == (_ANY.places,)

    def lower_bounded(self) -> bool:
        """Tell whether some version lies below the range."""
        return self.bounds[0].lower.place != BOTTOM.place

    def upper_bounded(self) -> bool:
        """Tell whether some version lies above the range."""
        return self.bounds[-1].upper.place != TOP.place

    def bounded(self) -> bool:
        """Tell whether versions lie below and above the range."""
        return self.lower_bounded() and self.upper_bounded()

    def union(self, other: VersionRange | Iterable[VersionRange]) -> VersionRange:
        """Give the range of the versions in this range or in the other(s)."""
        bounds = list(self.bounds)
        for range_ in (other,) if isinstance(other, VersionRange) else other:
            bounds.extend(range_.bounds)
        return VersionRange.from_bounds(_united(bounds))

    def intersection(self, other: VersionRange | Iterable[VersionRange]) -> VersionRange | None:
        """Give the range of the versions in this range and in the other(s), None if there are none."""
        bounds = list(self.bounds)
        for range_ in (other,) if isinstance(other, VersionRange) else other:
            if not overlap(bounds, range_.bounds):
                return None
            bounds = intersect(bounds, range_.bounds)
        return VersionRange.from_bounds(bounds)

    def inverse(self) -> VersionRange | None:
        """Give the range of all other versions, None if there are none.

        The gaps between the bounds begin and end at the same cuts as the bounds.

        Raises
        ------
        VersionError
            REZ-QUIRK: two bounds touch, as the union may leave them, so the gap is empty
            (test_touching_pieces_have_no_inverse).
        """
        if self.is_any():
            return None
        starts = [BOTTOM, *(b.upper if b.upper_version != Version.inf else BOTTOM for b in self.bounds)]
        ends = [*(b.lower if b.lower_version or not b.lower_inclusive else TOP for b in self.bounds), TOP]
        gaps = [(start, end) for start, end in zip(starts, ends, strict=True) if start is not BOTTOM or end is not TOP]
        return VersionRange.from_bounds([Bound(start, end) for start, end in gaps])

    def _around(self, places: tuple[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
        """Give the bounds, at most two, among which is one that overlaps with `places` if any does."""
        at = bisect_left(self.places, places)
        return self.places[max(at - 1, 0) : at + 1]

    def issuperset(self, other: VersionRange) -> bool:
        """Tell whether each bound of `other` lies in one bound of this range."""
        return all(any(_encloses(outer, inner) for outer in self._around(inner)) for inner in other.places)

    def issubset(self, other: VersionRange) -> bool:
        """Tell whether each bound of this range lies in a bound of `other`."""
        return other.issuperset(self)

    def intersects(self, other: VersionRange) -> bool:
        """Tell whether some version lies in both ranges."""
        return overlap(self.bounds, other.bounds)

    def contains_version(self, version: Version) -> bool:
        """Tell whether `version` lies in the range."""
        inner = places_around(version)
        return any(_encloses(outer, inner) for outer in self._around(inner))

    def span(self) -> VersionRange:
        """Give the range from the lowest end to the highest."""
        return VersionRange.from_bounds([Bound(self.bounds[0].lower, self.bounds[-1].upper)])

    def split(self) -> list[VersionRange]:
        """Give each bound as a range."""
        return [VersionRange.from_bounds([bound]) for bound in self.bounds]

    def to_versions(self) -> list[Version] | None:
        """Give the versions that are named exactly ('==1'), None if there are none."""
        return [bound.lower_version for bound in self.bounds if bound.is_exact()] or None

    def __contains__(self, item: Version | VersionRange) -> bool:
        return self.contains_version(item) if isinstance(item, Version) else self.issuperset(item)

    def __len__(self) -> int:
        return len(self.bounds)

    def __invert__(self) -> VersionRange | None:
        return self.inverse()

    def __and__(self, other: VersionRange | Iterable[VersionRange]) -> VersionRange | None:
        return self.intersection(other)

    def __or__(self, other: VersionRange | Iterable[VersionRange]) -> VersionRange:
        return self.union(other)

    def __add__(self, other: VersionRange | Iterable[VersionRange]) -> VersionRange:
        return self.union(other)

    def __sub__(self, other: VersionRange) -> VersionRange | None:
        rest = other.inverse()
        return None if rest is None else self.intersection(rest)

    def __eq__(self, other: object) -> bool:
        return self.places == other.places if isinstance(other, VersionRange) else NotImplemented

    def __lt__(self, other: VersionRange) -> bool:
        return self.places < other.places if isinstance(other, VersionRange) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.places)

    def __str__(self) -> str:
        if self._text is None:
            self._text = "|".join(map(str, self.bounds))
        return self._text

    def __repr__(self) -> str:
        return f"VersionRange({str(self)!r})"
