"""Random cases whose families have hundreds of variants, so that their masks take several words.

Each package of a small random case is released again and again: '1.2' also as '1.2.1', '1.2.2', ... which most ranges
that hold the first hold too.
"""

from __future__ import annotations

import random
from dataclasses import replace

from tests.case import Case, Package
from tests.random_cases import random_case

MAX_VARIANTS = 300
"""Of one family, more or less."""


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
