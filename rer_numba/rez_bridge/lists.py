"""rez's own requirements, variants, slices and scopes, made from the rows of tables.

What the objects say comes from the tables, so no package file is read: a `TableVariant` asks for its `rez.packages`
variant only when somebody wants more than its name, version, index and requirements. Requirements and versions do not
depend on a solve; they are made once for a `Reader` and shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from rez.packages import Variant
from rez.solver import PackageVariant, _PackageEntry, _PackageScope, _PackageVariantSlice
from rez.version import Requirement, RequirementList, Version, VersionRange
from rez.version._version import _Bound, _LowerBound, _UpperBound

from rer_numba.forking import cached_property
from rer_numba.reader import Reader
from rer_numba.requests import REMEMBERED
from rer_numba.rez_bridge.raised import exception_of
from rer_numba.schema import NONE
from rer_numba.version_order import Version as OurVersion
from rer_numba.versions import VersionRange as OurRange

if TYPE_CHECKING:
    from rer_numba.snapshot import _View

VariantOf = Callable[[int], Variant]
"""Gives rez's own variant for a row of `variant_package`; called late, and only when somebody needs it."""


_ROWS = "_rows_of_rez"
"""Attribute of a view. No dictionary beside it: its values would hold their keys, and a mapped file with them."""


class Rows:
    """rez's objects for rows of one set of tables. Each is made once; nobody may change them.

    Parameters
    ----------
    reader : Reader
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._requirements: dict[int, Requirement] = {}
        self._extracted: dict[tuple[int, ...], Requirement] = {}
        self._versions: dict[int, Version] = {}
        self._lists: dict[int, RequirementList] = {}
        self._exact: dict[int, ExactRequest] = {}

    @classmethod
    def of(cls, view: _View) -> Rows:
        """Those of one view of a snapshot; they live as long as it does, and refer to its reader only."""
        kept = vars(view)
        found: Rows | None = kept.get(_ROWS)
        if found is None:
            found = kept[_ROWS] = cls(view.reader)
        return found

    def version(self, package: int) -> Version:
        """The version as the package spells it."""
        found = self._versions.get(package)
        if found is None:
            found = _keep(self._versions, package, Version(self._reader.package_version(package)))
        return found

    def versions_request(self, name: str, packages: list[int]) -> Requirement:
        """The request of a slice with these packages, newest first: exactly their versions."""
        if len(packages) > 1:
            versions = [self.version(package) for package in reversed(packages)]
            return Requirement.construct(name, VersionRange.from_versions(versions))
        found = self._exact.get(packages[0])
        if found is None:
            found = _keep(self._exact, packages[0], ExactRequest(name, self.version(packages[0]), packages[0]))
        return found

    def requirement(self, row: int) -> Requirement:
        """A requirement of a variant."""
        found = self._requirements.get(row)
        if found is None:
            found = _keep(self._requirements, row, TableRequirement(self._reader, row))
        return found

    def extracted(self, rows: tuple[int, ...]) -> Requirement:
        """What rez extracts from variants that have these requirements on one family: the union of their ranges."""
        first, *others = (self.requirement(row) for row in rows)
        if not others and _is_plain(first):
            return first
        found = self._extracted.get(rows)
        if found is None:
            union = first.range.union([other.range for other in others])
            found = _keep(self._extracted, rows, Requirement.construct(first.name, union))
        return found

    def requires_list(self, variant: int) -> RequirementList:
        """The requirements of a variant, merged when the tables were made.

        Raises
        ------
        Exception
            What rez raises when it looks at them: they conflict with each other, or cannot be read.
        NotNativeError
            Only rez can tell: they are a late function, or are not read yet.
        """
        found = self._lists.get(variant)
        if found is None:
            error = self._reader.variant_error(variant)
            if error != NONE:
                raise exception_of(*self._reader.error(error))
            rows = self._reader.variant_requirement_ids(variant)
            found = _keep(self._lists, variant, _merged_list([self.requirement(row) for row in rows]))
        return found

    def required(self, variant: int, name: str) -> Requirement:
        """What a variant requires of a family that it does require something of."""
        found = self.requires_list(variant).get(name)
        assert found is not None
        return found


_K = TypeVar("_K")
_V = TypeVar("_V")


class ExactRequest(Requirement):
    """The request of a slice of one package: exactly its version."""

    def __init__(self, name: str, version: Version, package: int) -> None:
        super().__init__(None)
        self.name_ = name
        self.range_ = VersionRange.from_versions([version])
        self.package = package


class TableRequirement(Requirement):
    """A requirement of a variant. Its range is parsed when somebody reads it, which graphs hardly ever do.

    That halved what the first graph of a process costs: 16 ms before, 8.5 ms after, median of rez's 188 benchmark
    requests, CPU time (2026-11).
    """

    def __init__(self, reader: Reader, row: int) -> None:
        # not rez's __init__, which parses
        text = reader.requirement_text(row)
        self._reader = reader
        self.row = row
        self.negate_ = text.startswith("~")
        self.conflict_ = self.negate_ or text.startswith("!")
        bare = text[1:] if self.conflict_ else text
        separator = self.sep_regex.search(bare)
        self.name_ = bare[: separator.start()] if separator else bare
        self.sep_ = separator.group() if separator and separator.group() in "-@#" else "-"
        self._text = text
        vars(self)["_str"] = text  # which rez would write from the range

    @cached_property
    def range_(self) -> VersionRange | None:  # rez sets it; here nobody does
        """The range, now that somebody wants it."""
        found = Requirement(self._text)
        if str(found) == self._text:
            return found.range
        # a merged range can hold intervals that touch, which reading its text again joins
        return rez_range(self._reader.requirement(self.row).range)

    def conflicts_with(self, other: Any) -> bool:
        """Whether both cannot hold. Of the version of one package, the tables know."""
        if isinstance(other, ExactRequest) and other.name_ == self.name_:
            return self._refuses(other.package)
        return bool(super().conflicts_with(other))

    def _refuses(self, package: int) -> bool:
        """Whether the version of a package of its family conflicts with it."""
        tables = self._reader._tables
        if tables.requirement_range[self.row] == NONE:
            return False
        family = tables.requirement_family[self.row]
        bit = tables.package_variant_offsets[package] - tables.family_variant_offsets[family]
        word = (bit >> 6) - tables.requirement_first_word[self.row]
        start, end = tables.requirement_mask_offsets[self.row : self.row + 2]
        return not (0 <= word < end - start and tables.requirement_mask[start + word] >> (bit & 63) & 1)


def _is_plain(requirement: Requirement) -> bool:
    """True when uniting its range with nothing and writing it again changes nothing."""
    return requirement.sep_ == "-" and "|" not in str(requirement)


def _keep(remembered: dict[_K, _V], key: _K, value: _V) -> _V:
    if len(remembered) >= REMEMBERED:
        remembered.clear()
    remembered[key] = value
    return value


def _merged_list(requirements: list[Requirement]) -> RequirementList:
    """A list of requirements on different families, which need no merging."""
    made = RequirementList(())
    made.requirements_ = requirements
    made.requirements_dict = {one.name: one for one in requirements}
    made.names_ = {one.name for one in requirements if not one.conflict}
    made.conflict_names_ = {one.name for one in requirements if one.conflict}
    return made


def rez_range(given: OurRange | None) -> VersionRange | None:
    """The same range as an object of rez, interval by interval."""
    if given is None:
        return None
    made = VersionRange(None)
    made.bounds = [
        _Bound(
            _LowerBound(Version(str(bound.lower_version)), bound.lower_inclusive),
            _UpperBound(_upper(bound.upper_version), bound.upper_inclusive),
            invalid_bound_error=False,
        )
        for bound in given.bounds
    ]
    return made


def _upper(version: OurVersion) -> Version:
    return cast(Version, Version.inf) if version is OurVersion.inf else Version(str(version))


class TableVariant(PackageVariant):
    """rez's PackageVariant for a row of `variant_package`, which reads no file.

    Parameters
    ----------
    rows : Rows
    row : int
    name : str
    variant_of : callable
        Gives rez's variant when somebody asks for `variant` or `handle`.
    building : bool
    """

    def __init__(self, rows: Rows, row: int, name: str, variant_of: VariantOf, building: bool) -> None:
        # not rez's __init__, which wants the variant
        self.building = building
        self.row = row
        self._rows = rows
        self._name = name
        self._variant_of = variant_of

    def __repr__(self) -> str:
        return f"{PackageVariant.__name__}({self})"

    @cached_property
    def variant(self) -> Variant:  # rez sets it; here nobody does
        """rez's own variant, fetched now."""
        return self._variant_of(self.row)

    @property
    def name(self) -> str:
        """Name of the family."""
        return self._name

    @cached_property
    def version(self) -> Version:
        """The version as the package spells it."""
        return self._rows.version(self._rows._reader.variant_package(self.row))

    @cached_property
    def index(self) -> int | None:
        """None when the package has no variants."""
        return self._rows._reader.variant_index(self.row)

    @cached_property
    def requires_list(self) -> RequirementList:
        """What it requires, from the tables."""
        return self._rows.requires_list(self.row)


