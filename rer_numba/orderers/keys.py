"""Sort keys of versions and ranges, as package orderers see them.

rez compares keys of one family when it sorts packages, but keys of different families, made by different orderers, when
it sorts variants. The classes here have rez's manners in both cases, down to what an operator does with a stranger:

- a key of a version is a pair of a *main* key, which the orderer makes, and the version. Mains are compared if Python
  can compare them, else the versions are (`Fallback`);
- mains are a version, a reversed version, 0, or a tuple of them. Two of different kinds are never equal, and asking
  which is less raises, so the versions decide. Infinity is the exception: it answers every stranger (`OrderVersion`);
- a key of a range is a tuple of the keys of its ends, and tuples are compared at the first place where they differ.

So two keys may be different with neither less than the other, and three may be less than each other in a circle.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from rer_numba.forking import cached_property
from rer_numba.orderers import Orderers, PackagesOf
from rer_numba.orderers.orders import (
    CustomOrder,
    NoOrder,
    PackageOrder,
    SoftTimestampOrder,
    SortedOrder,
    VersionSplitOrder,
)
from rer_numba.rez_versions import OrderMeaning
from rer_numba.version_order import Bound, Version, version_key
from rer_numba.versions import VersionRange

LESS, EQUAL, GREATER, NEITHER = -1, 0, 1, 2

NO_RANGE = ()
"""Key of a requirement without a range. rez's is 0, which cannot be compared with a range; this one is less."""


# ------------------------------------------------------------------------------------------------------- kinds of keys


class OrderVersion(Version):
    """A version that meets strangers as one of rez does. Ports: rez.version.Version (rez 3.4.0), its operators.

    REZ-QUIRK: infinity is less than nothing and greater than everything, strangers too; other versions raise for a
    stranger (tests/test_orderers.py::test_infinity_answers_strangers).
    """

    __slots__ = ()

    def __init__(self, version: Version) -> None:
        self.text = version.text
        self.key = version.key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self.key == other.key

    def __lt__(self, other: object) -> bool:
        if self.key == Version.inf.key:
            return False
        if not isinstance(other, Version):
            raise TypeError(f"{self!r} cannot be compared with {other!r}")
        return self.key < other.key

    def __gt__(self, other: object) -> bool:
        return not (self < other or self == other)

    def __le__(self, other: object) -> bool:
        return self < other or self == other

    def __ge__(self, other: object) -> bool:
        return not self < other

    __hash__ = Version.__hash__


class Reversed:
    """A version in reversed order. Ports: rez.version._version._ReversedComparable (rez 3.4.0)."""

    __slots__ = ("value",)

    def __init__(self, value: Version) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return self.value == other.value if isinstance(other, Reversed) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self.value > other.value if isinstance(other, Reversed) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return not (self < other or self == other)

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"Reversed({self.value!r})"


class RaisingReversed(Reversed):
    """The same as rez 3.1 to 3.3 has it: it raises when it meets something else, also when asked whether it is equal.

    Ports: rez.version._version._ReversedComparable (rez 3.3.0).
    """

    __slots__ = ()

    def __eq__(self, other: Any) -> bool:
        return bool(self.value == other.value)

    def __lt__(self, other: Any) -> bool:
        return bool(self.value > other.value)

    __hash__ = Reversed.__hash__


class Fallback:
    """A main key, and a version for the case that mains cannot be compared.

    Ports: rez.package_order.FallbackComparable (rez 3.4.0). The attributes have rez's names, so that ours and rez's can
    be compared with each other.
    """

    __slots__ = ("fallback_comparable", "main_comparable")

    def __init__(self, main: Any, fallback: Any) -> None:
        self.main_comparable = main
        self.fallback_comparable = fallback

    def __eq__(self, other: Any) -> bool:
        try:
            return bool(self.main_comparable == other.main_comparable)
        except Exception:  # noqa: BLE001 - as rez: whatever a main raises, the versions decide
            return bool(self.fallback_comparable == other.fallback_comparable)

    def __lt__(self, other: Any) -> bool:
        try:
            return bool(self.main_comparable < other.main_comparable)
        except Exception:  # noqa: BLE001 - as above
            return bool(self.fallback_comparable < other.fallback_comparable)

    def __gt__(self, other: Any) -> bool:
        return not (self < other or self == other)

    def __le__(self, other: Any) -> bool:
        return bool(self < other or self == other)

    def __ge__(self, other: Any) -> bool:
        return not self < other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Fallback({self.main_comparable!r}, {self.fallback_comparable!r})"


