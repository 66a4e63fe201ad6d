"""The rules of package filters: which packages a rule matches, and how it is written.

Invariants
----------
- A rule is read, spelled and filed exactly as rez does it, also where that is odd, because a studio's filter was tried
  out with rez: see the REZ-QUIRK notes of `Rule.parse_rule` and `family_of_pattern`.
- Rules do not change once made, so filters share them.
- A rule that is not of one of the four classes here is *custom*: an object of the user, which is asked and never read.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Hashable
from typing import Any, ClassVar, Protocol

from rer_numba.errors import ConfigurationError
from rer_numba.forking import cached_property
from rer_numba.requirements import Requirement, VersionedObject, as_requirement
from rer_numba.version_order import Version

_LABELLED = re.compile(r"^([^(]+)\(([^\(\)]+)\)$")
_FAMILY = re.compile(r"[^*?]+[-@#]")

CHEAP = 10
EXPENSIVE = 1000
"""Costs of rules, rez's numbers. The dear one is that of a time stamp, for which rez must load the package."""


class FilterablePackage(Protocol):
    """What rules look at; packages of rez have it."""

    @property
    def name(self) -> str:
        """The family."""

    @property
    def version(self) -> Any:
        """A version, of ours or of rez, or its text, or None."""

    @property
    def timestamp(self) -> int | None:
        """Release time in seconds since 1970; None and 0 are no time at all."""


def _version_of(package: FilterablePackage) -> Version:
    version = package.version
    if isinstance(version, Version):
        return version
    return Version("" if version is None else str(version))


def qualified_name(package: FilterablePackage) -> str:
    """Give the name that patterns are compared with: 'foo-1.0', or 'foo' for an unversioned package."""
    given = getattr(package, "qualified_name", None)
    if isinstance(given, str):
        return given
    return str(VersionedObject.construct(package.name, _version_of(package)))


def family_of_pattern(pattern: str) -> str | None:
    """Give the family that a glob or a regular expression is about, None for all.

    Ports: rez.package_filter.Rule._extract_family (rez 3.4.0).

    REZ-QUIRK: it is all that stands before the *last* '-', '@' or '#' ahead of the first '*' or '?', taken literally.
    So 'foo-1-*' is about a family 'foo-1', and 'foo-[0-9]+' about 'foo-[0': they never match
    (test_families_of_patterns).
    """
    found = _FAMILY.match(pattern)
    return found.group()[:-1] if found else None


def _split_label(text: str) -> tuple[str | None, str]:
    found = _LABELLED.match(text)
    return (found.group(1), found.group(2)) if found else (None, text)


class Rule:
    """A rule; also the base for rules of the user's own, who gives `match` and, if he likes, `family` and `cost`.

    Ports: rez.package_filter.Rule (rez 3.4.0).
    """

    name: ClassVar[str | None] = None
    _family: str | None = None

    def match(self, package: Any) -> bool:
        """Tell whether the rule matches a package (see `FilterablePackage`)."""
        raise NotImplementedError

    def family(self) -> str | None:
        """Give the only family whose packages the rule is asked about, None for all."""
        return self._family

    def cost(self) -> float:
        """Give the cost: of several rules the cheaper is asked first."""
        return EXPENSIVE

    def key(self) -> Hashable:
        """Give what tells the rule from those that match other packages. Not asked of custom rules."""
        raise NotImplementedError

    def __str__(self) -> str:
        return object.__repr__(self)  # of a class that gives none

    def __repr__(self) -> str:
        return str(self)

    @staticmethod
    def parse_rule(text: str) -> Rule:
        """Read a rule.

        Ports: rez.package_filter.Rule.parse_rule (rez 3.4.0).

        REZ-QUIRK: 'x(y)' is only seen when y is not empty and holds no parentheses. Everything else is a glob if there
        is a '*' in it and a range if not, label and all, so that 'regex((a|b)-*)' is a glob that matches nothing
        (test_labels_that_are_not_seen).

        Raises
        ------
        ConfigurationError
            rez's text; for something that is no text ours, since rez's error does not name it.
        """
        if not isinstance(text, str):
            raise ConfigurationError(f"a package filter rule must be a text, not {text!r}")
        label, body = _split_label(text)
        if label is None:
            label = "glob" if "*" in body else "range"
        make = _MAKERS.get(label)
        if make is None:
            raise ConfigurationError(f"'{label}' is not a valid package filter type")
        # rez puts the label before the body and reads that again, which shows when the body has parentheses
        labelled = f"{label}({body})"
        try:
            return make(*_split_label(labelled))
        except Exception as error:  # noqa: BLE001 - whatever `re`, `int` and the version grammar find wrong
            raise ConfigurationError(
                f"Error parsing package filter '{labelled}': {error.__class__.__name__}: {error}"
            ) from None


