"""A random repository and request under construction: what profiles size and spices change."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from rez.version import Requirement, Version, VersionError

from tests.case import Case, Package

# Upper case, a dot and an underscore: names are sorted by code point, and all of these are legal.
FAMILY_NAMES = (
    "alembic", "boost", "cmake", "deadline", "embree", "flow", "gizmo", "houdini", "imath", "jinja", "katana",
    "lookdev", "maya", "nuke", "ocio", "python", "qt", "rig", "shotkit", "tbb", "usd", "vray", "Zync", "py_tools",
    "pipe.core",
)  # fmt: skip
EPHEMERAL_NAMES = (".gpu", ".feat", ".quality", ".site")


@dataclass(frozen=True)
class Profile:
    """Sizes as (lowest, highest); the rest are probabilities per requirement unless the comment says otherwise."""

    name: str
    weight: int
    families: tuple[int, int] = (4, 9)
    versions: tuple[int, int] = (1, 5)
    requires: tuple[int, int] = (0, 2)
    requests: tuple[int, int] = (1, 4)
    variant_family: float = 0.4  # per family: its packages have variants
    variants: tuple[int, int] = (2, 4)
    variant_requires: tuple[int, int] = (1, 2)
    own_targets: float = 0.15  # per package: requires other families than the rest of its family
    own_pivots: float = 0.1  # per variant: other families than its siblings have; conflicts show late
    coherent: float = 0.8  # the range holds the version that fits (newer wants newer)
    tight: float = 0.3
    request_tight: float = 0.15
    conflict: float = 0.04
    weak: float = 0.04
    ephemeral: float = 0.02
    unsatisfiable: float = 0.02  # of the ranges that no version satisfies, the part that stays
    spices: tuple[int, int] = (0, 2)  # per case
    always: tuple[str, ...] = ()  # spices that every case has


# ---- versions and requirements


def ascending_versions(rng: random.Random, count: int) -> list[str]:
    """Distinct versions of one spelling style, sorted as rez sorts them."""
    style = rng.choice(("number", "minor", "minor", "patch", "year", "letters", "padded"))
    texts: set[str] = set()
    while len(texts) < count:
        major, minor = rng.randint(1, 4), rng.randint(0, 3)
        texts.add(
            {
                "number": str(rng.randint(1, 9)),
                "minor": f"{major}.{minor}",
                "patch": f"{major}.{minor}.{rng.randint(0, 12)}",
                "year": f"{2020 + major}" + (f".{minor}" if minor else ""),
                "letters": f"{major}." + rng.choice(("alpha", "beta2", "rc1", "0", "0a", "1_b", "B")),
                "padded": rng.choice(("0", "")) + f"{major}.{minor}",
            }[style]
        )
    return sorted(texts, key=Version)


def _range_text(rng: random.Random, versions: Sequence[str], fitting: int, tight: bool) -> str:
    """Make a range, with its separator, that holds ``versions[fitting]`` unless a neighbour's bound cuts it off."""
    here = versions[fitting]
    low = versions[rng.randint(0, fitting)]
    high = versions[rng.randint(fitting, len(versions) - 1)]
    other = rng.choice(versions)
    if rng.random() < 0.1:
        # A bound that nobody ever released.
        low, high = rng.choice(((low, high + ".5"), (low.split(".")[0], high), ("0.9", high)))
    if tight:
        return rng.choice((f"=={here}", f"-{here}", f"=={here}|=={other}", f"-{here}|{other}", f"-{low}..{here}"))
    forms = (
        "", "", "", f"-{here.split('.')[0]}", f"-{here.split('.')[0]}", f"-{low}+", f"-{low}+", f">={low}", f">{low}",
        f"<={high}", f"<{high}", f"-{low}+<{high}", f"-{low}+<={high}", f"-{low}..{high}", f">{low}<={high}",
        f">={low},<{high}", f"<={high},>={low}", f"-{low}+<{high}|{here}", f"-{here}|{other}", f"<{low}|>{high}",
        f"-{here}.1+", f"@{here}", f"#{low}+",
    )  # fmt: skip
    return rng.choice(forms)


