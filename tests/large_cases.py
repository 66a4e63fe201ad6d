"""Random cases that are large: families with hundreds of variants, and solves with more than 64 scopes.

Sets of variants, and sets of scopes, take several words then. For the first, each package of a small random case is
released again and again: '1.2' also as '1.2.1', '1.2.2', ... which most ranges that hold the first hold too.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from tests.case import Case, Package
from tests.random_cases import random_case

MAX_VARIANTS = 300
"""Of one family, more or less."""
CROWD = (70, 180)
"""Packages of a crowd; about half of them are in the request."""


def large_case(seed: int) -> Case:
    """Make the case of this seed."""
    rng = random.Random(f"rer-large-{seed}")
    case = random_case(rng.randrange(1_000_000))
    largest = max([*_variants(case).values(), 1])
    releases = rng.randint(65, MAX_VARIANTS) // largest + 1
    packages = [copy for package in case.packages for copy in _released(rng, package, releases)]
    rng.shuffle(packages)
    return replace(case, packages=packages, origin=f"large={seed} {case.origin}")


def _variants(case: Case) -> dict[str, int]:
    """How many variants each family has."""
    found: dict[str, int] = {}
    for package in case.packages:
        found[package.name] = found.get(package.name, 0) + max(1, len(package.variants))
    return found


def _released(rng: random.Random, package: Package, releases: int) -> list[Package]:
    """The package and its later releases, some of which lost a variant or a requirement."""
    copies = [package]
    for number in range(1, releases if package.version else 1):
        variants = list(package.variants)
        requires = list(package.requires)
        if len(variants) > 1 and rng.random() < 0.1:
            variants.pop(rng.randrange(len(variants)))
        if requires and rng.random() < 0.05:
            requires.pop(rng.randrange(len(requires)))
        copies.append(replace(package, version=f"{package.version}.{number}", variants=variants, requires=requires))
    return copies


def crowded_case(seed: int) -> Case:
    """Make the case of this seed: a random case among a crowd of packages that need no choice.

    They are requested between the others and required by some of them, so that the scopes which matter stand far apart.
    """
    rng = random.Random(f"rer-crowded-{seed}")
    case = random_case(rng.randrange(1_000_000))
    crowd = [rng.choice(("A", "m", "z")) + f"_{number}" for number in range(rng.randint(*CROWD))]
    packages = [_mingling(rng, package, crowd, 0.2, ("", "-1", "!")) for package in case.packages]
    names = list(dict.fromkeys(package.name for package in case.packages)) or crowd
    for position, name in enumerate(crowd):
        later = crowd[position + 1 :]
        one = Package(name, "1", rng.sample(later, min(len(later), rng.randint(0, 2))))
        packages += [_mingling(rng, one, names, 0.02, ("",)), Package(name, "2")]
    requests = list(case.requests)
    for name in rng.sample(crowd, len(crowd) // 2):
        requests.insert(rng.randint(0, len(requests)), f"{name}-1")
    rng.shuffle(packages)
    return Case(packages, requests, case.options, f"crowded={seed} {case.origin}")


def _mingling(rng: random.Random, package: Package, names: list[str], chance: float, forms: Sequence[str]) -> Package:
    """The package, which may require one more; '!' stands for a conflict with version 2."""
    if rng.random() >= chance:
        return package
    name, form = rng.choice(names), rng.choice(forms)
    return replace(package, requires=[*package.requires, f"!{name}-2" if form == "!" else name + form])
