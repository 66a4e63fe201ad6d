"""Package orderers: which versions of a family a solve prefers, as a studio configures it.

An orderer speaks for the families it names, or for all (``*``). For a family the first orderer of the list that names
it is asked, else the first one for all, else the newest version is preferred. What an orderer says about versions also
decides between variants, through the ends of the ranges they require (`rer_numba.orderers.keys`).

Whatever cannot be used is refused when it is handed in: a type or a setting that nobody knows, a value of the wrong
type. The text names the value.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rer_numba.orderers.orders import (
    ALL_PACKAGES,
    ASKED_FOR_LISTS,
    NEWEST_FIRST,
    CustomOrder,
    NoOrder,
    PackageOrder,
    PerFamilyOrder,
    SoftTimestampOrder,
    SortedOrder,
    VersionSplitOrder,
    as_families,
    as_order,
    is_of_rez,
    is_orderer,
    raised_by_custom,
    wrong,
)
from rer_numba.rez_versions import OrderMeaning, order_meaning
from rer_numba.version_order import Version

if TYPE_CHECKING:
    from rer_numba.orderers.keys import OrderKeys

__all__ = [
    "CustomOrder",
    "Leaf",
    "NoOrder",
    "OrderMeaning",
    "Orderers",
    "PackageOrder",
    "PackagesOf",
    "PerFamilyOrder",
    "SoftTimestampOrder",
    "SortedOrder",
    "VersionSplitOrder",
    "as_package_orderers",
    "raised_by_custom",
]

PackagesOf = Callable[[str], Iterable[tuple[Version, "int | None"]]]
"""Name of a family -> version and release time of each of its packages."""


class Leaf(NamedTuple):
    """The orderer that is asked about a family.

    Attributes
    ----------
    order : PackageOrder
        Any but a `PerFamilyOrder`.
    nested : bool
        It was found in a `PerFamilyOrder`, which only asks about versions, never about ranges.
    """

    order: PackageOrder
    nested: bool


class Orderers:
    """Orderers in order. Ports: rez.package_order.PackageOrderList, get_orderer (rez 3.4.0).

    Parameters
    ----------
    orders : iterable of PackageOrder
        Where two name one family, the first counts.
    meaning : OrderMeaning
        What they do, which depends on the version of rez.

    Raises
    ------
    ConfigurationError
        They put lists in order, and one is of somebody else's class: only rez can ask it.
    """

    def __init__(self, orders: Iterable[PackageOrder], meaning: OrderMeaning = OrderMeaning.KEYS) -> None:
        self._orders = tuple(orders)
        self.meaning = meaning
        if meaning is OrderMeaning.LISTS:
            for order in self.leaves():
                if isinstance(order, CustomOrder):
                    raise wrong(ASKED_FOR_LISTS, order.given)
        self._by_family: dict[str, PackageOrder] = {}
        for order in self._orders:
            for family in order.packages:
                self._by_family.setdefault(family, order)
        self._leaves: dict[str, Leaf] = {}

    def leaf(self, family: str) -> Leaf:
        """The orderer that is asked about a family."""
        found = self._leaves.get(family)
        if found is None:
            order = self._by_family.get(family) or self._by_family.get(ALL_PACKAGES) or NEWEST_FIRST
            nested = isinstance(order, PerFamilyOrder)
            while isinstance(order, PerFamilyOrder):
                order = order.order_for(family)
            found = self._leaves[family] = Leaf(order, nested)
        return found

    def chain(self, family: str) -> list[PackageOrder]:
        """The orderers that put the packages of a family in order up to rez 3.0: the first one does that can.

        Ports: rez.solver._PackageVariantSlice.sort_versions, rez.package_order.PerFamilyOrder.reorder (rez 3.0.0).
        """
        found: list[PackageOrder] = []
        for order in self._orders:
            one: PackageOrder | None = order
            while isinstance(one, PerFamilyOrder):
                one = one.order_dict.get(family) or one.default_order
            if one is not None:
                found.append(one)
        return found

    def keys(self, packages_of: PackagesOf) -> OrderKeys:
        """Sort keys by these orderers; `packages_of` gives the packages whose release times count."""
        from rer_numba.orderers.keys import OrderKeys

        return OrderKeys(self, packages_of)

    def leaves(self) -> Iterator[PackageOrder]:
        """All orderers, those within a `PerFamilyOrder` instead of it."""
        return _flattened(self._orders)

    def use_rez(self) -> bool:
        """Tell whether an orderer expects rez's own versions."""
        return any(isinstance(order, CustomOrder) and order.from_rez for order in self.leaves())

    def to_pod(self) -> list[dict[str, Any]]:
        """Give them in rez's configuration form; ConfigurationError if one has none."""
        return [order.to_pod() for order in self._orders]

    def key(self) -> tuple[Any, ...] | None:
        """Something hashable, equal for orderers that say the same; None with a `CustomOrder` among them."""
        keys = [order.key() for order in self._orders]
        return None if None in keys else (self.meaning.value, *keys)

    def __iter__(self) -> Iterator[PackageOrder]:
        return iter(self._orders)

    def __len__(self) -> int:
        return len(self._orders)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Orderers):
            return NotImplemented
        return (self._orders, self.meaning) == (other._orders, other.meaning)

    def __hash__(self) -> int:
        return hash(self._orders)

    def __repr__(self) -> str:
        meaning = "" if self.meaning is OrderMeaning.KEYS else f", {self.meaning}"
        return f"Orderers({list(self._orders)!r}{meaning})"


