"""Orderers and filters as they are stored: in rez's configuration form, and only if that form says all there is.

An object of somebody's own class has no such form. Some filters of rez have none either: `after(:5)` is about a family
without a name, but it is spelled `after(5)`, which is about all. What is read back must hide and prefer the same.
"""

from __future__ import annotations

from typing import Any

from rer_numba.errors import ConfigurationError
from rer_numba.filters import CustomFilter, PackageFilter, PackageFilterList, as_package_filter
from rer_numba.filters.rules import Rule, is_custom
from rer_numba.orderers import CustomOrder, as_package_orderers
from rer_numba.rez_versions import OrderMeaning, version_with

_REMEDY = "leave it out of what is stored and give it to each solve"


def _not_stored(what: str, given: object, why: str) -> ConfigurationError:
    return ConfigurationError(f"{what} {given!r} cannot be stored: {why}; {_REMEDY}")


def orderers_to_pod(given: Any, rez_version: str | None) -> tuple[list[dict[str, Any]] | None, str | None]:
    """Give orderers, in any form that `as_package_orderers` takes, in rez's configuration form.

    Parameters
    ----------
    given
    rez_version : str or None
        The rez whose meaning they have, see `as_package_orderers`.

    Returns
    -------
    orderers, rez_version
        What to store of both.

    Raises
    ------
    ConfigurationError
        One of them cannot be stored; the text says which.
    """
    orderers = as_package_orderers(given, rez_version)
    if orderers is None:
        return None, rez_version
    for order in orderers.leaves():
        if isinstance(order, CustomOrder):
            raise _not_stored("package orderer", order.given, "it is of a class of its own")
    for order in orderers:
        again = as_package_orderers([order.to_pod()])
        if again is None or list(again) != [order]:
            raise _not_stored("package orderer", order, "its configuration form does not say all of it")
    is_newest = orderers.meaning is OrderMeaning.KEYS
    return orderers.to_pod(), rez_version if rez_version or is_newest else version_with(orderers.meaning)


def filter_to_pod(given: Any) -> list[dict[str, Any]] | None:
    """Give a filter, in any form that `as_package_filter` takes, in rez's configuration form.

    Raises
    ------
    ConfigurationError
        A rule of it cannot be stored; the text says which.
    """
    found = as_package_filter(given)
    if found is None:
        return None
    several = PackageFilterList()
    several.filters = list(found.filters) if isinstance(found, PackageFilterList) else [found]
    for each in several.filters:
        _require_spelling(each)
    pod = several.to_pod()
    again = as_package_filter(pod)
    if again is None or again.key() != several.key():
        raise _not_stored("package filter", several, "the order of its filters is not that in which they are read")
    return pod


def _require_spelling(one: PackageFilter | CustomFilter) -> None:
    if isinstance(one, CustomFilter):
        raise _not_stored("package filter", one.given, "it is of a class of its own")
    for rules in (one.exclusions, one.inclusions):
        for family, filed in rules.items():
            for rule in filed:
                if is_custom(rule):
                    raise _not_stored("package filter rule", rule, "it is of a class of its own")
                if not _reads_back(rule, family):
                    raise _not_stored("package filter rule", rule, "its text does not say all of it")


def _reads_back(rule: Rule, family: str | None) -> bool:
    alone = PackageFilter()
    try:
        alone.add_exclusion(str(rule))
    except ConfigurationError:  # a time with a fraction has a text that rez does not read
        return False
    ((read_family, (read,)),) = alone.exclusions.items()
    return (read_family, read.key()) == (family, rule.key())
