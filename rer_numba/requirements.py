"""Requirements, requests and versioned objects: a name and the versions of it that are wanted, or not wanted.

Invariants
----------
- `range` is None only for '~foo', which asks for nothing. For every other '~foo-1' it is the *inverse* of what is
  written, so a weak requirement is a conflict with all other versions.
- Objects are not changed once made; a merge gives a new requirement, or one of the two it was made from.
- A name is checked by `PackageRequest` only. `Requirement` takes any, as in rez.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from rer_numba.errors import PackageRequestError, shown
from rer_numba.merging import Merging
from rer_numba.version_order import BOTTOM, TOP, Bound, Cut, Version
from rer_numba.versions import Look, VersionRange

_PACKAGE_NAME = re.compile(r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*")
_RESERVED_NAMES = ("__pycache__",)
_EPHEMERAL_SIGN = "."

_NAME_END = re.compile(r"[-@#=<>]")
_OBJECT_NAME_END = re.compile(r"[-@#]")
_SEPARATORS = ("-", "@", "#")
_RANGE_SIGNS = ("=", "<", ">")


def is_valid_package_name(name: str) -> bool:
    """Tell whether a package may have this name: words joined by single dots.

    Ports: rez.utils.formatting.is_valid_package_name (rez 3.4.0). Cost is linear; rez's pattern takes twice as long for
    every further letter of a long name that is wrong at its end.
    """
    return _PACKAGE_NAME.fullmatch(name) is not None and name not in _RESERVED_NAMES


class VersionedObject:
    """A name and one version, as in 'foo-1.0'.

    Ports: rez.version.VersionedObject (rez 3.4.0).

    Parameters
    ----------
    text : str
        Name, then '-', '@' or '#' and a version. Without a version it is the empty one.

    Attributes
    ----------
    name : str
    version : Version
    sep : str
        The sign between them, for the text only.

    Raises
    ------
    VersionError
        What follows the sign is no version.
    """

    __slots__ = ("name", "sep", "version")

    name: str
    sep: str
    version: Version

    def __init__(self, text: str) -> None:
        end = _OBJECT_NAME_END.search(text)
        self.name = text[: end.start()] if end else text
        self.sep = end.group() if end else "-"
        self.version = Version(text[end.end() :] if end else "")

    @classmethod
    def construct(cls, name: str, version: Version | None = None) -> VersionedObject:
        """Make it from a name and a version; None stands for the empty version."""
        made = cls.__new__(cls)
        made.name = name
        made.sep = "-"
        made.version = Version() if version is None else version
        return made

    def as_exact_requirement(self) -> str:
        """Give the request for this version only: 'foo==1.0'."""
        return f"{self.name}=={self.version}" if self.version else self.name

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, VersionedObject):
            return NotImplemented
        return self.name == other.name and self.version == other.version

    def __hash__(self) -> int:
        return hash((self.name, self.version))

    def __str__(self) -> str:
        return f"{self.name}{self.sep}{self.version}" if self.version else self.name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class Requirement:
    """A name and the range of versions that is wanted ('foo-1'), refused ('!foo-1') or the only one allowed ('~foo-1').

    Ports: rez.version.Requirement (rez 3.4.0).

    Parameters
    ----------
    text : str
        A sign ('!', '~') or none, a name, and a range after '-', '@' or '#', or directly if it starts with '=<>'.
    invalid_bound_error : bool
        Raise for an impossible range such as '3+<2'.
    look : callable, optional
        Called now and then while a long range is read; it may raise to end that.

    Attributes
    ----------
    name : str
    range : VersionRange or None
        See the head of this module.
    conflict : bool
        The versions in `range` are refused. True for weak requirements too.
    weak : bool
    sep : str
        The sign before the range, for the text only.

    Raises
    ------
    VersionError
        The range cannot be read.
    """

    __slots__ = ("_text", "conflict", "name", "range", "sep", "weak")

    name: str
    range: VersionRange | None
    conflict: bool
    weak: bool
    sep: str
    _text: str | None

    def __init__(self, text: str, invalid_bound_error: bool = True, *, look: Look | None = None) -> None:
        self.conflict = text.startswith(("!", "~"))
        self.weak = text.startswith("~")
        rest = text[1:] if self.conflict else text
        name_end = _NAME_END.search(rest)
        at = name_end.start() if name_end else len(rest)
        self.name, range_text = rest[:at], rest[at:]
        self.sep = "-"
        if range_text.startswith(_SEPARATORS):
            self.sep, range_text = range_text[0], range_text[1:]
        range_ = VersionRange(range_text, invalid_bound_error, look=look)
        self.range = range_.inverse() if self.weak else range_
        self._text = None

    @staticmethod
    def _made(name: str, range_: VersionRange | None, conflict: bool, weak: bool, sep: str) -> Requirement:
        made = Requirement.__new__(Requirement)
        made.name = name
        made.range = range_
        made.conflict = conflict
        made.weak = weak
        made.sep = sep
        made._text = None
        return made

    @classmethod
    def construct(cls, name: str, range: VersionRange | None = None) -> Requirement:  # noqa: A002  (rez's name)
        """Make it from a name and a range; None stands for any version."""
        return Requirement._made(name, VersionRange() if range is None else range, False, False, "-")

    @property
    def ephemeral(self) -> bool:
        """Whether the name is that of no package ('.feat'). Merged requirements know it too, unlike rez's."""
        return self.name.startswith(_EPHEMERAL_SIGN)

    def merged(self, other: Requirement) -> Requirement | None:
        """Give the one requirement that means both, None if they contradict each other or have different names.

        Ports: rez.version.Requirement.merged (rez 3.4.0).
        """
        if self.name != other.name:
            return None
        if self.range is None:
            return other
        if other.range is None:
            return self
        if self.conflict and other.conflict:
            range_ = self.range | other.range
            return self.with_range(range_, weak=self.weak and other.weak and not range_.is_any())
        if self.conflict:
            return other._narrowed(other.range - self.range)
        if other.conflict:
            return self._narrowed(self.range - other.range)
        return self._narrowed(self.range & other.range)

    def _narrowed(self, range_: VersionRange | None) -> Requirement | None:
        return None if range_ is None else self.with_range(range_)

    def with_range(self, range_: VersionRange, weak: bool | None = None) -> Requirement:
        """Give the same requirement with another range, and as weak as it is or as `weak` says."""
        return Requirement._made(self.name, range_, self.conflict, self.weak if weak is None else weak, self.sep)

    def conflicts_with(self, other: Requirement | VersionedObject) -> bool:
        """Tell whether nothing can satisfy both, or whether a versioned object does not satisfy this one.

        Ports: rez.version.Requirement.conflicts_with (rez 3.4.0).
        """
        if self.name != other.name or self.range is None:
            return False
        if isinstance(other, VersionedObject):
            return self.range.contains_version(other.version) is self.conflict
        if other.range is None or (self.conflict and other.conflict):
            return False
        if self.conflict:
            return self.range.issuperset(other.range)
        if other.conflict:
            return other.range.issuperset(self.range)
        return not self.range.intersects(other.range)

    def safe_str(self) -> str:
        """Give a text that may be part of a file name; the same as `str`."""
        return str(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Requirement):
            return NotImplemented
        return (self.name, self.conflict, self.range) == (other.name, other.conflict, other.range)

    def __hash__(self) -> int:
        return hash((self.name, self.conflict, self.range))

    def __str__(self) -> str:
        if self._text is None:
            self._text = self._spelled()
        return self._text

    def _spelled(self) -> str:
        sign = "~" if self.weak else "!" if self.conflict else ""
        written = self.range.inverse() if self.weak and self.range is not None else self.range
        if written is None or written.is_any():
            return f"{sign}{self.name}"
        text = str(written)
        return f"{sign}{self.name}{'' if text.startswith(_RANGE_SIGNS) else self.sep}{text}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class PackageRequest(Requirement):
    """A requirement whose name a package, or an ephemeral ('.feat'), may have.

    Ports: rez.utils.formatting.PackageRequest (rez 3.4.0).

    Parameters
    ----------
    text : str
    look : callable, optional
        See `Requirement`.

    Raises
    ------
    VersionError
        The range cannot be read; this comes first.
    PackageRequestError
        The name is wrong. REZ-QUIRK: '!.feat' and '~.feat' are, since only a text that *starts* with the dot is taken
        for an ephemeral (test_ephemerals).
    """

    __slots__ = ()

    def __init__(self, text: str, *, look: Look | None = None) -> None:
        super().__init__(text, look=look)
        name = self.name[1:] if text.startswith(_EPHEMERAL_SIGN) else self.name
        if not is_valid_package_name(name):
            raise PackageRequestError(f"Not a valid package name: {name!r}")


