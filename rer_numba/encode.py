"""Packages to tables: every version a rank, every range an id, every requirement a mask.

The order of the work: packages are grouped into families; their requirements are parsed once for each distinct text and
merged for each variant as rez merges them; then all versions are ranked, ranges and requirements numbered, and the
masks made. What a broken package or variant raises is noted beside it, so that only a solve that touches it sees it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from rer_numba import schema
from rer_numba.errors import PackageRequestError, VersionError
from rer_numba.packages import PackageData
from rer_numba.requirements import PackageRequest, Requirement, RequirementList, is_valid_package_name
from rer_numba.schema import CONFLICT, CUT_INF, CUT_SHIFT, EPHEMERAL, EXCLUSIVE_LOWER, NONE, WEAK, IntArray, Tables
from rer_numba.version_order import Version, version_key
from rer_numba.versions import VersionRange

_ONES = (1 << 64) - 1


@dataclass
class _Package:
    """A package on its way into the tables."""

    data: PackageData
    key: bytes
    given_rank: int
    error: tuple[str, str] | None = None
    variants: list[_Variant] = field(default_factory=list)


@dataclass
class _Variant:
    """Requirement ids (of `_Requirements`) of a variant, plain and when building; or the error they raise."""

    requires: list[int] | tuple[str, str]
    building: list[int] | tuple[str, str]


@dataclass
class _Family:
    """The packages of a family by version, and the error that rez raises as soon as it lists them."""

    packages: dict[bytes, _Package] = field(default_factory=dict)
    error: tuple[str, str] | None = None


class _Texts:
    """The string pool."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}

    def add(self, text: str) -> int:
        return self.ids.setdefault(text, len(self.ids))

    def columns(self) -> dict[str, IntArray]:
        encoded = [text.encode() for text in self.ids]
        return {
            "text_offsets": _offsets(map(len, encoded), np.int64),
            "text_bytes": np.frombuffer(b"".join(encoded), np.uint8),
        }


def _text(requirement: Requirement) -> str:
    """The text of a requirement. rez has none for a weak one whose range touches itself: then that of the conflict."""
    try:
        return str(requirement)
    except VersionError:
        return f"!{requirement.name}-{requirement.range}"


class _Requirements:
    """All distinct requirements, numbered by their canonical text."""

    def __init__(self) -> None:
        self.items: list[Requirement] = []
        self.names: list[str] = []
        self._by_given: dict[str, int] = {}
        self._by_text: dict[str, int] = {}

    def parse(self, given: str) -> int:
        """The id of a requirement as written in a package."""
        found = self._by_given.get(given)
        if found is None:
            found = self._by_given[given] = self.add(PackageRequest(given))
        return found

    def add(self, requirement: Requirement) -> int:
        """The id of a parsed requirement."""
        text = _text(requirement)
        found = self._by_text.get(text)
        if found is None:
            found = self._by_text[text] = len(self.items)
            self.items.append(requirement)
            self.names.append(requirement.name)
        return found


def encode(packages: Iterable[PackageData]) -> Tables:
    """Encode packages.

    Parameters
    ----------
    packages : iterable of PackageData
        In the order rez would list them. Of two with equal name and version the first counts.

    Returns
    -------
    Tables

    Notes
    -----
    Nothing here raises: bad requirements and versions are kept for the solve that touches them, and a package whose
    name no package can have is left out, since nobody can ask for it.
    """
    requirements = _Requirements()
    families = _group(packages, requirements)
    return _Encoder(families, requirements).tables()


def _group(packages: Iterable[PackageData], requirements: _Requirements) -> dict[str, _Family]:
    families: dict[str, _Family] = {}
    for data in packages:
        if not is_valid_package_name(data.name):
            continue  # nobody can ask for it: rez refuses the name before it looks for the package
        family = families.setdefault(data.name, _Family())
        try:
            key = version_key(data.version)
        except VersionError as error:
            family.error = family.error or ("VersionError", str(error))
            continue
        if key not in family.packages:
            family.packages[key] = _read(data, key, len(family.packages), requirements)
    return families


def _read(data: PackageData, key: bytes, given_rank: int, requirements: _Requirements) -> _Package:
    """Parse and merge what the variants require.

    rez validates an attribute when it first reads it: `variants` as soon as the package comes into range, the others
    when a variant's requirements are looked at.
    """
    package = _Package(data, key, given_rank)
    own, package.error = _parse_all(data._variants, "variants", requirements)
    (common,), error = _parse_all([data._requires], "requires", requirements)
    (build,), build_error = _parse_all([data._build_requires], "build_requires", requirements)
    for index, more in enumerate(own or [[]]):
        name = _variant_name(data, index if own else None)
        plain = error or _merge(common + more, requirements, name)
        building = plain
        if build or build_error:
            building = error or build_error or _merge(common + more + build, requirements, name)
        package.variants.append(_Variant(plain, building))
    return package


