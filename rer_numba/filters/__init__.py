"""Package filters: sets of rules that hide packages from a solve.

Invariants
----------
- A filter says of a package what rez's says: the rules of its family before those of all families, the cheaper before
  the dearer, exclusions before inclusions, and an inclusion rescues only within its own filter.
- Filters and rules of the user's own, which need no more than ``excludes(package)`` and ``match(package)``, stand
  among ours, and are asked when rez would ask them.
- A filter without exclusions is false, and a solve does not look at it: its inclusions have nothing to rescue from.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from rer_numba.errors import ConfigurationError
from rer_numba.filters.rules import Rule, as_rule, is_class_of_rez, is_custom, rule_cost, rule_family
from rer_numba.tell import warn_once

Rules = dict[str | None, list[Any]]
"""Rules by their family (None: all), those of a family by cost."""

_NAMESPACES = ("excludes", "includes")


def _by_family(item: tuple[str | None, list[Any]]) -> str:
    return item[0] or ""


def _first_match(rules: Rules, package: Any) -> Any:
    for family in (package.name, None):
        found = next((rule for rule in rules.get(family, ()) if rule.match(package)), None)
        if found:  # an object of the user may be false, then it counts for nothing
            return found
    return None


def _all_rules(rules: Rules) -> list[Any]:
    return [rule for filed in rules.values() for rule in filed]


def _rules_key(rules: Rules) -> Hashable:
    return tuple(
        [
            (family is None, family, tuple([rule.key() for rule in filed]))
            for family, filed in sorted(rules.items(), key=_by_family)
        ]
    )


class _Filter:
    """What the kinds of filters share."""

    @property
    def sha1(self) -> str:
        """Digest of the text. Ports: rez.package_filter.PackageFilterBase.sha1 (rez 3.4.0)."""
        import hashlib

        return hashlib.sha1(str(self).encode()).hexdigest()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"


class PackageFilter(_Filter):
    """Hides the packages that some exclusion matches and no inclusion.

    Ports: rez.package_filter.PackageFilter (rez 3.4.0).
    """

    def __init__(self) -> None:
        self._excludes: Rules = {}
        self._includes: Rules = {}

    @property
    def exclusions(self) -> Rules:
        """Exclusions by family, not to be changed."""
        return self._excludes

    @property
    def inclusions(self) -> Rules:
        """Inclusions by family, not to be changed."""
        return self._includes

    def excludes(self, package: Any) -> Any:
        """Give the rule that hides a package, None if it stays.

        Parameters
        ----------
        package : FilterablePackage
            One of rez's, or anything with name, version and timestamp.
        """
        if not self._excludes:
            return None
        rule = _first_match(self._excludes, package)
        return None if not rule or _first_match(self._includes, package) else rule

    def add_exclusion(self, rule: Any) -> None:
        """Add a rule (see `as_rule`) that hides packages."""
        self._add(self._excludes, as_rule(rule))

    def add_inclusion(self, rule: Any) -> None:
        """Add a rule (see `as_rule`) that rescues packages from the exclusions."""
        self._add(self._includes, as_rule(rule))

    @staticmethod
    def _add(rules: Rules, rule: Any) -> None:
        family = rule_family(rule)
        found = list(rules.get(family, ()))  # a new list, since copies share the old one
        insort(found, rule, key=rule_cost)  # sorting all of it for each of 8,000 rules took 11 s (2026-11)
        rules[family] = found

    def copy(self) -> PackageFilter:
        """Copy; rules are shared."""
        other = PackageFilter()
        other._excludes = dict(self._excludes)
        other._includes = dict(self._includes)
        return other

    def __and__(self, other: PackageFilter) -> PackageFilter:
        """Give the filter with the rules of both. rez dies of an AttributeError here."""
        both = self.copy()
        for mine, theirs in ((both._excludes, other._excludes), (both._includes, other._includes)):
            for rule in _all_rules(theirs):
                self._add(mine, rule)
        return both

    def __bool__(self) -> bool:
        return bool(self._excludes)

    @property
    def cost(self) -> float:
        """Cost of all exclusions; those of one family count a tenth."""
        total = 0.0
        for family, rules in self._excludes.items():
            cost = sum(map(rule_cost, rules))
            total += cost / 10.0 if family else cost
        return total

    def key(self) -> Hashable:
        """Give what tells the filter from those that hide other packages, None if it holds rules of the user's own."""
        if self.has_custom:
            return None
        return _rules_key(self._excludes), _rules_key(self._includes)

    @property
    def has_custom(self) -> bool:
        """Whether it holds rules of the user's own."""
        return any(map(is_custom, _all_rules(self._excludes))) or any(map(is_custom, _all_rules(self._includes)))

    @classmethod
    def from_pod(cls, data: Mapping[str, Any]) -> PackageFilter:
        """Read a filter from ``{"excludes": [...], "includes": [...]}``, each a list of rules or one rule.

        rez does not look at other keys. Neither do we, but a warning names them, since they are most likely misspelled.

        Raises
        ------
        ConfigurationError
            Something in it cannot be used; rez's text for a bad rule.
        """
        if not isinstance(data, Mapping):
            raise ConfigurationError(f"a package filter must be a dict with 'excludes' and 'includes', not {data!r}")
        unknown = [key for key in data if key not in _NAMESPACES]
        if unknown:
            warn_once(f"package filter: nothing is done with {', '.join(map(repr, unknown))} in {data!r}")
        made = cls()
        for namespace, add in zip(_NAMESPACES, (made.add_exclusion, made.add_inclusion), strict=True):
            for text in _rule_texts(data.get(namespace, ()), namespace):
                add(Rule.parse_rule(text))
        return made

    def to_pod(self) -> dict[str, list[str]]:
        """Give what `from_pod` reads."""
        return {
            namespace: [str(rule) for rule in _all_rules(rules)]
            for namespace, rules in zip(_NAMESPACES, (self._excludes, self._includes), strict=True)
            if rules
        }

    def __str__(self) -> str:
        return str((sorted(self._excludes.items(), key=_by_family), sorted(self._includes.items(), key=_by_family)))


