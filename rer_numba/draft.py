"""What packages say, parsed and merged, as it grows package by package. Without numpy.

Here requirements are parsed, once for each distinct text, and merged for each variant as rez merges them. What a broken
package or variant raises is noted beside it, so that only a solve that touches it sees it. `rer_numba.link` makes
tables of many packages; `rer_numba.compose` puts some into tables that are there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from rer_numba.errors import PackageRequestError, VersionError
from rer_numba.numbered import PACKAGE_FACTS, Error, Numbered
from rer_numba.packages import BrokenValue, Merged, MergedPackage, PackageData
from rer_numba.requirements import PackageRequest, Requirement, RequirementList, is_valid_package_name
from rer_numba.schema import CONFLICT, CUT_INF, CUT_SHIFT, EXCLUSIVE_LOWER, NONE, WEAK
from rer_numba.uris import split_uri
from rer_numba.version_order import Version, version_key

if TYPE_CHECKING:
    from rer_numba.facts import Facts


class Source(NamedTuple):
    """Where a package was found, and what its definition file was like.

    Attributes
    ----------
    location : int
        Number of the path.
    inode, mtime, size, ctime : int
        Of the file, see `rer_numba.paths.states.FileState`.
    """

    location: int
    inode: int
    mtime: int
    size: int
    ctime: int = NONE


NOWHERE = Source(NONE, NONE, NONE, NONE)
"""Of a package that was handed in."""


@dataclass
class RequiresDraft:
    """`rer_numba.facts.Requires` as they grow.

    Attributes
    ----------
    errors, counts : list of int
        Of each variant: number of an error or NONE, and how many requirements it has.
    values : list of int
        Numbers of requirements of all variants.
    """

    errors: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    values: list[int] = field(default_factory=list)

    def add(self, found: list[int] | Error, error_number: Callable[[Error], int]) -> None:
        """Add what a variant requires, or what looking at it raises."""
        if isinstance(found, tuple):
            self.errors.append(error_number(found))
            self.counts.append(0)
        else:
            self.errors.append(NONE)
            self.counts.append(len(found))
            self.values += found


class PlainFacts(NamedTuple):
    """Facts as lists, see `rer_numba.facts.Facts`; a package is a tuple in the order of `PACKAGE_FACTS`."""

    names: list[str]
    version_keys: list[bytes]
    version_texts: list[str]
    texts: list[str]
    errors: list[Error]
    family_errors: dict[str, Error]
    requirement_text: list[str]
    requirement_name: list[int]
    requirement_flags: list[int]
    requirement_cuts: list[list[int]]
    packages: list[tuple[int, ...]]
    requires: RequiresDraft
    building: RequiresDraft


_SHARED_FACTS = (
    "names", "version_keys", "version_texts", "texts", "errors", "family_errors", "requirement_text",
)  # fmt: skip


class FactsDraft:
    """Facts as they grow, package by package."""

    def __init__(self) -> None:
        self._names: Numbered[str] = Numbered()
        self._versions: Numbered[bytes] = Numbered()
        self._spellings: list[str] = []
        self._texts: Numbered[str] = Numbered()
        self._errors: Numbered[Error] = Numbered()
        self._family_errors: dict[str, Error] = {}
        self._requirements = _Requirements()
        self._packages: list[tuple[int, ...]] = []
        self._plain = RequiresDraft()
        self._building = RequiresDraft()

    def __len__(self) -> int:
        return len(self._packages)

    def family_error(self, name: str, error: Error) -> None:
        """Note what listing a family raises; the first one counts."""
        self._family_errors.setdefault(name, error)

    def add(self, package: PackageData, given: int, source: Source = NOWHERE) -> None:
        """Add a package.

        Parameters
        ----------
        given : int
            Its place in the order in which rez lists the packages of its family.
        """
        if not is_valid_package_name(package.name):
            return  # nobody can ask for it: rez refuses the name before it looks for the package
        try:
            key = version_key(package.version)
        except VersionError as error:
            self.family_error(package.name, ("VersionError", str(error)))
            return
        if isinstance(package, MergedPackage):
            indexed, n_variants, broken = package.indexed, len(package.merged), None
            self._add_merged(package)
        else:
            own, broken = self._parse_all(package.found.variants, "variants")
            indexed = bool(own) and broken is None
            n_variants = len(own) if indexed else 1
            self._add_variants(package, own if indexed else [[]], indexed)
        released = package.found.timestamp
        refused = released if isinstance(released, BrokenValue) else None
        uri, tail = (None, None) if package.uri is None else split_uri(package.uri, package.name, package.version)
        self._packages.append(
            (
                self._names.add(package.name),
                self._version(key, package.version),
                self._texts.add(package.version),
                given,
                indexed,
                n_variants,
                NONE if uri is None else self._texts.add(uri),
                NONE if tail is None else self._texts.add(tail),
                0 if isinstance(released, BrokenValue) else _as_int64(int(released or 0)),
                self._error(refused),
                self._error(broken),
                *source,
            )
        )

    def _version(self, key: bytes, text: str) -> int:
        row = self._versions.add(key)
        if row == len(self._spellings):
            self._spellings.append(text)
        return row

    def _error(self, error: Error | None) -> int:
        return NONE if error is None else self._errors.add((error[0], error[1]))

    # --- requirements

    def _add_variants(self, package: PackageData, own: list[list[int]], indexed: bool) -> None:
        """Merge what the variants require.

        rez validates an attribute when it first reads it: `variants` as soon as the package comes into range, the
        others when a variant's requirements are looked at.
        """
        found = package.found
        (common,), error = self._parse_all([found.requires], "requires")
        (build,), build_error = self._parse_all([found.build_requires], "build_requires")
        for index, more in enumerate(own):
            name = _variant_name(package, index if indexed else None)
            plain = error or self._requirements.merge(common + more, name)
            building = plain
            if build or build_error:
                building = error or build_error or self._requirements.merge(common + more + build, name)
            self._plain.add(plain, self._error)
            self._building.add(building, self._error)

    def _add_merged(self, package: MergedPackage) -> None:
        """Take what the variants require as it was merged before."""
        for plain, building in package.merged:
            self._plain.add(self._numbers(plain), self._error)
            self._building.add(self._numbers(building), self._error)

    def _numbers(self, merged: Merged) -> list[int] | Error:
        return merged if isinstance(merged, tuple) else [self._requirements.add(one) for one in merged]

    def _parse_all(
        self, lists: Sequence[Sequence[str] | BrokenValue] | BrokenValue, attribute: str
    ) -> tuple[list[list[int]], Error | None]:
        """Requirement numbers of each list, or no numbers and the error that reading the attribute raises."""
        if isinstance(lists, BrokenValue):
            return [], lists
        parsed = []
        for texts in lists:
            if isinstance(texts, BrokenValue):
                return [[] for _ in lists], texts
            try:
                parsed.append([self._requirements.parse(text) for text in texts])
            except (VersionError, PackageRequestError):
                return [[] for _ in lists], ("PackageMetadataError", _validation_text(attribute, list(texts)))
        return parsed, None

    # --- the end

    def plain(self) -> PlainFacts:
        """What was added, as lists. Those that grow are shared: use them before the next package is added."""
        items = self._requirements.items
        names = [self._names.add(item.name) for item in items]
        cuts = [self._cuts(item) for item in items]
        return PlainFacts(
            names=list(self._names),
            version_keys=list(self._versions),
            version_texts=self._spellings,
            texts=list(self._texts),
            errors=list(self._errors),
            family_errors=self._family_errors,
            requirement_text=self._requirements.texts,
            requirement_name=names,
            requirement_flags=[_flags(item) for item in items],
            requirement_cuts=cuts,
            packages=self._packages,
            requires=self._plain,
            building=self._plain if self._building == self._plain else self._building,
        )

    def facts(self) -> Facts:
        """What was added, for `rer_numba.link`."""
        import numpy as np

        from rer_numba.facts import Facts, Requires, offsets_of

        def as_requires(found: RequiresDraft) -> Requires:
            return Requires(
                np.array(found.errors, np.int64), offsets_of(found.counts), np.array(found.values, np.int64)
            )

        plain = self.plain()
        columns = np.array(plain.packages, np.int64).reshape(-1, len(PACKAGE_FACTS)).T
        requires = as_requires(plain.requires)
        return Facts(
            **{name: getattr(plain, name) for name in _SHARED_FACTS},
            requirement_name=np.array(plain.requirement_name, np.int64),
            requirement_flags=np.array(plain.requirement_flags, np.int64),
            requirement_cut_offsets=offsets_of(map(len, plain.requirement_cuts)),
            requirement_cut=np.array([cut for cuts in plain.requirement_cuts for cut in cuts], np.int64),
            packages=dict(zip(PACKAGE_FACTS, columns, strict=True)),
            requires=requires,
            building=requires if plain.building is plain.requires else as_requires(plain.building),
        )

    def _cuts(self, item: Requirement) -> list[int]:
        """The cuts of a requirement's range, with numbers of versions in the place of ranks."""
        cuts = []
        for bound in item.range.bounds if item.range is not None else ():
            lower, upper = bound.lower_version, bound.upper_version
            cuts.append((self._version(lower.key, lower.text) << CUT_SHIFT) + (not bound.lower_inclusive))
            if upper is Version.inf:
                cuts.append(CUT_INF)
            else:
                cuts.append((self._version(upper.key, upper.text) << CUT_SHIFT) + bound.upper_inclusive)
        return cuts


