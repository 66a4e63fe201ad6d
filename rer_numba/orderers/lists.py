"""Package orderers as they are up to rez 3.0, for the kernel: each puts a list of packages in order.

rez hands an orderer the packages that are left of a family, at whatever moment. `sorted` and `version_split` put any
part of a family in the order in which they put all of it. A `soft_timestamp` need not, and where it does not nobody but
rez can say what a solve does; see `_soft_timestamp_order`. Variants are sorted by the ranges that they require, as they
are without orderers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rer_numba.errors import UncertainOrderError
from rer_numba.orderers import Orderers
from rer_numba.orderers.orders import (
    NoOrder,
    PackageOrder,
    PerFamilyOrder,
    SoftTimestampOrder,
    SortedOrder,
    VersionSplitOrder,
)
from rer_numba.orderers.tables import RangeOrder, places_of
from rer_numba.reader import Reader
from rer_numba.schema import NONE, Tables
from rer_numba.version_order import Version
from rer_numba.views import Views, views_of


class CompiledListOrders:
    """Package orderers of rez up to 3.0 for one repository. See `rer_numba.orderers.tables.CompiledOrders`.

    Parameters
    ----------
    orderers : Orderers
        Of `OrderMeaning.LISTS`.
    tables, reader
        The repository; the reader says whether build_requires count.

    Attributes
    ----------
    asks : bool
        It may raise when a solve comes to a family.
    reads_times : bool
        The order of a family may depend on the release times of its packages.
    """

    def __init__(self, orderers: Orderers, tables: Tables | Views, reader: Reader) -> None:
        self._orderers = orderers
        self._views = views_of(tables)
        self._reader = reader
        self.reads_times = any(isinstance(order, SoftTimestampOrder) for order in orderers.leaves())
        # what raises in a batch is solved by itself, so that the others are not lost
        self.asks = self.reads_times

    def named_families(self) -> set[int] | None:
        """The families with an order of their own, when all others are tried newest first; else None."""
        names: set[str] = set()
        for order in self._orderers:
            if not isinstance(order, PerFamilyOrder) or order.default_order is not None:
                return None
            names.update(order.order_dict)
        return {self._reader.family(name) for name in names} - {NONE}

    def package_places(self, family: int) -> list[int] | None:
        """Give the place of each package of a family, preferred ones first; None when they are tried newest first.

        Raises
        ------
        UncertainOrderError
            A soft_timestamp puts packages in another order when some are missing.
        """
        views = self._views
        packages = range(*views.family_package_offsets[family : family + 2])
        chain = self._orderers.chain(self._reader.family_name(family))
        return places_of(self._ordered(family, packages, chain), packages)

    def _ordered(self, family: int, packages: range, chain: Sequence[PackageOrder]) -> list[int]:
        """The packages of a family in the order of the first orderer that gives one."""
        for number, order in enumerate(chain):
            match order:
                case SortedOrder():
                    return list(packages) if order.descending else list(reversed(packages))
                case NoOrder():
                    return sorted(packages, key=self._views.package_given_rank.__getitem__)
                case VersionSplitOrder():
                    first = next((one for one in packages if self._version(one) <= order.first_version), packages.stop)
                    return [*range(first, packages.stop), *range(packages.start, first)]
                case SoftTimestampOrder():
                    found = self._soft_timestamp_order(family, packages, order, chain[number + 1 :])
                    if found is not None:
                        return found
        return list(packages)

    def _version(self, package: int) -> Version:
        return self._reader.version_of(package)

    def _soft_timestamp_order(
        self, family: int, packages: range, order: SoftTimestampOrder, following: Sequence[PackageOrder]
    ) -> list[int] | None:
        """Packages in time, the newest first, then those that came later, the oldest first; None if all are in time.

        With a rank, later packages that begin as the newest one in time go before it, and those that begin alike are
        tried newest first. Any part of the family is in that order too if all times are known and rise with the
        versions around the limit, if no other orderer is asked where all are in time, and if later packages begin as
        none in time, or all of those alike.

        Ports: rez.package_order.TimestampPackageOrder.reorder (rez 3.0.0).
        """
        times = self._views.package_timestamp[packages.start : packages.stop].tolist()
        is_late = [time > order.timestamp for time in times]
        if not any(is_late):
            return None
        n_late = is_late.index(False) if False in is_late else len(is_late)
        late, in_time = packages[:n_late], packages[n_late:]
        begins = (lambda package: self._version(package).trim(order.rank - 1)) if order.rank else self._version
        starts = {begins(package) for package in in_time}
        is_plain = next((isinstance(one, SortedOrder) and one.descending for one in following), True)
        is_apart = len(starts) <= 1 or starts.isdisjoint(map(begins, late))
        if any(is_late[n_late:]) or min(times) <= 0 or not is_plain or not is_apart:
            raise UncertainOrderError(repr(order), self._reader.family_name(family))
        alike = [list(group) for _, group in groupby(late, key=begins)]
        before = alike.pop() if order.rank and begins(alike[-1][0]) in starts else []
        return [*before, *in_time, *(package for group in reversed(alike) for package in group)]

    def range_order(self, package: int) -> RangeOrder:
        """Compare the ranges that the variants of a package require: as they are numbered."""
        first, end = self._views.package_variant_offsets[package : package + 2]
        offsets, ranges = self._reader.variant_requirement_offsets, self._views.requirement_range
        return RangeOrder(
            [ranges[row] for row in self._reader.variant_requirement[offsets[first] : offsets[end]]], 0, []
        )