class PatternRule(Rule):
    """Matches packages by their qualified names ('foo-1.0').

    Ports: rez.package_filter.RegexRuleBase (rez 3.4.0).

    Parameters
    ----------
    text : str
        The pattern.

    Attributes
    ----------
    txt : str
    regex : re.Pattern
        Matched from the start of the qualified name.
    """

    def __init__(self, text: str) -> None:
        self.txt = text
        self._family = family_of_pattern(text)
        if self._may_be_wrong(text):
            _ = self.regex

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """Compiled when it is first used, which takes 0.1 ms: most globs of a filter are compared without it."""
        return re.compile(self._translated(self.txt))

    @staticmethod
    def _may_be_wrong(text: str) -> bool:  # noqa: ARG004
        """Tell whether compiling the pattern may raise."""
        return True

    @staticmethod
    def _translated(text: str) -> str:
        return text

    def match(self, package: FilterablePackage) -> bool:
        """Tell whether the pattern matches the qualified name."""
        return self.regex.match(qualified_name(package)) is not None

    def cost(self) -> float:
        """Give the cost of a cheap rule."""
        return CHEAP

    def key(self) -> Hashable:
        """Give kind and pattern."""
        return self.name, self.txt

    def __str__(self) -> str:
        return f"{self.name}({self.txt})"


class RegexRule(PatternRule):
    r"""Matches a regular expression from the start of the qualified name, as in 'regex(.*\.beta$)'.

    Ports: rez.package_filter.RegexRule (rez 3.4.0).
    """

    name = "regex"


class GlobRule(PatternRule):
    """Matches the whole qualified name with a shell pattern, as in 'glob(*.beta)'.

    Ports: rez.package_filter.GlobRule (rez 3.4.0).
    """

    name = "glob"

    @staticmethod
    def _translated(text: str) -> str:
        return fnmatch.translate(text)

    @staticmethod
    def _may_be_wrong(text: str) -> bool:
        return "[" in text


class RangeRule(Rule):
    """Matches packages that do not contradict a requirement, as in 'range(foo<10)'.

    Ports: rez.package_filter.RangeRule (rez 3.4.0).

    Parameters
    ----------
    requirement : str, Requirement, or one of rez
        A text is read as `Requirement`: its name is not checked.
    """

    name = "range"

    def __init__(self, requirement: Any) -> None:
        self.requirement = Requirement(requirement) if isinstance(requirement, str) else as_requirement(requirement)
        self._family = self.requirement.name

    def match(self, package: FilterablePackage) -> bool:
        """Tell whether the package does not contradict the requirement. One of another family never does."""
        versioned = VersionedObject.construct(package.name, _version_of(package))
        return not self.requirement.conflicts_with(versioned)

    def cost(self) -> float:
        """Give the cost of a cheap rule."""
        return CHEAP

    def key(self) -> Hashable:
        """Give name and range."""
        range_ = self.requirement.range
        return self.name, self.requirement.name, self.requirement.conflict, None if range_ is None else range_.places

    def __str__(self) -> str:
        return f"{self.name}({self.requirement})"