class TableSlice(_PackageVariantSlice):
    """A slice that knows whether something can still be extracted from it.

    rez knows the families that were extracted. A slice that was looked at for extractions has none left, and one that
    is new has all of those that its variants have in common: `extractable` is all that is left of the difference.
    """

    def __init__(
        self, name: str, entries: list[_PackageEntry], solver: Any, extractable: bool, broken: TableVariant | None
    ) -> None:
        super().__init__(name, entries, solver)
        self._extractable = extractable
        self._broken = broken

    def __repr__(self) -> str:
        return f"{_PackageVariantSlice.__name__}({self})"

    @property
    def extractable(self) -> bool:
        """True if there are possible remaining extractions.

        Raises
        ------
        Exception
            The slice was not looked at in the solve, and holds a variant whose requirements rez cannot read, or which
            conflict with each other.
        """
        if self._broken is not None:
            self._broken.requires_list  # noqa: B018 - rez raises when it reads this
        return self._extractable


class TablePackage:
    """What a `rez.solver._PackageEntry` asks of a package: name and version."""

    def __init__(self, name: str, version: Version) -> None:
        self.name = name
        self.version = version


def make_entry(variants: Sequence[TableVariant], solver: Any) -> _PackageEntry:
    """The variants of one package, best first or not. Nothing is sorted here, and rez has no need to."""
    first = variants[0]
    package: Any = TablePackage(first.name, first.version)
    entry = _PackageEntry(package, list(variants), solver)
    entry.sorted = len(variants) == 1
    return entry


def make_scope(name: str, request: Requirement, slice_: TableSlice | None, solver: Any) -> _PackageScope:
    """A scope as it stands, without looking anything up."""
    scope: _PackageScope = _PackageScope.__new__(_PackageScope)
    scope.package_name = name
    scope.solver = solver
    scope.variant_slice = slice_
    scope.pr = solver.pr
    scope.is_ephemeral = name.startswith(".")
    scope.package_request = request
    return scope


def merged(requirements: Iterable[Requirement]) -> Requirement:
    """Requirements on one family that do not conflict, merged in their order as rez does it."""
    found: Requirement | None = None
    for one in requirements:
        found = one if found is None else found.merged(one)
    assert found is not None
    return found
