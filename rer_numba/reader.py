"""Names for ids: reads the tables of a repository for people."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from rer_numba import schema
from rer_numba.errors import PackageRequestError, RepositoryCorruptError, VersionError
from rer_numba.requests import REMEMBERED, Lookup
from rer_numba.requirements import Requirement
from rer_numba.schema import CONFLICT, CUT_INF, CUT_SHIFT, NONE, Tables
from rer_numba.uris import join_uri
from rer_numba.version_order import Bound, Cut, Version
from rer_numba.versions import VersionRange
from rer_numba.views import Views, family_of_package


class Reader(Lookup):
    """A `Lookup` that also reads what variants require, from one of the two sets of requirements.

    Numbers are rows: `variant` of `variant_package`, `package` of `package_version_rank`, and so on.
    """

    def __init__(self, tables: Tables | Views, building: bool = False) -> None:
        super().__init__(tables)
        prefix = schema.BUILDING if building and len(self._tables.building_variant_requirement_offsets) else ""
        self.variant_requirement_offsets: memoryview[int] = getattr(
            self._tables, prefix + "variant_requirement_offsets"
        )
        self.variant_requirement: memoryview[int] = getattr(self._tables, prefix + "variant_requirement")
        self._variant_error: memoryview[int] = getattr(self._tables, prefix + "variant_error")
        self.requirement = lru_cache(maxsize=REMEMBERED)(self._requirement)
        self.requirement_text = lru_cache(maxsize=REMEMBERED)(self._requirement_text)
        self._variant_names: dict[int, tuple[str, str, int | None]] = {}
        self._variant_details: dict[int, tuple[tuple[str, ...], str]] = {}

    # --- packages and variants

    def variant_name(self, variant: int) -> tuple[str, str, int | None]:
        """(family, version, index) of a variant. Remembered: results name the same variants again and again."""
        found = self._variant_names.get(variant)
        if found is None:
            self._tables.require_whole()
            if len(self._variant_names) >= REMEMBERED:
                self._variant_names.clear()
            package = self.variant_package(variant)
            found = self._variant_names[variant] = (
                self.package_family_name(package),
                self.package_version(package),
                self.variant_index(variant),
            )
        return found

    def variant_details(self, variant: int) -> tuple[tuple[str, ...], str]:
        """(texts of what it requires, uri) of a variant, remembered."""
        found = self._variant_details.get(variant)
        if found is None:
            self._tables.require_whole()
            if len(self._variant_details) >= REMEMBERED:
                self._variant_details.clear()
            name, _, index = self.variant_name(variant)
            requires = tuple([self.requirement_text(row) for row in self.variant_requirement_ids(variant)])
            uri = f"{self.package_uri(self.variant_package(variant), name)}[{'' if index is None else index}]"
            found = self._variant_details[variant] = (requires, uri)
        return found

    def variant_package(self, variant: int) -> int:
        """The package of a variant."""
        return self._tables.variant_package[variant]

    def variant_index(self, variant: int) -> int | None:
        """The index of a variant; None when the package has no variants."""
        package = self._tables.variant_package[variant]
        if not self._tables.package_indexed[package]:
            return None
        return variant - self._tables.package_variant_offsets[package]

    def package_family_name(self, package: int) -> str:
        """The name of a package's family."""
        return self.family_name(family_of_package(self._tables, package))

    def package_version(self, package: int) -> str:
        """The version as the package spells it."""
        return self.text(self._tables.package_version_text[package])

    def version_of(self, package: int) -> Version:
        """The version of a package. Raises RepositoryCorruptError as `as_version`."""
        return self.as_version(self.package_version(package))

    def as_version(self, text: str) -> Version:
        """Read a text that the tables give for a version.

        Raises
        ------
        RepositoryCorruptError
            It is none: somebody has forged the file.
        """
        try:
            return Version(text)
        except VersionError as error:
            raise self._forged(error) from None

    def _forged(self, error: object) -> RepositoryCorruptError:
        path = self._tables.file or "<repository>"
        return RepositoryCorruptError(path, f"is damaged: {error}", "encode it again with `rer-numba encode`")

    def package_uri(self, package: int, name: str) -> str:
        """The uri it was handed in with, or one made of its name and version."""
        head = self._tables.package_uri_text[package]
        version = self.package_version(package)
        if head == NONE:
            return f"{name}/{version}/package.py" if version else f"{name}/package.py"
        tail = self._tables.package_uri_tail_text[package]
        return join_uri(self.text(head), None if tail == NONE else self.text(tail), name, version)

    def given_rank(self, package: int) -> int:
        """Its place in the order the family was handed in."""
        return self._tables.package_given_rank[package]

    def package_error(self, package: int) -> int:
        """The error that loading it raises, or NONE."""
        return self._tables.package_error[package]

    def family_error(self, family: int) -> int:
        """The error that listing a family raises, or NONE."""
        return self._tables.family_error[family]

    def variant_error(self, variant: int) -> int:
        """The error that looking at its requirements raises, or NONE."""
        return self._variant_error[variant]

    def error(self, row: int) -> tuple[str, str]:
        """(class name, text) of an error."""
        return self.text(self._tables.error_type_text[row]), self.text(self._tables.error_value_text[row])

    def mask_variants(self, family: int, words: Sequence[int], start: int) -> list[int]:
        """The variants of a mask that stands in `words` from `start`."""
        first, last = self._tables.family_variant_offsets[family : family + 2]
        found = []
        for k in range(schema.words_for(last - first)):
            bits = words[start + k]
            while bits:
                low = bits & -bits
                found.append(first + 64 * k + low.bit_length() - 1)
                bits ^= low
        return found

    # --- requirements

    def variant_requirement_ids(self, variant: int) -> list[int]:
        """The requirements of a variant, in rez's order."""
        start, end = self.variant_requirement_offsets[variant : variant + 2]
        return self.variant_requirement[start:end].tolist()

    def variant_requirements(self, variant: int) -> list[Requirement]:
        """The requirements of a variant, in rez's order."""
        return [self.requirement(row) for row in self.variant_requirement_ids(variant)]

    def variant_requirement_on(self, variant: int, family: int) -> Requirement | None:
        """The requirement of a variant on a family."""
        for row in self.variant_requirement_ids(variant):
            if self._tables.requirement_family[row] == family:
                return self.requirement(row)
        return None

    def _requirement_text(self, row: int) -> str:
        """The text of a requirement."""
        return self.text(self._tables.requirement_text[row])

    def _requirement(self, row: int) -> Requirement:
        text = self.requirement_text(row)
        try:
            requirement = Requirement(text)
        except (VersionError, PackageRequestError) as error:
            raise self._forged(error) from None
        self._require_fit(row, requirement)
        if str(requirement) == text:
            return requirement
        # a merged range can hold intervals that touch, which reading its text again would join
        return requirement.with_range(self._range(self._tables.requirement_range[row]))

    def _require_fit(self, row: int, requirement: Requirement) -> None:
        """Raise RepositoryCorruptError if the text of a requirement says something else than its numbers."""
        tables = self._tables
        name = self.family_name(tables.requirement_family[row])
        has_range = tables.requirement_range[row] != NONE
        is_conflict = bool(tables.requirement_flags[row] & CONFLICT)
        if (requirement.name, requirement.range is not None, requirement.conflict) != (name, has_range, is_conflict):
            raise self._forged(f"requirement {row} reads {requirement}, which it is not")

    def _range(self, row: int) -> VersionRange:
        start, end = self._tables.range_offsets[row : row + 2]
        return self.range_of_cuts(self._tables.range_cut[start:end].tolist(), {})

    # --- ranges

    def range_of_cuts(self, cuts: list[int], unseen: dict[int, Version]) -> VersionRange:
        """The range with these cuts; `unseen` are the versions that came with the request."""
        try:
            return VersionRange.from_bounds(
                Bound(self._cut(lower, unseen), self._cut(upper, unseen))
                for lower, upper in zip(cuts[::2], cuts[1::2], strict=True)
            )
        except VersionError as error:  # the versions are not in the order of their ranks
            raise self._forged(error) from None

    def _cut(self, cut: int, unseen: dict[int, Version]) -> Cut:
        if cut == CUT_INF:
            return Cut(Version.inf, True)
        before = cut & ~1
        if before & ((1 << CUT_SHIFT) - 1):
            return Cut(unseen[before], bool(cut & 1))
        return Cut(self.as_version(self.text(self._tables.version_text[before >> CUT_SHIFT])), bool(cut & 1))