def compare_keys(a: Any, b: Any) -> int:
    """Compare as tuples do: LESS, EQUAL, GREATER, or NEITHER, when they differ and yet none is less.

    Raises
    ------
    Exception
        Whatever keys of somebody else's class raise.
    """
    if a == b:
        return EQUAL
    if a < b:
        return LESS
    return GREATER if b < a else NEITHER


# ------------------------------------------------------------------------------------------ whose versions to use


class _Classes(Protocol):
    """Makes the versions and ranges that orderers get to see."""

    def version(self, version: Version) -> Any: ...
    def reversed(self, version: Any) -> Any: ...
    def range(self, range_: VersionRange) -> Any: ...
    def trimmed(self, version: Any, length: int) -> tuple[Any, Any]: ...


class _Ours:
    """Our own classes."""

    version = staticmethod(OrderVersion)

    def __init__(self, reversed_: type[Reversed]) -> None:
        self.reversed = reversed_

    @staticmethod
    def range(range_: VersionRange) -> VersionRange:
        return range_

    @staticmethod
    def trimmed(version: OrderVersion, length: int) -> tuple[OrderVersion, list[bytes]]:
        """The first tokens as a version, and keys of the others."""
        return OrderVersion(version.trim(length)), [version_key(token) for token in version.as_tuple()[length:]]


class _Rez:
    """rez's classes, which an object of rez's brings along: rez is loaded then, so it need not be imported."""

    def __init__(self) -> None:
        self._rez: Any = sys.modules["rez.version._version"]
        self._versions: dict[str, Any] = {}

    def version(self, version: Version) -> Any:
        if version.key == Version.inf.key:
            return self._rez.Version.inf
        found = self._versions.get(version.text)
        if found is None:
            found = self._versions[version.text] = self._rez.Version(version.text)
        return found

    def reversed(self, version: Any) -> Any:
        return self._rez._ReversedComparable(version)

    def range(self, range_: VersionRange) -> Any:
        made = self._rez.VersionRange(None)
        made.bounds = [self._bound(bound) for bound in range_.bounds]
        return made

    def _bound(self, bound: Bound) -> Any:
        lower = self._rez._LowerBound(self.version(bound.lower_version), bound.lower_inclusive)
        upper = self._rez._UpperBound(self.version(bound.upper_version), bound.upper_inclusive)
        return self._rez._Bound(lower, upper, invalid_bound_error=False)

    def trimmed(self, version: Any, length: int) -> tuple[Any, Any]:
        return version.trim(length), version.tokens[length:]


# ------------------------------------------------------------------------------------------------------------- the keys


def first_after(
    timestamps: Sequence[int | None], trimmed: Callable[[int], object], timestamp: int, rank: int
) -> int | None:
    """Find the first package after a time.

    Ports: rez.package_order.TimestampPackageOrder._calc_first_after (rez 3.4.0).

    Parameters
    ----------
    timestamps : sequence of int or None
        Release times of the packages of a family, the newest version first; 0 and None: unknown.
    trimmed : callable
        Place of a package in `timestamps` -> its first ``rank - 1`` tokens.
    timestamp, rank : int
        Of the orderer.

    Returns
    -------
    int or None
        A place in `timestamps`; None if all packages are in time.
    """
    found = None
    last = 0
    for last, released in enumerate(timestamps):
        if released and released > timestamp:
            found = last
        elif released:
            break
    if not rank or not timestamps:
        return found
    # REZ-QUIRK: nothing of `found` counts here; without any package in time the oldest is taken for one
    # (tests/test_orderers.py::test_soft_timestamp_without_times)
    in_time = trimmed(last)
    return next((place for place in range(last - 1, -1, -1) if trimmed(place) != in_time), None)