def _parse_all(
    lists: Sequence[Sequence[str]], attribute: str, requirements: _Requirements
) -> tuple[list[list[int]], tuple[str, str] | None]:
    """Requirement ids of each list, or no ids and the error that reading the attribute raises."""
    parsed = []
    for texts in lists:
        try:
            parsed.append([requirements.parse(text) for text in texts])
        except (VersionError, PackageRequestError):
            return [[] for _ in lists], ("PackageMetadataError", _validation_text(attribute, list(texts)))
    return parsed, None


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


def _variant_name(data: PackageData, index: int | None) -> str:
    version = f"-{data.version}" if data.version else ""
    return f"{data.name}{version}[{'' if index is None else index}]"


def _merge(ids: list[int], requirements: _Requirements, variant: str) -> list[int] | tuple[str, str]:
    """Merge requirements on the same family. A variant that contradicts itself gives the error rez raises."""
    names = requirements.names
    if len({names[i] for i in ids}) == len(ids):
        return ids
    try:
        merged = RequirementList([requirements.items[i] for i in ids])
    except VersionError as error:  # a range that touches itself has no inverse in rez
        return "VersionError", str(error)
    if merged.conflict:
        return "ResolveError", f"The package {variant} has an internal requirements conflict: {merged}"
    return [requirements.add(requirement) for requirement in merged]


def _offsets(lengths: Iterable[int], dtype: type) -> IntArray:
    return np.fromiter(accumulate(lengths, initial=0), dtype)


def _words(mask: int, n: int) -> list[int]:
    """A mask as `n` words, lowest first."""
    if n == 1:
        return [mask]
    return [(mask >> (64 * k)) & _ONES for k in range(n)]