class RequirementList:
    """Requirements merged so that each name appears once, in the order in which the names came first.

    Ports: rez.version.RequirementList (rez 3.4.0).

    Parameters
    ----------
    requirements : iterable of Requirement

    Attributes
    ----------
    requirements : list of Requirement
        The merged ones; empty if there is a conflict.
    conflict : tuple of two Requirement, or None
        What had been merged so far for a name, and the requirement that contradicts it. Merging ends there.
    names, conflict_names : set of str
        Names that are wanted, and names that are not.
    """

    __slots__ = ("_merged", "conflict", "conflict_names", "names", "requirements")
    __hash__ = None  # type: ignore[assignment]  # it holds lists

    def __init__(self, requirements: Iterable[Requirement]) -> None:
        found: dict[str, Requirement | Merging] = {}
        self.conflict = _merge(requirements, found)
        self._merged = {
            name: merged.requirement() if isinstance(merged, Merging) else merged for name, merged in found.items()
        }
        self.requirements = [] if self.conflict else list(self._merged.values())
        self.names = {requirement.name for requirement in self.requirements if not requirement.conflict}
        self.conflict_names = {requirement.name for requirement in self.requirements if requirement.conflict}

    def get(self, name: str) -> Requirement | None:
        """Give what was merged for a name, None if nothing was."""
        return self._merged.get(name)

    def __iter__(self) -> Iterator[Requirement]:
        return iter(self.requirements)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RequirementList):
            return NotImplemented
        return self.requirements == other.requirements and self.conflict == other.conflict

    def __str__(self) -> str:
        if self.conflict:
            return f"{self.conflict[0]} <--!--> {self.conflict[1]}"
        return " ".join(map(str, self.requirements))

    def __repr__(self) -> str:
        return f"RequirementList({str(self)!r})"


