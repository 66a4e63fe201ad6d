"""Makes valid tables without the encoder: slow, obvious loops over a plain description of a repository.

Versions are numbers here: the version of rank 3 is spelled "3.0". A requirement is a family, cuts and flags.
`small_tables` is a repository written by hand that has one of everything, `random_tables` a bigger one.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rer_numba.schema import (
    BROKEN_FAMILY,
    BUILDING,
    COLUMNS,
    CONFLICT,
    CUT_INF,
    CUT_SHIFT,
    EPHEMERAL,
    HAS_BROKEN_PACKAGE,
    HAS_BROKEN_VARIANT,
    NONE,
    WEAK,
    Tables,
    words_for,
)


@dataclass(frozen=True)
class Requirement:
    """A family, the cuts of a range (None: `~foo`) and flags."""

    family: str
    cuts: tuple[int, ...] | None = (0, CUT_INF)
    flags: int = 0

    @property
    def text(self) -> str:
        return f"{'!' * (self.flags & 1)}{'~' * (self.flags >> 1 & 1)}{self.family}-{self.cuts}"


@dataclass
class Variant:
    requires: list[Requirement] = field(default_factory=list)
    build_requires: list[Requirement] = field(default_factory=list)
    error: tuple[str, str] | None = None


@dataclass
class Package:
    rank: int
    variants: list[Variant] = field(default_factory=lambda: [Variant()])
    indexed: bool = False
    uri: str | None = None
    timestamp: int = 0
    error: tuple[str, str] | None = None


Spec = dict[str, list[Package]]
Errors = dict[str, tuple[str, str]]


def same(left: Tables, right: Tables) -> bool:
    """Equal in type and content, column by column."""
    pairs = [(getattr(left, column.name), getattr(right, column.name)) for column in COLUMNS]
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


def before(rank: int) -> int:
    """The cut just before a version."""
    return rank << CUT_SHIFT


def after(rank: int) -> int:
    """The cut just after a version."""
    return before(rank) + 1


def small_spec() -> Spec:
    """One of everything: an index, a conflict, a weak requirement with and without a range, errors, an ephemeral."""
    python2 = Requirement("python", (before(2), before(3)))
    python3 = Requirement("python", (before(3), CUT_INF))
    lib = Requirement("lib", (before(1), after(1), before(3), after(4)))
    no_lib = Requirement("lib", (0, before(2)), CONFLICT)
    weak_lib = Requirement("lib", (before(2), CUT_INF), CONFLICT | WEAK)
    feature = Requirement(".feat", (before(1), before(2)))
    return {
        "app": [
            Package(5, [Variant([python2, lib]), Variant([python3, no_lib, feature])], indexed=True, uri="/sw/app/5"),
            Package(3, [Variant([lib, Requirement("gui", None, CONFLICT | WEAK)], [python3])], timestamp=1_700_000_000),
            Package(1, [Variant([weak_lib], error=("ResolveError", "it contradicts itself"))]),
        ],
        "lib": [Package(4), Package(3), Package(1, error=("PackageMetadataError", "cannot be read"))],
        "python": [Package(3, [Variant([Requirement("missing")])]), Package(2)],
    }


def small_tables(*, building: bool = True) -> Tables:
    unlisted = {"gui": ("PackageRepositoryError", "the folder cannot be read")}
    return make_tables(small_spec(), building=building, family_errors=unlisted, sources=True)


def random_tables(
    seed: int,
    *,
    families: int = 40,
    packages: int = 6,
    variants: int = 2,
    requires: int = 5,
    building: bool = True,
) -> Tables:
    """A valid repository of about so many packages a family, variants a package and requirements a variant."""
    rng = random.Random(seed)
    ranks = max(families // 2, packages * 4)
    names = [f"{rng.choice('abcdefgh')}{'x' * rng.randrange(30)}{i}" for i in range(families)]
    pool = [rng_requirement(rng, name, ranks) for name in [*names, ".feat", "unknown"] for _ in range(5)]

    def some(liked: list[Requirement]) -> list[Requirement]:
        drawn = rng.choices(liked, k=rng.randrange(2 * requires + 1))
        return list({requirement.family: requirement for requirement in drawn}.values())

    def package(rank: int, liked: list[Requirement]) -> Package:
        count = rng.randrange(1, 2 * variants + 1)
        return Package(
            rank,
            [Variant(some(liked), some(liked) if building and rng.random() < 0.2 else []) for _ in range(count)],
            indexed=count > 1 or rng.random() < 0.5,
            uri=f"/sw/{rank}" if rng.random() < 0.5 else None,
            timestamp=rng.randrange(1 << 40),
        )

    spec = {}
    for name in names:
        chosen = rng.sample(range(1, ranks), rng.randrange(1, 2 * packages))
        liked = rng.sample(pool, min(len(pool), 6 * requires))
        spec[name] = [package(rank, liked) for rank in sorted(chosen, reverse=True)]
    # a family with more variants than a word has bits
    spec["wide"] = [package(rank, pool) for rank in range(ranks - 1, 0, -1)]
    return make_tables(spec, building=building, sources=True)


def rng_requirement(rng: random.Random, family: str, ranks: int) -> Requirement:
    if rng.random() < 0.05:
        return Requirement(family, None, CONFLICT | WEAK)
    flags = rng.choices([0, CONFLICT, CONFLICT | WEAK], [8, 1, 1])[0]
    places = sorted(rng.sample(range(ranks), 2 * rng.choice([1, 1, 1, 2])))
    cuts = [rng.choice([before, after])(rank) for rank in places]
    if rng.random() < 0.4:
        cuts[-1] = CUT_INF
    return Requirement(family, tuple(cuts), flags)


def make_tables(
    spec: Spec, *, building: bool = False, family_errors: Errors | None = None, sources: bool = False
) -> Tables:
    """The tables of a repository, as `rer_numba.schema` defines them."""
    return _Maker(spec, family_errors or {}).tables(building, sources)


class _Maker:
    """Collects the columns as Python lists."""

    def __init__(self, spec: Spec, family_errors: Errors) -> None:
        self.family_errors = family_errors
        self.packages = [(name, package) for name in sorted(spec) for package in spec[name]]
        self.variants = [(name, variant) for name, package in self.packages for variant in package.variants]
        self.requirements = list(dict.fromkeys(r for _, v in self.variants for r in [*v.requires, *v.build_requires]))
        self.families = sorted({*spec, *(r.family for r in self.requirements)})
        self.family_id = {name: i for i, name in enumerate(self.families)}
        self.requirement_id = {requirement: i for i, requirement in enumerate(self.requirements)}
        self.variants_of = {name: [v for owner, v in self.variants if owner == name] for name in spec}
        self.texts: dict[str, int] = {}
        self.errors: dict[tuple[str, str], int] = {}
        self.columns: dict[str, Any] = {}

    def tables(self, building: bool, sources: bool) -> Tables:
        self._versions_and_ranges()
        self._families()
        self._packages()
        self._requirements()
        self._requires("", [v.requires for _, v in self.variants])
        if building:
            self._requires(BUILDING, [_joined(v) for _, v in self.variants])
        if sources:
            self._sources()
        self.columns["error_type_text"] = [self._text(kind) for kind, _ in self.errors]
        self.columns["error_value_text"] = [self._text(value) for _, value in self.errors]
        self._bytes("text", [text.encode() for text in self.texts])
        arrays = [np.array(self.columns.get(column.name, []), dtype=column.dtype) for column in COLUMNS]
        for array in arrays:
            array.flags.writeable = False
        return Tables(*arrays)

    def _text(self, text: str) -> int:
        return self.texts.setdefault(text, len(self.texts))

    def _error(self, error: tuple[str, str] | None) -> int:
        return NONE if error is None else self.errors.setdefault(error, len(self.errors))

    def _offsets(self, name: str, sizes: list[int]) -> None:
        self.columns[f"{name}_offsets"] = [0, *np.cumsum(sizes, dtype=np.int64).tolist()]

    def _bytes(self, name: str, values: list[bytes]) -> None:
        self._offsets(name, [len(value) for value in values])
        self.columns[f"{name}_bytes" if name.endswith("text") else name] = list(b"".join(values))

    def _ragged(self, name: str, rows: list[list[int]]) -> None:
        self._offsets(name, [len(row) for row in rows])
        self.columns[name] = [value for row in rows for value in row]

    def _versions_and_ranges(self) -> None:
        bounds = [cut >> CUT_SHIFT for r in self.requirements for cut in r.cuts or () if cut != CUT_INF]
        ranks = range(max([0, *bounds, *(package.rank for _, package in self.packages)]) + 1)
        self.columns["version_text"] = [self._text(f"{rank}.0" if rank else "") for rank in ranks]
        self._bytes("version_key", [b"version " + rank.to_bytes(4, "big") if rank else b"" for rank in ranks])
        ranges = sorted({r.cuts for r in self.requirements if r.cuts is not None})
        self.range_id = {cuts: i for i, cuts in enumerate(ranges)}
        self._offsets("range", [len(cuts) for cuts in ranges])
        self.columns["range_cut"] = [cut for cuts in ranges for cut in cuts]

    def _families(self) -> None:
        c = self.columns
        c["family_text"] = [self._text(name) for name in self.families]
        c["family_rank"] = c["family_by_name"] = list(range(len(self.families)))
        c["family_error"] = [self._error(self.family_errors.get(name)) for name in self.families]
        c["family_flags"] = [self._flags(name) for name in self.families]
        owners = [name for name, _ in self.packages]
        self._offsets("family_package", [owners.count(name) for name in self.families])
        self._offsets("family_variant", [len(self.variants_of.get(name, [])) for name in self.families])

    def _flags(self, name: str) -> int:
        broken_variant = any(v.error for v in self.variants_of.get(name, []))
        broken_package = any(p.error for owner, p in self.packages if owner == name)
        flags = EPHEMERAL if name.startswith(".") else 0
        flags |= BROKEN_FAMILY if name in self.family_errors else 0
        return flags | HAS_BROKEN_VARIANT * broken_variant | HAS_BROKEN_PACKAGE * broken_package

    def _packages(self) -> None:
        c = self.columns
        packages = [package for _, package in self.packages]
        c["package_version_rank"] = [p.rank for p in packages]
        c["package_version_text"] = [self._text(f"{p.rank}.0") for p in packages]
        c["package_given_rank"] = []
        for name in self.families:
            size = sum(owner == name for owner, _ in self.packages)
            c["package_given_rank"] += [(i + 1) % size for i in range(size)]
        c["package_indexed"] = [int(p.indexed) for p in packages]
        self._offsets("package_variant", [len(p.variants) for p in packages])
        c["package_uri_text"] = [NONE if p.uri is None else self._text(p.uri) for p in packages]
        c["package_uri_tail_text"] = [
            NONE if p.uri is None or i % 2 else self._text("/package.py") for i, p in enumerate(packages)
        ]
        c["package_timestamp"] = [p.timestamp for p in packages]
        c["package_timestamp_error"] = [NONE if p.timestamp % 3 else self._error(p.error) for p in packages]
        c["package_error"] = [self._error(p.error) for p in packages]
        c["variant_package"] = [i for i, p in enumerate(packages) for _ in p.variants]

    def _sources(self) -> None:
        """Two locations, of which the second has a folder for every other family."""
        c = self.columns
        pool: dict[str, int] = {}
        numbers = range(len(self.packages))

        def number(text: str) -> int:
            return pool.setdefault(text, len(pool))

        c["location_text"] = [number("/sw/packages"), number("/home/packages")]
        c["package_location"] = [i % 2 for i in numbers]
        c["package_inode"] = [100 + i for i in numbers]
        c["package_mtime"] = [10**18 + i for i in numbers]
        c["package_size"] = [50 * i for i in numbers]
        c["package_ctime"] = [10**18 + 2 * i for i in numbers]
        folders = [(0, ""), (1, "")]
        folders += [(i, name) for row, name in enumerate(self.families) for i in range(1 + row % 2)]
        c["folder_location"] = [i for i, _ in folders]
        c["folder_name_text"] = [number(name) for _, name in folders]
        c["folder_extension_text"] = [number(("", "py", "yaml")[row % 3]) for row in range(len(folders))]
        for name in ("inode", "mtime", "size", "ctime"):
            c[f"folder_{name}"] = [1000 + row for row in range(len(folders))]
        self._ragged("folder_watch", [[row] * (row % 3) for row in range(len(folders))])
        c["watch_inode"] = c["watch_mtime"] = c["watch_size"] = c["watch_ctime"] = c.pop("folder_watch")
        c["watch_text"] = [number(f"/sw/packages/{row}") for row in c["watch_inode"]]
        self._bytes("source_text", [text.encode() for text in pool])

    def _requirements(self) -> None:
        c, requirements = self.columns, self.requirements
        c["requirement_family"] = [self.family_id[r.family] for r in requirements]
        c["requirement_range"] = [NONE if r.cuts is None else self.range_id[r.cuts] for r in requirements]
        c["requirement_flags"] = [r.flags for r in requirements]
        c["requirement_text"] = [self._text(r.text) for r in requirements]
        ranks_of: dict[str, list[int]] = {}
        for name, package in self.packages:
            ranks_of.setdefault(name, []).extend([package.rank] * len(package.variants))
        masks = [
            []
            if r.cuts is None
            else _mask([_inside(rank, r.cuts) != bool(r.flags & CONFLICT) for rank in ranks_of.get(r.family, [])])
            for r in requirements
        ]
        self._trimmed("requirement", masks)

    def _requires(self, prefix: str, requires: list[list[Requirement]]) -> None:
        c = self.columns
        c[prefix + "variant_error"] = [self._error(v.error) for _, v in self.variants]
        ids = [[self.requirement_id[r] for r in row] for row in requires]
        self._ragged(prefix + "variant_requirement", ids)
        extractions = [sorted((r for r in row if not r.flags & CONFLICT), key=lambda r: r.family) for row in requires]
        self._ragged(prefix + "variant_extraction", [[self.requirement_id[r] for r in row] for row in extractions])
        rows_of: dict[str, list[list[Requirement]]] = {name: [] for name in self.families}
        for (name, _), row in zip(self.variants, requires, strict=True):
            rows_of[name].append(row)
        mentions = {name: sorted({r.family for row in rows_of[name] for r in row}) for name in self.families}
        links = {(name, b): _links(rows_of[name], b) for name in self.families for b in mentions[name]}
        self._offsets(prefix + "family_mention", [len(mentions[name]) for name in self.families])
        c[prefix + "mention_family"] = [self.family_id[b] for _, b in links]
        c[prefix + "mention_conflicts"] = [_refuses(rows_of[name], b) for name, b in links]
        self._ragged(
            prefix + "family_mention_mask",
            [[w for b in mentions[name] for w in _mask(_mentions(rows_of[name], b))] for name in self.families],
        )
        c[prefix + "mention_mask"] = c.pop(prefix + "family_mention_mask")
        self._offsets(prefix + "mention_link", [len(row) for row in links.values()])
        c[prefix + "link_requirement"] = [self.requirement_id[r] for row in links.values() for r in row]
        linked = [(name, r) for (name, _), row in links.items() for r in row]
        self._trimmed(prefix + "link", [_mask([r in row for row in rows_of[name]]) for name, r in linked])

    def _trimmed(self, name: str, masks: list[list[int]]) -> None:
        """Masks without the empty words at their ends."""
        kept = [[k for k, word in enumerate(mask) if word] or [0, -1] for mask in masks]
        self.columns[f"{name}_first_word"] = [places[0] for places in kept]
        self._ragged(f"{name}_mask", [mask[at[0] : at[-1] + 1] for mask, at in zip(masks, kept, strict=True)])


def _joined(variant: Variant) -> list[Requirement]:
    by_family = {r.family: r for r in [*variant.build_requires, *variant.requires]}
    return list(by_family.values())


def _links(rows: list[list[Requirement]], family: str) -> list[Requirement]:
    return list(dict.fromkeys(r for row in rows for r in row if r.family == family and r.cuts is not None))


def _mentions(rows: list[list[Requirement]], family: str) -> list[bool]:
    return [any(r.family == family and not r.flags & CONFLICT for r in row) for row in rows]


def _refuses(rows: list[list[Requirement]], family: str) -> bool:
    """`~foo` without a range refuses nothing."""
    return any(r.family == family and r.flags & CONFLICT and r.cuts is not None for row in rows for r in row)


def _inside(rank: int, cuts: tuple[int, ...]) -> bool:
    return any(lower <= before(rank) < upper for lower, upper in zip(cuts[::2], cuts[1::2], strict=True))


def _mask(bits: list[bool]) -> list[int]:
    whole = sum(bit << i for i, bit in enumerate(bits))
    return [whole >> 64 * i & (1 << 64) - 1 for i in range(words_for(len(bits)))]
