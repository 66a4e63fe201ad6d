"""Solving from a function that loads families, asked for what a solve comes to, and remembered between solves.

A solve runs on what is known. Then every family that it touched is asked for, once, as a solve that knew nothing would
have asked for it: if the function says what it said before, the answer stands, and nothing was encoded. A family that
is new is encoded with the others, and the solve runs again. Which families these will be is guessed beforehand
(`rer_numba.reach`), so that a solve takes few such rounds.

Invariants
----------
- An answer depends only on the families that the solve touched, and each of them was asked for in this very call, or
  handed in with it. So it does not matter who asked before, or with which function.
- `Families` belong to one solve at a time.
- Of a function that takes a ``version_range``, a family is known within a range; what a solve could look up lies in the
  ranges that the request and the packages which it touched ask for (`_Needs`). If that is more than is known, the
  family is asked for again, with both ranges together.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from rer_numba.errors import VersionError, text_of
from rer_numba.options import SolveOptions
from rer_numba.packages import PackageData
from rer_numba.partial import Listed, Listing, Partial, Read
from rer_numba.reach import Reach, requires_of
from rer_numba.requirements import Requirement, RequirementList, is_valid_package_name
from rer_numba.results import SolveResult
from rer_numba.snapshot import Snapshot
from rer_numba.stepping import Limits
from rer_numba.touched import Known
from rer_numba.version_order import Version, version_key
from rer_numba.versions import VersionRange

LoadFamily = Callable[..., Iterable[PackageData]]

_PLACE = "<packages>"
_MOST_LISTINGS = 64
"""How often a family is asked for again before everything is forgotten."""
_REMEMBERED = 4
_ANY = VersionRange()

_idle: list[Families] = []
"""The latest ones first. Lists are safe between threads; who takes one out has it for themselves."""


class LoaderError(Exception):
    """The function raised, or gave what cannot be used. The text says what."""


class _ChangedError(Exception):
    """The function says something else than it did, or is another one."""


class Loader:
    """A function that loads families, for one solve, in which it is asked for everything once.

    Parameters
    ----------
    function : callable
        ``function(name)``, or ``function(name, version_range=...)``.
    given : dict
        Packages of the families that it is not asked for.
    look : callable, optional
        Called before each family; raises when the time of the solve is up.

    Attributes
    ----------
    is_hinted : bool
        It is asked for families within ranges. May be set to False; None is what it gets then.
    """

    def __init__(
        self, function: LoadFamily, given: dict[str, list[PackageData]], look: Callable[[], None] | None = None
    ) -> None:
        self.function = function
        self._look = look
        self._given = given
        self._takes_range = _takes_range(function)
        self.is_hinted = self._takes_range
        self._answers: dict[tuple[str, str], list[PackageData]] = {}

    def was_asked_by(self, families: Families) -> bool:
        """Tell whether some families come from the same function; two methods of one object may be equal only."""
        known = families.function
        return known is self.function or (inspect.ismethod(known) and known == self.function)

    def load(self, name: str, range_: VersionRange) -> list[PackageData]:
        """The packages of a family that lie in a range, or more of them.

        Raises
        ------
        LoaderError
        TimeIsUpError
        """
        if self._look is not None:
            self._look()
        if name in self._given:
            return self._given[name]
        key = name, str(range_)
        found = self._answers.get(key)
        if found is None:
            found = self._answers[key] = self._load(*key)
        return found

    def _load(self, name: str, range_text: str) -> list[PackageData]:
        try:
            arguments = {"version_range": range_text or None} if self._takes_range else {}
            found = [package for package in self.function(name, **arguments) if package.name == name]
        except Exception as error:
            raise LoaderError(f"load_family({name!r}) raised {type(error).__name__}: {text_of(error)}") from error
        return found


def _require_sound(name: str, packages: list[PackageData]) -> None:
    """Raise LoaderError for packages that cannot be encoded as they are."""
    problem = next((one for one in packages if not isinstance(one, PackageData)), None)
    if problem is not None:
        raise LoaderError(f"load_family({name!r}) gave {type(problem).__name__}, not PackageData")
    twice = duplicate(packages)
    if twice is not None:
        raise LoaderError(f"load_family({name!r}) gave version {twice.version!r} twice")


def _takes_range(function: LoadFamily) -> bool:
    try:
        return "version_range" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # a builtin without a signature
        return False


def duplicate(packages: Iterable[PackageData]) -> PackageData | None:
    """The first package whose name and version, as spelled, an earlier one has."""
    seen: set[tuple[str, str]] = set()
    for package in packages:
        key = package.name, package.version
        if key in seen:
            return package
        seen.add(key)
    return None


def solve(loader: Loader, request: RequirementList, options: SolveOptions, limits: Limits | None) -> SolveResult:
    """Solve a merged request that is not in conflict with itself.

    Parameters
    ----------
    loader : Loader
        New for this solve.
    request : RequirementList
    options : SolveOptions
        Checked ones.
    limits : Limits or None

    Raises
    ------
    LoaderError
    TimeIsUpError
    """
    if options.building or options.package_orderers is not None:
        loader.is_hinted = False  # what is looked at then is not said by what packages require
    families = _take(loader, request) or Families()
    while True:
        try:
            result = families.solve(loader, request, options, limits)
        except _ChangedError:
            if families.is_new:  # it contradicts itself
                loader.is_hinted = False
            families = Families()
            continue
        families.is_new = False
        _idle.insert(0, families)
        del _idle[_REMEMBERED:]
        return result


def _take(loader: Loader, request: RequirementList) -> Families | None:
    """What is known from the same function, or else from one that says the same of the request."""
    known = list(_idle)
    for families in (*filter(loader.was_asked_by, known), *known):
        if loader.was_asked_by(families) or families.fit(loader, request):
            try:
                _idle.remove(families)
            except ValueError:  # another thread was faster
                continue
            return families
    return None


class _Family(NamedTuple):
    """What the function gave.

    Attributes
    ----------
    packages : list of PackageData
    range : VersionRange
        Of which these are all.
    """

    packages: list[PackageData]
    range: VersionRange


class Families:
    """What functions have given so far, encoded. It finds families and reads them for `Partial`."""

    def __init__(self) -> None:
        self._partial = Partial(self, [_PLACE] * _MOST_LISTINGS)
        self._reach = _HintedReach(self._partial, self)
        self._families: dict[str, _Family] = {}
        self._needs = _Needs()
        self._path = _MOST_LISTINGS - 1
        self._progress = -1
        self._snapshot: Snapshot | None = None
        self.known = Known()
        self.function: LoadFamily | None = None
        self.is_new = True

    def fit(self, loader: Loader, request: RequirementList) -> bool:
        """Tell whether all families of a request are known, and are what a function says."""
        names = [one.name for one in request if is_valid_package_name(one.name)]
        families = [(name, self._families.get(name)) for name in names]
        return all(one is not None and loader.load(name, one.range) == one.packages for name, one in families)

    def solve(
        self, loader: Loader, request: RequirementList, options: SolveOptions, limits: Limits | None
    ) -> SolveResult:
        """Solve; raises `_ChangedError` when something that was touched is not what it was, and `LoaderError`."""
        self._loader, self.function = loader, loader.function
        self._checked: set[str] = set()
        self.known = Known()  # what was touched in this call
        self._needs.add(request)
        self._request: Iterable[Requirement] | None = request  # until a guess has begun with it
        if self._snapshot is None:
            self._guess({})
        while True:
            result, missing = self._linked().solve(request, options, (_PLACE,), limits)
            if missing is None:
                return result

    def _guess(self, touched: dict[str, list[str]]) -> None:
        """List what the solve will probably come to, which takes longer than most solves: only when something lacks."""
        if self._request is not None:
            self._reach.begin(self._request)
            self._request = None
        if touched:
            self._reach.go_on(touched)

    def _linked(self) -> Snapshot:
        """Tables of everything so far."""
        if self._snapshot is None or self._progress != self._partial.progress:
            for name, listing in self._partial.listings.items():
                self._partial.read(name, range(len(listing.packages)))
            self._snapshot = Snapshot(self._partial.tables(), self)
            self._progress = self._partial.progress
        return self._snapshot

    # --- as a guard of the tables

    def stale_path(self, families: Iterable[str], packages: Iterable[int]) -> str | None:
        """Ask for what a solve touched; the name of a family that it has to be solved again with, or None."""
        names = [name for name in families if is_valid_package_name(name)]
        new = [name for name in names if not self._is_as_before(name)]
        if new or self._loader.is_hinted:
            self._note_needs(packages)
            new += [name for name in names if name not in new and not self._is_enough(name)]
        for name in new:
            self.want(name, self._needs.range(name))
            self._partial.find(name)
        if not new:
            return None
        self._guess({name: self._versions_needed(name) for name in new})
        return new[0]

    def _is_as_before(self, name: str) -> bool:
        """Tell whether a family is known, and ask whether it still is what is known; raises `_ChangedError` if not."""
        family = self._families.get(name)
        if family is None:
            return False
        if name not in self._checked:
            if self._loader.load(name, family.range) != family.packages:
                raise _ChangedError
            self._checked.add(name)
        return True

    def _is_enough(self, name: str) -> bool:
        return self._families[name].range.issuperset(self._needs.range(name))

    def _note_needs(self, packages: Iterable[int]) -> None:
        assert self._snapshot is not None
        reader = self._snapshot.view(building=False).reader
        for package in packages:
            name, version = reader.package_family_name(package), reader.package_version(package)
            listed = self._partial.listed(name, version)
            if listed is not None:
                self._needs.add_package(listed.resource)

    def _versions_needed(self, name: str) -> list[str]:
        range_ = self._needs.range(name)
        return [package.version for package in self._families[name].packages if _lies_in(package, range_)]

    # --- loading

    def want(self, name: str, range_: VersionRange) -> None:
        """Know a family within a range, and within what was known of it. It is listed anew if that is more."""
        family = self._families.get(name)
        if family is not None:
            if family.range.issuperset(range_):
                return
            united = range_ | family.range
            range_ = united if united.issuperset(range_) else _ANY
        if not self._loader.is_hinted:
            range_ = _ANY
        packages = self._loader.load(name, range_)
        if not packages and not range_.is_any():  # no package in the range, or none at all?
            range_ = _ANY
            packages = self._loader.load(name, range_)
        _require_sound(name, packages)
        if family is not None:
            self._list_again(name, family.packages, packages)
        self._families[name] = _Family(packages, range_)
        self._checked.add(name)

    def _list_again(self, name: str, before: list[PackageData], now: list[PackageData]) -> None:
        """What is listed next counts more than what was listed before: it lies on an earlier path."""
        if name not in self._partial.listings:
            return
        found = {package.version: package for package in now}
        if self._path == 0 or any(found.get(package.version) != package for package in before):
            raise _ChangedError
        self._path -= 1
        self._partial.forget(name)
        self._reach.forget(name)

    def find(self, name: str, more: Collection[int] = ()) -> Listing:  # noqa: ARG002 - as `Finder` has it
        """List a family, see `rer_numba.partial.Finder`."""
        if name not in self._families:
            self.want(name, self._needs.range(name))
        packages = self._families[name].packages
        try:
            for package in packages:
                version_key(package.version)
        except VersionError as error:
            return Listing([], ("VersionError", str(error)), self._path)
        return Listing([Listed(one.version, self._path, place, one) for place, one in enumerate(packages)])

    def read(self, name: str, listed: Listed, *, ahead: bool = False) -> Read:  # noqa: ARG002 - as `Finder` has it
        """Read a package, see `rer_numba.partial.Finder`."""
        return Read(listed.resource)


def _lies_in(package: PackageData, range_: VersionRange) -> bool:
    try:
        return range_.contains_version(Version(package.version))
    except VersionError:
        return False


class _Needs:
    """The versions of each family that solves may look up: those in the ranges that somebody asks for."""

    def __init__(self) -> None:
        self._ranges: dict[str, VersionRange] = {}
        self._texts: set[str] = set()
        self._packages: set[int] = set()
        self._kept: list[PackageData] = []

    def add(self, requirements: Iterable[Requirement]) -> None:
        """Note what some requirements ask for."""
        for one in requirements:
            if one.conflict or one.range is None or str(one) in self._texts:
                continue
            self._texts.add(str(one))
            known = self._ranges.get(one.name)
            self._ranges[one.name] = one.range if known is None else known | one.range

    def add_package(self, package: PackageData) -> None:
        """Note what all variants of a package ask for."""
        if id(package) in self._packages:
            return
        self._packages.add(id(package))
        self._kept.append(package)  # so that no other object gets its id
        for variant in requires_of(package):
            for requirements in variant.values():
                self.add(requirements)

    def range(self, name: str) -> VersionRange:
        """What is asked for of a family; any version when nobody asks."""
        return self._ranges.get(name, _ANY)


class _HintedReach(Reach):
    """A guess that says in which range it looks at a family, before it lists it."""

    def __init__(self, partial: Partial, families: Families) -> None:
        super().__init__(partial)
        self._wanted = families

    def begin(self, request: Iterable[Requirement]) -> bool:
        """Guess what a solve of a request will look at, and list it."""
        request = list(request)
        for one in request:
            if not one.conflict and one.range is not None and is_valid_package_name(one.name):
                self._wanted.want(one.name, one.range)
        return super().begin(request)

    def _all_require(self, variants: list[dict[str, list[Requirement]]]) -> dict[str, int]:
        for name in variants[0] if variants else ():
            if all(name in variant for variant in variants):
                self._wanted.want(name, _united(one for variant in variants for one in variant[name]))
        return super()._all_require(variants)

    def forget(self, name: str) -> None:
        """Forget a family that is listed anew."""
        self._families.pop(name, None)
        self._required = {key: found for key, found in self._required.items() if key[0] != name and name not in found}
        self._slices.pop(name, None)


def _united(requirements: Iterable[Requirement]) -> VersionRange:
    ranges: Sequence[VersionRange] = [one.range for one in requirements if one.range is not None]
    return ranges[0].union(ranges[1:]) if ranges else _ANY