class OrderKeys:
    """Sort keys by orderers; rez's answer to every comparison of two of them.

    Parameters
    ----------
    orderers : Orderers
    packages_of : callable
        Name of a family -> version and release time of each of its packages, for `SoftTimestampOrder`. It is not asked
        about ephemerals.
    """

    def __init__(self, orderers: Orderers, packages_of: PackagesOf) -> None:
        self._orderers = orderers
        self._packages_of = packages_of
        self._first_after: dict[str, Version | None] = {}

    @cached_property
    def _classes(self) -> _Classes:
        if self._orderers.use_rez():
            return _Rez()
        return _Ours(RaisingReversed if self._orderers.meaning is OrderMeaning.RAISING_KEYS else Reversed)

    def version_key(self, family: str, version: Version) -> Any:
        """Key of a version of a family: packages with a greater one are preferred."""
        order, nested = self._orderers.leaf(family)
        seen = self._classes.version(version)
        if isinstance(order, CustomOrder) and not nested:
            return order.sort_key(family, seen)
        return Fallback(self._main(order, family, version, seen), seen)

    def range_key(self, family: str, range_: VersionRange | None) -> Any:
        """Key of a range that is required of a family; see `NO_RANGE`.

        Ports: rez.package_order.PackageOrder.sort_key (rez 3.4.0).
        """
        order, nested = self._orderers.leaf(family)
        if isinstance(order, CustomOrder) and not nested:
            key = order.sort_key(family, None if range_ is None else self._classes.range(range_))
            return NO_RANGE if range_ is None and type(key) is int and key == 0 else key
        if range_ is None:
            return NO_RANGE
        return tuple([self._bound_key(family, bound) for bound in range_.bounds])

    def _bound_key(self, family: str, bound: Bound) -> tuple[Any, ...]:
        lower = (self.version_key(family, bound.lower_version), -2 if bound.lower_inclusive else -1)
        upper = (self.version_key(family, bound.upper_version), 2 if bound.upper_inclusive else 1)
        return lower, upper

    def _main(self, order: PackageOrder, family: str, version: Version, seen: Any) -> Any:
        """What rez's ``sort_key_implementation`` gives; `seen` is the version in the classes that orderers see."""
        match order:
            case NoOrder():
                return 0
            case SortedOrder():
                return seen if order.descending else self._classes.reversed(seen)
            case VersionSplitOrder():
                return (1 if version <= order.first_version else 0), seen
            case SoftTimestampOrder():
                return self._timestamp_main(order, family, version, seen)
            case CustomOrder():
                return order.sort_key_of_version(family, seen)
        raise TypeError(f"no orderer: {order!r}")

    def _timestamp_main(self, order: SoftTimestampOrder, family: str, version: Version, seen: Any) -> tuple[Any, ...]:
        limit = self.first_after(family)
        if limit is None or version < limit:
            return 1, seen
        if not order.rank:
            return 0, self._classes.reversed(seen)
        if version == Version.inf:  # rez dies here: infinity cannot be trimmed
            return 0, self._classes.reversed(seen), []
        start, rest = self._classes.trimmed(seen, order.rank - 1)
        return 0, self._classes.reversed(start), rest

    def first_after(self, family: str) -> Version | None:
        """The first version of a family that is not in time, for a family with a `SoftTimestampOrder`."""
        if family not in self._first_after:
            self._first_after[family] = self._find_first_after(family)
        return self._first_after[family]

    def _find_first_after(self, family: str) -> Version | None:
        order = self._orderers.leaf(family).order
        if not isinstance(order, SoftTimestampOrder) or family.startswith("."):
            return None
        packages = sorted(self._packages_of(family), key=lambda package: package[0], reverse=True)
        place = first_after(
            [timestamp for _, timestamp in packages],
            lambda place: packages[place][0].trim(order.rank - 1),
            order.timestamp,
            order.rank,
        )
        return None if place is None else packages[place][0]
