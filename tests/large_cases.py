"""Random cases that are large: families with hundreds of variants, and solves with more than 64 scopes.

Sets of variants, and sets of scopes, take several words then. For the first, each package of a small random case is
released again and again: '1.2' also as '1.2.1', '1.2.2', ... which most ranges that hold the first hold too.
"""

from __future__ import annotations

import random
from dataclasses import replace

from tests.case import Case, Package
from tests.oracle import ask_rez
from tests.random_cases import random_case

MAX_VARIANTS = 300
"""Of one family, more or less."""
CROWD_SPLITS = 6
CROWD = 150
"""Families of a crowded case; about half of them are part of its solution."""


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
    """Make a case of several small ones side by side, so that a solve has more than 64 scopes.

    Each gets names of its own. Together they have few splits, since every failed phase makes rez go through all of
    them, whose number doubles with each. The last part may have no solution, if that shows at once.
    """
    rng = random.Random(f"rer-crowded-{seed}")
    parts: list[Case] = []
    splits = CROWD_SPLITS
    while sum(len({package.name for package in part.packages}) for part in parts) < CROWD:
        part = random_case(rng.randrange(1_000_000))
        answer = ask_rez(part.packages, part.requests, **part.options)
        if answer.status == "solved" and answer.num_fails == 0 and answer.num_solves <= splits + 1:
            parts.append(part)
            splits -= answer.num_solves - 1
    parts.append(_last_part(rng))
    packages: list[Package] = []
    requests: list[str] = []
    for number, part in enumerate(parts):
        prefix = rng.choice("aMz_") + str(number)
        packages += [_renamed(package, prefix) for package in part.packages]
        requests += [_prefixed(text, prefix) for text in part.requests]
    rng.shuffle(packages)
    rng.shuffle(requests)
    return Case(packages, requests, parts[-1].options, f"crowded={seed}")


def _last_part(rng: random.Random) -> Case:
    while True:
        part = random_case(rng.randrange(1_000_000))
        if ask_rez(part.packages, part.requests, **part.options).num_solves <= 1:
            return part


def _renamed(package: Package, prefix: str) -> Package:
    return replace(
        package,
        name=prefix + package.name,
        requires=[_prefixed(text, prefix) for text in package.requires],
        variants=[[_prefixed(text, prefix) for text in variant] for variant in package.variants],
        build_requires=[_prefixed(text, prefix) for text in package.build_requires],
    )


def _prefixed(text: str, prefix: str) -> str:
    """The requirement with a longer name."""
    start = len(text) - len(text.lstrip("!~."))
    return text[:start] + prefix + text[start:]