class _Requirements:
    """All distinct requirements, numbered by their canonical text."""

    def __init__(self) -> None:
        self.items: list[Requirement] = []
        self.texts: list[str] = []
        self._by_given: dict[str, int] = {}
        self._by_text: dict[str, int] = {}

    def parse(self, given: str) -> int:
        """The number of a requirement as written in a package."""
        found = self._by_given.get(given)
        if found is None:
            found = self._by_given[given] = self.add(PackageRequest(given))
        return found

    def add(self, requirement: Requirement) -> int:
        """The number of a requirement."""
        text = _text(requirement)
        found = self._by_text.get(text)
        if found is None:
            found = self._by_text[text] = len(self.items)
            self.items.append(requirement)
            self.texts.append(text)
        return found

    def merge(self, ids: list[int], variant: str) -> list[int] | Error:
        """Merge requirements on the same family. A variant that contradicts itself gives the error rez raises."""
        if len({self.items[i].name for i in ids}) == len(ids):
            return ids
        try:
            merged = RequirementList([self.items[i] for i in ids])
        except VersionError as error:  # a range that touches itself has no inverse in rez
            return "VersionError", str(error)
        if merged.conflict:
            return "ResolveError", f"The package {variant} has an internal requirements conflict: {merged}"
        return [self.add(requirement) for requirement in merged]