_requirement = lru_cache(maxsize=4096)(Requirement)
_version = lru_cache(maxsize=4096)(Version)


def valid_requirement(text: str, fallback: str) -> str:
    """Return `text`, or `fallback` if rez cannot parse it: bounds are combined blindly ('>2<2')."""
    try:
        _requirement(text)
    except VersionError:
        return fallback
    return text


def _is_satisfiable(text: str, versions: Sequence[str]) -> bool:
    requirement = _requirement(text)
    return requirement.conflict or any(_version(version) in requirement.range for version in versions)


def without_conflicts(texts: Sequence[str], base: Sequence[str] = ()) -> list[str]:
    """Leave out each requirement that does not merge with the ones before it (and with `base`)."""
    merged: dict[str, Requirement] = {}
    kept = []
    for position, text in enumerate((*base, *texts)):
        requirement = _requirement(text)
        known = merged.get(requirement.name)
        try:
            both = requirement if known is None else known.merged(requirement)
        except VersionError:
            both = requirement  # rez cannot merge the odd unions of one spice; let the solve find that out
        if both is not None:
            merged[requirement.name] = both
            if position >= len(base):
                kept.append(text)
    return kept


# ---- the repository


class Draft:
    """A repository and a request under construction; spices change it in place."""

    def __init__(self, rng: random.Random, profile: Profile) -> None:
        self.rng = rng
        self.profile = profile
        self.options: dict[str, object] = {}
        self.left_broken: set[tuple[str, str]] = set()
        # Families require mostly later ones in this list, which is in no alphabetical order.
        self.names = rng.sample(FAMILY_NAMES, rng.randint(*profile.families))
        self.versions = {name: ascending_versions(rng, rng.randint(*profile.versions)) for name in self.names}
        self.packages = [package for name in self.names for package in self._make_family(name)]
        self.requests = self._make_requests()

    def case(self, origin: str) -> Case:
        """Finish: repair what conflicts with itself by accident, and hand the packages in in random order."""
        packages = [self._repaired(package) for package in self.packages]
        self.rng.shuffle(packages)
        return Case(packages, self.requests, self.options, origin)

    def _repaired(self, package: Package) -> Package:
        # Requirements are drawn blindly; were they left so, every second package would conflict with itself.
        if (package.name, package.version) in self.left_broken:
            return package
        requires = without_conflicts(package.requires)
        variants = [without_conflicts(variant, requires) for variant in package.variants]
        return replace(package, requires=requires, variants=variants)

    # -- parts

    def requirement(self, target: str, height: float, *, plain: bool = False, tight: float | None = None) -> str:
        """One requirement on `target`; `height` in [0, 1] says how new the requirer is in its own family."""
        rng, profile = self.rng, self.profile
        versions = self.versions.get(target, ["1"])  # a spice may have named a family that does not exist
        fitting = round(height * (len(versions) - 1))
        if rng.random() > profile.coherent:
            fitting = rng.randrange(len(versions))
        chance = rng.random()
        if not plain and chance < profile.conflict:
            # A conflict with what would fit is rare; with the others it shapes the solve.
            wrong = rng.choice([i for i in range(len(versions)) if i != fitting] or [fitting])
            text = "!" + target + _range_text(rng, versions, wrong, tight=rng.random() < 0.8)
        else:
            is_tight = rng.random() < (profile.tight if tight is None else tight)
            text = target + _range_text(rng, versions, fitting, is_tight)
            if not plain and chance > 1 - profile.weak:
                text = "~" + text
        text = valid_requirement(text, fallback=target)
        if not _is_satisfiable(text, versions) and rng.random() > profile.unsatisfiable:
            return target
        return text

    def ephemeral(self) -> str:
        """Make a requirement on an ephemeral, without a conflict sign: packages may not conflict with ephemerals."""
        return self.rng.choice(EPHEMERAL_NAMES) + self.rng.choice(
            ("", "-1", "-1", "-2", "-1+", "<2", "-1.5+<3", "==1", "-1|2", "-0+<2", "-2+")
        )

    def random_name(self) -> str:
        """Pick a family."""
        return self.rng.choice(self.names)

    def targets_below(self, name: str, count: int) -> list[str]:
        """Pick up to `count` families that `name` may require without making a cycle."""
        below = self.names[self.names.index(name) + 1 :]
        return self.rng.sample(below, min(count, len(below)))

    # -- families

    def _make_family(self, name: str) -> list[Package]:
        rng, profile = self.rng, self.profile
        targets = self.targets_below(name, rng.randint(*profile.requires))
        pivots = self.targets_below(name, rng.randint(*profile.variant_requires))
        has_variants = bool(pivots) and rng.random() < profile.variant_family
        packages = []
        for position, version in enumerate(self.versions[name]):
            height = position / max(1, len(self.versions[name]) - 1)
            if rng.random() < profile.own_targets:
                targets = self.targets_below(name, rng.randint(*profile.requires))
            variants = []
            if has_variants and rng.random() < 0.9:
                count = rng.choice((1, rng.randint(*profile.variants), rng.randint(*profile.variants)))
                variants = [self._make_variant(name, pivots) for _ in range(count)]
            packages.append(Package(name, version, self._make_requires(targets, height), variants))
        return packages

    def _make_requires(self, targets: list[str], height: float) -> list[str]:
        requires = [self.requirement(target, height) for target in targets]
        if self.rng.random() < self.profile.ephemeral:
            requires.append(self.ephemeral())
        return requires

    def _make_variant(self, name: str, pivots: list[str]) -> list[str]:
        # Variants go through the versions of the pivots; now and then one has a family more or less.
        rng = self.rng
        if rng.random() < self.profile.own_pivots:
            pivots = self.targets_below(name, len(pivots))
        variant = [self.requirement(pivot, rng.random(), tight=0.8) for pivot in pivots]
        if rng.random() < 0.2:
            variant += [self.requirement(target, rng.random()) for target in self.targets_below(name, 1)]
        elif len(variant) > 1 and rng.random() < 0.2:
            variant.pop(rng.randrange(len(variant)))
        if rng.random() < self.profile.ephemeral:
            variant.append(self.ephemeral())
        return variant

    def _make_requests(self) -> list[str]:
        rng, profile = self.rng, self.profile
        count = rng.randint(*profile.requests)
        # Mostly families at the top, which pull in the rest.
        pool = self.names[: max(3, len(self.names) // 2)] if rng.random() < 0.7 else self.names
        chosen = rng.sample(pool, min(count, len(pool)))
        requests = [self.requirement(name, rng.choice((0.5, 1.0, 1.0)), tight=profile.request_tight) for name in chosen]
        if rng.random() < profile.ephemeral * 2:
            requests.insert(rng.randint(0, len(requests)), rng.choice(("", "", "", "!", "~")) + self.ephemeral())
        return requests

    # -- for spices

    def replace_package(self, position: int, **changes: object) -> None:
        """Change attributes of one package."""
        self.packages[position] = replace(self.packages[position], **changes)

    def add_requirement(self, text: str, *, somewhere: bool = True) -> None:
        """Append a requirement to a random package (to its requires, or to one variant)."""
        position = self.rng.randrange(len(self.packages))
        package = self.packages[position]
        if somewhere and package.variants and self.rng.random() < 0.4:
            variants = [list(variant) for variant in package.variants]
            self.rng.choice(variants).append(text)
            self.replace_package(position, variants=variants)
        else:
            self.replace_package(position, requires=[*package.requires, text])

    def add_request(self, text: str) -> None:
        """Put a requirement somewhere into the request."""
        self.requests.insert(self.rng.randint(0, len(self.requests)), text)