class _Encoder:
    """Numbers everything, then writes the columns."""

    def __init__(self, families: dict[str, _Family], requirements: _Requirements) -> None:
        self.texts = _Texts()
        self.requirements = requirements
        self.names = sorted({*families, *requirements.names})
        self.family_ids = {name: i for i, name in enumerate(self.names)}
        in_order = [families.get(name, _Family()) for name in self.names]
        self.families = [
            sorted(family.packages.values(), key=lambda package: package.key, reverse=True) for family in in_order
        ]
        self.family_errors = [family.error for family in in_order]
        self.errors: dict[tuple[str, str], int] = {}
        self.requirement_families = [self.family_ids[name] for name in requirements.names]

    def tables(self) -> Tables:
        """All columns."""
        for name in self.names:
            self.texts.add(name)
        columns = {
            **self._version_columns(),
            **self._family_columns(),
            **self._package_columns(),
            **self._range_columns(),
            **self._requirement_columns(),
            **self._requires_columns("requires", ""),
            **self._building_columns(),
            **self._error_columns(),
        }
        columns.update(self.texts.columns())
        arrays = []
        for column in schema.COLUMNS:
            array = np.ascontiguousarray(columns[column.name], column.dtype)
            array.flags.writeable = False
            arrays.append(array)
        return Tables(*arrays)

    # --- versions and ranges

    def _version_columns(self) -> dict[str, object]:
        """Rank all versions of packages and bounds."""
        spellings: dict[bytes, str] = {b"": ""}
        for package in self._packages():
            spellings.setdefault(package.key, package.data.version)
        for requirement in self.requirements.items:
            for bound in requirement.range.bounds if requirement.range else ():
                for version in (bound.lower_version, bound.upper_version):
                    if version is not Version.inf:
                        spellings.setdefault(version.key, version.text)
        keys = sorted(spellings)
        self.ranks = {key: rank for rank, key in enumerate(keys)}
        return {
            "version_text": [self.texts.add(spellings[key]) for key in keys],
            "version_key_offsets": _offsets(map(len, keys), np.int64),
            "version_key": np.frombuffer(b"".join(keys), np.uint8),
        }

    def _cuts(self, range_: VersionRange) -> tuple[int, ...]:
        cuts = []
        for bound in range_.bounds:
            cuts.append((self.ranks[bound.lower_version.key] << CUT_SHIFT) + (not bound.lower_inclusive))
            upper = bound.upper_version
            cuts.append(
                CUT_INF if upper is Version.inf else (self.ranks[upper.key] << CUT_SHIFT) + bound.upper_inclusive
            )
        return tuple(cuts)

    def _range_columns(self) -> dict[str, object]:
        """Number the distinct ranges."""
        self.range_ids: dict[tuple[int, ...], int] = {}
        self.requirement_cuts = [
            None if item.range is None else self._cuts(item.range) for item in self.requirements.items
        ]
        self.requirement_ranges = [
            NONE if cuts is None else self.range_ids.setdefault(cuts, len(self.range_ids))
            for cuts in self.requirement_cuts
        ]
        return {
            "range_offsets": _offsets(map(len, self.range_ids), np.int32),
            "range_cut": [cut for cuts in self.range_ids for cut in cuts],
        }

    # --- families and packages

    def _packages(self) -> Iterable[_Package]:
        return (package for family in self.families for package in family)

    def _family_columns(self) -> dict[str, object]:
        self.variant_counts = [sum(len(package.variants) for package in family) for family in self.families]
        self.word_counts = [schema.words_for(n) for n in self.variant_counts]
        return {
            "family_text": [self.texts.add(name) for name in self.names],
            "family_flags": [self._family_flags(row) for row in range(len(self.names))],
            "family_error": [self._error(error) for error in self.family_errors],
            "family_package_offsets": _offsets(map(len, self.families), np.int32),
            "family_variant_offsets": _offsets(self.variant_counts, np.int32),
        }

    def _family_flags(self, row: int) -> int:
        flags = EPHEMERAL if self.names[row].startswith(".") else 0
        flags |= schema.BROKEN_FAMILY if self.family_errors[row] else 0
        for package in self.families[row]:
            if package.error:
                flags |= schema.HAS_BROKEN_PACKAGE
            if any(isinstance(v.requires, tuple) or isinstance(v.building, tuple) for v in package.variants):
                flags |= schema.HAS_BROKEN_VARIANT
        return flags

    def _package_columns(self) -> dict[str, object]:
        packages = list(self._packages())
        add = self.texts.add
        return {
            "package_version_rank": [self.ranks[package.key] for package in packages],
            "package_version_text": [add(package.data.version) for package in packages],
            "package_given_rank": [package.given_rank for package in packages],
            "package_indexed": [bool(package.data._variants) and not package.error for package in packages],
            "package_variant_offsets": _offsets((len(package.variants) for package in packages), np.int32),
            "package_uri_text": [NONE if p.data.uri is None else add(p.data.uri) for p in packages],
            "package_timestamp": [package.data.timestamp or 0 for package in packages],
            "package_error": [self._error(package.error) for package in packages],
            "variant_package": [i for i, package in enumerate(packages) for _ in package.variants],
        }

    def _error(self, error: tuple[str, str] | None) -> int:
        return NONE if error is None else self.errors.setdefault(error, len(self.errors))

    def _error_columns(self) -> dict[str, object]:
        return {
            "error_type_text": [self.texts.add(kind) for kind, _ in self.errors],
            "error_value_text": [self.texts.add(value) for _, value in self.errors],
        }

    # --- requirements

    def _requirement_columns(self) -> dict[str, object]:
        items = self.requirements.items
        by_cuts = {cuts: place for place, cuts in enumerate(sorted(self.range_ids))}
        places = [by_cuts[cuts] for cuts in self.range_ids]
        masks = [self._range_words(i) for i in range(len(items))]
        return {
            "requirement_family": self.requirement_families,
            "requirement_range": self.requirement_ranges,
            "requirement_flags": [self._flags(item) for item in items],
            "requirement_order_rank": [NONE if r == NONE else places[r] for r in self.requirement_ranges],
            "requirement_text": [self.texts.add(_text(item)) for item in items],
            "requirement_mask_offsets": _offsets(map(len, masks), np.int64),
            "requirement_mask": np.array([word for mask in masks for word in mask], np.uint64),
        }

    @staticmethod
    def _flags(item: Requirement) -> int:
        flags = (CONFLICT if item.conflict else 0) | (WEAK if item.weak else 0)
        if item.range and any(not bound.lower_inclusive for bound in item.range.bounds):
            flags |= EXCLUSIVE_LOWER
        return flags

    def _range_words(self, i: int) -> list[int]:
        """The mask of a requirement over the variants of its family."""
        cuts = self.requirement_cuts[i]
        family = self.requirement_families[i]
        if cuts is None or not self.families[family]:
            return []
        mask = 0
        bit = 0
        for package in self.families[family]:
            n = len(package.variants)
            if bisect_right(cuts, self.ranks[package.key] << CUT_SHIFT) & 1:  # between a lower and an upper cut
                mask |= ((1 << n) - 1) << bit
            bit += n
        return _words(mask, self.word_counts[family])

    # --- what variants require

    def _building_columns(self) -> dict[str, object]:
        if any(variant.building is not variant.requires for p in self._packages() for variant in p.variants):
            return self._requires_columns("building", schema.BUILDING)
        return {column.name: [] for column in schema.COLUMNS if column.name.startswith(schema.BUILDING)}

    def _requires_columns(self, which: str, prefix: str) -> dict[str, object]:
        """The columns about requirements of variants, for `which` of their two lists."""
        variants = [variant for package in self._packages() for variant in package.variants]
        lists: list[list[int]] = []
        errors = []
        for variant in variants:
            found = getattr(variant, which)
            broken = isinstance(found, tuple)
            errors.append(self._error(found if broken else None))
            lists.append([] if broken else found)
        columns = {
            "variant_error": errors,
            "variant_requirement_offsets": _offsets(map(len, lists), np.int32),
            "variant_requirement": [i for ids in lists for i in ids],
            **self._extraction_columns(lists),
            **self._mention_columns(lists),
        }
        return {prefix + name: values for name, values in columns.items()}

    def _extraction_columns(self, lists: list[list[int]]) -> dict[str, object]:
        family_of = self.requirement_families
        items = self.requirements.items
        conflict = [item.conflict for item in items]
        wanted = [sorted((i for i in ids if not conflict[i]), key=family_of.__getitem__) for ids in lists]
        return {
            "variant_extraction_offsets": _offsets(map(len, wanted), np.int32),
            "variant_extraction": [i for ids in wanted for i in ids],
        }

    def _mention_columns(self, lists: list[list[int]]) -> dict[str, object]:
        """Mentions and links of all families, with their masks."""
        mentions = _Mentions()
        first = 0
        for n, words in zip(self.variant_counts, self.word_counts, strict=True):
            mentions.add_family(self._links(lists[first : first + n]), words, self.requirements.items)
            first += n
        return mentions.columns()

    def _links(self, lists: Sequence[list[int]]) -> dict[int, dict[int, int]]:
        """Mentioned family -> requirement -> mask of the variants that have it."""
        family_of = self.requirement_families
        found: dict[int, dict[int, int]] = {}
        for bit, ids in enumerate(lists):
            flag = 1 << bit
            for i in ids:
                links = found.setdefault(family_of[i], {})
                links[i] = links.get(i, 0) | flag
        return found