def _as_int64(number: int) -> int:
    """The nearest number that fits: nothing is released later than the last one."""
    return max(-(1 << 63) + 1, min(number, (1 << 63) - 1))


def _text(requirement: Requirement) -> str:
    """The text of a requirement. rez has none for a weak one whose range touches itself: then that of the conflict."""
    try:
        return str(requirement)
    except VersionError:
        return f"!{requirement.name}-{requirement.range}"


def _flags(item: Requirement) -> int:
    flags = (CONFLICT if item.conflict else 0) | (WEAK if item.weak else 0)
    if item.range and any(not bound.lower_inclusive for bound in item.range.bounds):
        flags |= EXCLUSIVE_LOWER
    return flags


def _validation_text(attribute: str, texts: list[str]) -> str:
    """What rez's schema says of a list that holds a bad requirement."""
    item = "And(<class 'str'>, Use(<class 'rez.utils.formatting.PackageRequest'>))"
    wanted = f"[{item}]" if attribute == "variants" else f"<class 'rez.utils.sourcecode.SourceCode'>, [{item}]"
    for text in texts:
        try:
            PackageRequest(text)
        except (VersionError, PackageRequestError) as error:
            return (
                f"Validation of key '{attribute}' failed: Or({wanted}) did not validate {texts!r}\n"
                f"Or({item}) did not validate {text!r}\nPackageRequest({text!r}) raised {error!r}"
            )
    raise AssertionError("a list of good requirements does not fail")


def _variant_name(package: PackageData, index: int | None) -> str:
    version = f"-{package.version}" if package.version else ""
    return f"{package.name}{version}[{'' if index is None else index}]"