class TimestampRule(Rule):
    """Matches packages by their release time: 'before(T)' those of T and earlier, 'after(T)' the later ones.

    Ports: rez.package_filter.TimestampRule (rez 3.4.0).

    Parameters
    ----------
    timestamp : int or float
        Seconds since 1970.
    family : str, optional
        Its only family. REZ-QUIRK: the empty text ('after(:5)') is a family that no package has, and it is spelled
        'after(5)', which means all packages when it is read again (test_empty_family).
    reverse : bool
        Match later packages, not earlier ones.
    match_untimestamped : bool
        The answer for packages without a release time. It has no spelling.

    Raises
    ------
    ConfigurationError
        `timestamp` is no number. (rez fails at the first package.)
    """

    name = "timestamp"

    def __init__(
        self,
        timestamp: float,
        family: str | None = None,
        reverse: bool = False,
        match_untimestamped: bool = False,
    ) -> None:
        if not isinstance(timestamp, (int, float)) or timestamp != timestamp:
            raise ConfigurationError(f"a timestamp must be a number of seconds since 1970, not {timestamp!r}")
        self.timestamp = timestamp
        self.reverse = bool(reverse)
        self.match_untimestamped = match_untimestamped
        self._family = family

    @classmethod
    def after(cls, timestamp: float, family: str | None = None) -> TimestampRule:
        """Make the rule for packages released later than this."""
        return cls(timestamp, family, reverse=True)

    @classmethod
    def before(cls, timestamp: float, family: str | None = None) -> TimestampRule:
        """Make the rule for packages released then or earlier."""
        return cls(timestamp, family)

    def match(self, package: FilterablePackage) -> bool:
        """Compare the release time."""
        released = package.timestamp
        if not released:
            return self.match_untimestamped
        return (released > self.timestamp) is self.reverse

    def key(self) -> Hashable:
        """Give time, side and answer for packages without a time."""
        return self.name, self.timestamp, self.reverse, bool(self.match_untimestamped)

    def __str__(self) -> str:
        family = f"{self._family}:" if self._family else ""
        return f"{'after' if self.reverse else 'before'}({family}{self.timestamp})"


def _parse_timestamp(label: str | None, text: str) -> TimestampRule:
    family, colon, number = text.partition(":")
    if not colon:
        return TimestampRule(int(text), reverse=label == "after")
    return TimestampRule(int(number), family, reverse=label == "after")


_MAKERS: dict[str, Callable[[str | None, str], Rule]] = {
    "glob": lambda _, text: GlobRule(text),
    "regex": lambda _, text: RegexRule(text),
    "range": lambda _, text: RangeRule(Requirement(text)),
    "before": _parse_timestamp,
    "after": _parse_timestamp,
}

_BUILTIN = (GlobRule, RegexRule, RangeRule, TimestampRule)


def is_custom(rule: object) -> bool:
    """Tell whether a rule is an object of the user. A subclass of one of ours is: it may match otherwise."""
    return type(rule) not in _BUILTIN


def rule_family(rule: Any) -> str | None:
    """Give the family under which a rule is filed; a rule that does not say is about all."""
    family = getattr(rule, "family", None)
    return family() if callable(family) else None


def rule_cost(rule: Any) -> float:
    """Give the cost of a rule; one that does not say is as dear as loading a package."""
    cost = getattr(rule, "cost", None)
    return cost() if callable(cost) else EXPENSIVE


def is_class_of_rez(given: object, name: str) -> bool:
    """Tell whether an object is of this class of `rez.package_filter`, and of no subclass. rez need not be there."""
    return type(given).__module__ == "rez.package_filter" and type(given).__name__ == name


def as_rule(given: Any) -> Any:
    """Take a rule as text, as one of ours or of rez's, or as any object with ``match(package)``.

    Returns
    -------
    Rule or object
        Rules of rez become ours; an object of the user is kept as it is.

    Raises
    ------
    ConfigurationError
        It is none of these, or the text is no rule.
    """
    if isinstance(given, str):
        return Rule.parse_rule(given)
    rule: Rule
    if is_class_of_rez(given, "GlobRule"):
        rule = GlobRule(given.txt)
    elif is_class_of_rez(given, "RegexRule"):
        rule = RegexRule(given.txt)
    elif is_class_of_rez(given, "RangeRule"):
        rule = RangeRule(given._requirement)
    elif is_class_of_rez(given, "TimestampRule"):
        return TimestampRule(given.timestamp, given._family, given.reverse, given.match_untimestamped)
    elif callable(getattr(given, "match", None)) and not isinstance(given, (type, re.Pattern)):
        return given
    else:
        raise ConfigurationError(f"a package filter rule must be a text or have match(package), not {given!r}")
    return rule