def _rule_texts(given: Any, namespace: str) -> list[Any]:
    if isinstance(given, str):
        return [given]
    if not isinstance(given, Iterable) or isinstance(given, bytes):
        raise ConfigurationError(f"{namespace!r} of a package filter must be a list of rules, not {given!r}")
    return list(given)


class CustomFilter(_Filter):
    """A filter of the user's own, in the form of ours.

    Parameters
    ----------
    given : object
        Has ``excludes(package)``; whatever is true hides the package.
    """

    def __init__(self, given: Any) -> None:
        self.given = given
        self._more = PackageFilter()

    def excludes(self, package: Any) -> Any:
        """Ask the object."""
        return self.given.excludes(package) or self._more.excludes(package)

    def add_exclusion(self, rule: Any) -> None:
        """Hand a rule to the object, or keep it here if the object takes none."""
        # an object that cannot be copied is still the user's, and not to be changed
        if hasattr(self.given, "copy") and hasattr(self.given, "add_exclusion"):
            try:
                self.given.add_exclusion(as_rule(rule))
                return
            except NotImplementedError:
                pass
        self._more.add_exclusion(rule)

    def add_inclusion(self, rule: Any) -> None:
        """Hand a rule to the object."""
        self.given.add_inclusion(as_rule(rule))

    def copy(self) -> AnyFilter:
        """Copy the object if it can be copied.

        REZ-QUIRK: the copy of a subclass of rez's filter is a plain filter (test_a_subclass_of_rez_filter_is_asked).
        """
        copied = _as_filter(self.given.copy()) if hasattr(self.given, "copy") else CustomFilter(self.given)
        for rule in _all_rules(self._more.exclusions):
            copied.add_exclusion(rule)
        return copied

    @property
    def cost(self) -> float:
        """Its cost; the highest if it does not say."""
        return float(getattr(self.given, "cost", "inf"))

    has_custom = True

    def key(self) -> Hashable:
        """Give None: who knows what it does."""
        return None

    def to_pod(self) -> Any:
        """Ask the object for its plain form."""
        try:
            return self.given.to_pod()
        except (AttributeError, NotImplementedError):
            raise ConfigurationError(f"a package filter of one's own has no plain form: {self.given!r}") from None

    def __bool__(self) -> bool:
        return bool(self.given) or bool(self._more)

    def __str__(self) -> str:
        return str(self.given)