def _flattened(orders: Iterable[PackageOrder | None]) -> Iterator[PackageOrder]:
    for order in orders:
        if isinstance(order, PerFamilyOrder):
            yield from _flattened([*order.order_dict.values(), order.default_order])
        elif order is not None:
            yield order


# ------------------------------------------------------------------------------------------------- what is handed in


def as_package_orderers(given: Any, rez_version: str | None = None) -> Orderers | None:
    """Take whatever a user may hand in as orderers.

    Parameters
    ----------
    given : None, Orderers, or a list
        Of orderers, each in rez's configuration form (a dict with ``type``, or the older pair of type and settings), an
        object of rez, one of ours, or any object with rez's ``sort_key``. One orderer will do for a list of one.
    rez_version : str, optional
        The rez whose meaning they have, unless they have one already. None: for objects of rez the rez that is loaded,
        else the newest.

    Returns
    -------
    Orderers or None
        None for None, which says nothing; an empty list says that there are none.

    Raises
    ------
    ConfigurationError
        Something in it cannot be used; the text names it.
    VersionError
        A ``first_version`` is no version.
    """
    if given is None or isinstance(given, Orderers):
        return given
    if not _is_one(given) and (not isinstance(given, Iterable) or isinstance(given, (str, bytes))):
        raise wrong("orderers are a list, not", given)
    items = [given] if _is_one(given) else list(given)
    if rez_version is None and any(is_of_rez(item) for item in items):
        rez_version = sys.modules["rez"].__version__
    return Orderers([_as_package_order(item) for item in items], order_meaning(rez_version))


def _is_one(given: Any) -> bool:
    return isinstance(given, (Mapping, PackageOrder)) or is_orderer(given) or _is_pair(given)


def _is_pair(given: Any) -> bool:
    return isinstance(given, (list, tuple)) and len(given) == 2 and isinstance(given[0], str)


def _as_package_order(given: Any) -> PackageOrder:
    return _from_pod(given) if isinstance(given, Mapping) or _is_pair(given) else as_order(given)


def _from_pod(pod: Mapping[str, Any] | Sequence[Any]) -> PackageOrder:
    """Read one orderer in configuration form. Ports: rez.package_order.from_pod (rez 3.4.0)."""
    if isinstance(pod, Mapping):
        settings = dict(pod)
        kind = _taken(settings, "type", pod)
    else:
        kind, settings = pod
        if not isinstance(settings, Mapping):
            raise wrong("the settings beside a type must be a mapping, not", settings)
        settings = dict(settings)
    make = _FROM_POD.get(kind) if isinstance(kind, str) else None
    if make is None:
        raise wrong(f"unknown type (rez has {', '.join(_FROM_POD)})", kind)
    order = make(settings, pod)
    if settings:
        raise wrong(f"unknown settings of {kind} {sorted(map(str, settings))}", pod)
    return order


def _taken(settings: dict[str, Any], name: str, pod: object) -> Any:
    try:
        return settings.pop(name)
    except KeyError:
        raise wrong(f"{name!r} is missing", pod) from None


def _per_family(settings: dict[str, Any], pod: object) -> PackageOrder:
    order_dict = {}
    items = _taken(settings, "orderers", pod)
    if not isinstance(items, (list, tuple)):
        raise wrong("orderers of per_family must be a list, not", items)
    for item in items:
        if not isinstance(item, Mapping):
            raise wrong("an orderer of per_family must be a mapping, not", item)
        one = dict(item)
        families = _taken(one, "packages", item)
        if isinstance(families, str) or families is None:
            raise wrong("packages of an orderer of per_family must be a list, not", families)
        as_families(families)
        order_dict.update(dict.fromkeys(families, _from_pod(one)))
    default = settings.pop("default_order", None)
    return PerFamilyOrder(order_dict, _as_package_order(default) if default else None)


_FROM_POD: dict[str, Callable[[dict[str, Any], object], PackageOrder]] = {
    "no_order": lambda settings, _: NoOrder(settings.pop("packages", None)),
    "sorted": lambda settings, pod: SortedOrder(_taken(settings, "descending", pod), settings.pop("packages", None)),
    "version_split": lambda settings, pod: VersionSplitOrder(
        _taken(settings, "first_version", pod), settings.pop("packages", None)
    ),
    "soft_timestamp": lambda settings, pod: SoftTimestampOrder(
        _taken(settings, "timestamp", pod), settings.pop("rank", 0), settings.pop("packages", None)
    ),
    "per_family": _per_family,
}
"""How each type is read; what is read is taken out of the settings."""

TYPES = frozenset(_FROM_POD)
"""The types of rez's own orderers."""
