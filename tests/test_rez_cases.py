"""The packages of rez's own solver tests, loaded through rez: every request of one or two items, compared with rez.

The items are each family bare, with '!' and with '~', each version of it, and the ranges that rez's test_solver.py asks
for. A run compares a sample of the 15,129 requests; ``-m exhaustive`` compares all of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import rez
from rez.packages import iter_package_families, iter_packages

from rer_numba import PackageData, Repository
from rer_numba.rez_versions import NEWEST
from tests.oracle import RezOracle
from tests.product import answer_of

PACKAGES = Path(rez.__file__).parent / "data" / "tests" / "solver" / "packages"

RANGES = (
    "python-2.6", "!python-2.5", "!python-2.6+", "!python-2.6.8", "python-2.6.5+", "python-2.7+", "python-0+<2.6",
    "python-0+<2.6.8", "python<2.6.8", "~python-2+", "~python-2.7", "~python-2.7+", "~python<2.6", "pyodd<2", "pybah<5",
    "pyfoo-3.0", "pyfoo-3.1", "nopy<2|>2.1", ".foo-1", ".foo-2", ".foo-2.5", ".foo-2.5+", "!.foo-2", "!.bah",
    "!.bah-2.5+", ".eek-1", ".eek-4.5", "!.eek-3",
)  # fmt: skip
"""What rez/tests/test_solver.py asks for beside names and versions, and a few more on ephemerals and unions."""

SAMPLE = 1200
SAMPLE_SEED = 20260
N_CHUNKS = 32

OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"variant_select_mode": "intersection_priority"},
    {"error_on_missing_variant_requires": False},
    {"building": True},
)


class World(NamedTuple):
    """rez and us on the same packages, in the order in which rez lists them."""

    oracle: RezOracle
    repository: Repository
    items: list[str]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Packages loaded once."""
    if not PACKAGES.is_dir():
        pytest.skip("this installation of rez has no test packages")
    with RezOracle.at_paths([str(PACKAGES)]) as oracle:
        packages = list(_packages())
        repository = Repository.from_packages(packages, paths=[str(PACKAGES)])
        yield World(oracle, repository, _items(packages))


def _packages() -> Iterator[PackageData]:
    paths = [str(PACKAGES)]
    for name in sorted(family.name for family in iter_package_families(paths=paths)):
        yield from map(PackageData.from_rez, iter_packages(name, paths=paths))


def _items(packages: Sequence[PackageData]) -> list[str]:
    names = dict.fromkeys(package.name for package in packages)
    signed = [sign + name for name in names for sign in ("", "!", "~")]
    versions = [f"{package.name}-{package.version}" for package in packages if package.version]
    return list(dict.fromkeys([*signed, *versions, *RANGES]))


def _requests(items: Sequence[str]) -> list[list[str]]:
    return [[first] if first == second else [first, second] for first, second in product(items, repeat=2)]


def _compare(world: World, requests: Sequence[list[str]], options: dict[str, Any]) -> None:
    for request in requests:
        theirs = world.oracle.solve(request, **options)
        ours = answer_of(world.repository, request, **options)
        if theirs.internal:
            assert ours.status in ("solved", "failed"), f"{request} {options}: {ours}"
        else:
            assert ours.tier_b() == theirs.tier_b(), f"{request} {options}"


def test_what_is_compared(world: World) -> None:
    """All families are there, the unversioned one too."""
    assert len({item for item in world.items if not item.startswith(".")}) > 90
    assert {"nada", "~nada", "missing_variant_requires-1", "test_variant_split_mid2-2.0"} <= set(world.items)
    assert len(_requests(world.items)) == (15_129 if rez.__version__ == NEWEST else len(world.items) ** 2)


@pytest.mark.parametrize("part", range(4))
def test_sample(world: World, part: int) -> None:
    sample = random.Random(SAMPLE_SEED).sample(_requests(world.items), SAMPLE)
    # three of four with rez's defaults, the rest with every other option in turn
    plain, others = sample[part::4][30:], sample[part::4][:30]
    _compare(world, plain, {})
    for number, options in enumerate(OPTIONS[1:]):
        _compare(world, others[number :: len(OPTIONS) - 1], options)


def test_single_items(world: World) -> None:
    for options in OPTIONS:
        _compare(world, [[item] for item in world.items], options)


@pytest.mark.exhaustive
@pytest.mark.parametrize("chunk", range(N_CHUNKS))
def test_all_pairs(world: World, chunk: int) -> None:
    _compare(world, _requests(world.items)[chunk::N_CHUNKS], {})


@pytest.mark.exhaustive
@pytest.mark.parametrize("chunk", range(N_CHUNKS))
def test_pairs_with_options(world: World, chunk: int) -> None:
    """Families whose packages have variants, where the mode matters; and what is missing."""
    items = [item for item in world.items if any(word in item for word in ("variant", "missing", "python", "nada"))]
    for options in OPTIONS[1:]:
        _compare(world, _requests(items)[chunk::N_CHUNKS], options)