class PackageFilterList(_Filter):
    """Hides what any of several filters hides.

    Ports: rez.package_filter.PackageFilterList (rez 3.4.0).

    Attributes
    ----------
    filters : list of PackageFilter or CustomFilter
        The cheapest first, as far as they were added by `add_filter`.
    """

    def __init__(self) -> None:
        self.filters: list[Any] = []

    def add_filter(self, package_filter: Any) -> None:
        """Add a filter of ours, of rez's or of the user's own, or each of a list."""
        added = _as_filter(package_filter)
        several = added.filters if isinstance(added, PackageFilterList) else [added]
        self.filters = sorted([*self.filters, *several], key=lambda filter_: filter_.cost)

    def add_exclusion(self, rule: Any) -> None:
        """Add a rule to the last filter, which was the dearest when it came in; make one if there is none."""
        if self.filters:
            self.filters[-1].add_exclusion(rule)
            return
        only = PackageFilter()
        only.add_exclusion(rule)
        self.add_filter(only)

    def add_inclusion(self, rule: Any) -> None:
        """Add a rule to every filter."""
        for filter_ in self.filters:
            filter_.add_inclusion(rule)

    def excludes(self, package: Any) -> Any:
        """Give the first rule that hides a package, None if it stays."""
        for filter_ in self.filters:
            rule = filter_.excludes(package)
            if rule:
                return rule
        return None

    def copy(self) -> PackageFilterList:
        """Copy; the filters are copied, rules are shared."""
        other = PackageFilterList()
        other.filters = [filter_.copy() for filter_ in self.filters]
        return other

    def __bool__(self) -> bool:
        return any(self.filters)

    def key(self) -> Hashable:
        """Give what tells the list from those that hide other packages, None if it holds objects of the user's own."""
        return None if self.has_custom else tuple([filter_.key() for filter_ in self.filters])

    @property
    def has_custom(self) -> bool:
        """Whether it holds filters or rules of the user's own."""
        return any(filter_.has_custom for filter_ in self.filters)

    @classmethod
    def from_pod(cls, data: Iterable[Mapping[str, Any]]) -> PackageFilterList:
        """Read filters from a list of what `PackageFilter.from_pod` reads. Raises as that does."""
        if isinstance(data, (str, bytes, Mapping)) or not isinstance(data, Iterable):
            raise ConfigurationError(f"package filters must be a list of dicts, not {data!r}")
        made = cls()
        for item in data:
            made.add_filter(PackageFilter.from_pod(item))
        return made

    def to_pod(self) -> list[Any]:
        """Give what `from_pod` reads."""
        return [filter_.to_pod() for filter_ in self.filters]

    def __str__(self) -> str:
        return str(tuple(sorted(self.filters, key=lambda filter_: (filter_.cost, str(filter_)))))


AnyFilter = PackageFilter | PackageFilterList | CustomFilter


def _filed(rules: Mapping[str | None, Iterable[Any]]) -> Rules:
    """Take rules as rez filed them: family and order are not worked out again."""
    return {family: [as_rule(rule) for rule in filed] for family, filed in rules.items()}


def _as_filter(given: Any) -> AnyFilter:
    if type(given) in (PackageFilter, PackageFilterList, CustomFilter):
        return given  # type: ignore[no-any-return]
    if is_class_of_rez(given, "PackageFilter"):
        made = PackageFilter()
        made._excludes = _filed(given._excludes)
        made._includes = _filed(given._includes)
        return made
    if is_class_of_rez(given, "PackageFilterList"):
        several = PackageFilterList()
        several.filters = [_as_filter(filter_) for filter_ in given.filters]
        return several
    if callable(getattr(given, "excludes", None)) and not isinstance(given, type):
        return CustomFilter(given)
    raise ConfigurationError(f"package_filter must be a dict, a list of dicts or have excludes(package), not {given!r}")


def as_package_filter(given: Any) -> AnyFilter | None:
    """Take whatever a user may set as package filter.

    Parameters
    ----------
    given : None, dict, list of dicts, or a filter
        As in rez's configuration; or a filter of ours, one of rez's, which becomes ours, or any object with
        ``excludes(package)``. Filters may stand in the list too.

    Returns
    -------
    PackageFilterList, PackageFilter or CustomFilter
        None for None. False if nothing is excluded.

    Raises
    ------
    ConfigurationError
        It cannot be used; rez's text for a bad rule, otherwise the text names the value.
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        return PackageFilterList.from_pod([given])
    if not isinstance(given, (list, tuple)):
        return _as_filter(given)
    several = PackageFilterList()
    for item in given:
        several.add_filter(PackageFilter.from_pod(item) if isinstance(item, Mapping) else item)
    return several