class _Mentions:
    """The mention and link columns as they grow, family by family."""

    def __init__(self) -> None:
        self.family_mentions = [0]
        self.mention_family: list[int] = []
        self.mention_conflicts: list[bool] = []
        self.mention_links = [0]
        self.mention_words: list[int] = []
        self.mention_starts = [0]
        self.link_requirement: list[int] = []
        self.link_words: list[int] = []
        self.link_starts = [0]

    def add_family(self, found: dict[int, dict[int, int]], words: int, items: list[Requirement]) -> None:
        """Add the mentions of one family."""
        for other in sorted(found):
            wanting = 0
            conflicts = False
            for i, mask in found[other].items():
                if not items[i].conflict:
                    wanting |= mask
                if items[i].range is not None:
                    self.link_requirement.append(i)
                    self.link_words += _words(mask, words)
                    conflicts |= items[i].conflict
            self.mention_family.append(other)
            self.mention_conflicts.append(conflicts)
            self.mention_words += _words(wanting, words)
            self.mention_links.append(len(self.link_requirement))
        self.family_mentions.append(len(self.mention_family))
        self.mention_starts.append(len(self.mention_words))
        self.link_starts.append(len(self.link_words))

    def columns(self) -> dict[str, object]:
        """The columns."""
        return {
            "family_mention_offsets": self.family_mentions,
            "mention_family": self.mention_family,
            "mention_conflicts": self.mention_conflicts,
            "family_mention_mask_offsets": self.mention_starts,
            "mention_mask": np.array(self.mention_words, np.uint64),
            "mention_link_offsets": self.mention_links,
            "link_requirement": self.link_requirement,
            "family_link_mask_offsets": self.link_starts,
            "link_mask": np.array(self.link_words, np.uint64),
        }