def _merge(
    requirements: Iterable[Requirement], found: dict[str, Requirement | Merging]
) -> tuple[Requirement, Requirement] | None:
    """Merge requirements into `found`, by name, up to the first that contradicts what is there."""
    for requirement in requirements:
        name = requirement.name
        known = found.get(name)
        if known is None:
            found[name] = requirement
            continue
        if not isinstance(known, Merging):
            known = found[name] = Merging(known)
        if not known.add(requirement):
            return known.requirement(), requirement
    return None


def as_requirement(given: Any, look: Look | None = None) -> Requirement:
    """Take whatever a user may hand in as a request.

    Parameters
    ----------
    given : str, Requirement, or a rez Requirement
        A text becomes a `PackageRequest`. An object of rez is known by its attributes, so rez need not be there; its
        name is not checked, as rez does not check it either, and its spelling is kept.
    look : callable, optional
        See `Requirement`.

    Raises
    ------
    TypeError
        It is none of these.
    VersionError, PackageRequestError
        The text is no request.
    """
    if isinstance(given, Requirement):
        return given
    if isinstance(given, str):
        return PackageRequest(given, look=look)
    if not all(hasattr(given, attribute) for attribute in ("name", "range", "conflict", "weak")):
        raise _no_request(given)
    name, range_, sep = given.name, given.range, getattr(given, "sep_", "-")
    conflict, weak = given.conflict, given.weak
    if not isinstance(name, str) or not isinstance(sep, str) or {type(conflict), type(weak)} != {bool}:
        raise _no_request(given)
    if range_ is None and not weak:  # only '~foo' has none
        raise _no_request(given)
    found = None if range_ is None else as_version_range(range_)
    return Requirement._made(str.__str__(name), found, conflict, weak, str.__str__(sep))


def _no_request(given: Any) -> TypeError:
    return TypeError(f"a request must be a text or a Requirement, not {type(given).__name__}: {shown(given)}")


def as_version_range(given: Any) -> VersionRange:
    """Take a range as text, as one of ours or as one of rez's; the last bound by bound, since its text may be shorter.

    Raises
    ------
    TypeError
        It is none of these.
    VersionError
        The text is no range.
    """
    if isinstance(given, VersionRange):
        return given
    if isinstance(given, str):
        return VersionRange(given)
    if not hasattr(given, "bounds"):
        raise TypeError(f"a version range must be a text or a VersionRange, not {type(given).__name__}: {shown(given)}")
    return VersionRange.from_bounds(map(_as_bound, given.bounds))


def _as_bound(given: Any) -> Bound:
    """Rebuild a bound of rez, an impossible one too: somebody asked rez for it."""
    lower = Cut(Version(str(given.lower.version)), not given.lower.inclusive) if given.lower_bounded() else BOTTOM
    upper = Cut(Version(str(given.upper.version)), given.upper.inclusive) if given.upper_bounded() else TOP
    return Bound(lower, upper, invalid_bound_error=False)
