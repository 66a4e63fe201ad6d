"""Packages with something wrong in them: the same error as rez, when rez raises it, and none when rez does not look.

rez validates an attribute when it first reads it: `variants` when a package comes into range, `requires` when the
requirements of a slice are first looked at, `build_requires` only when building. A bad version is an error as soon as
its family is listed.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from rer_numba import PackageData, Repository
from rer_numba.packages import BrokenValue
from tests.case import Case, Package
from tests.compare import assert_equal
from tests.oracle import ask_rez
from tests.random_cases import random_case

N_CASES = 500
CHUNK = 100

BAD_REQUIREMENTS = (
    "lib-3+<2", "lib>3<3", "lib-2.0,3", "lib-1.", "lib-1..0", "lib-*", "lib-1|*", "lib<", "lib-1 2", "no name", "", " ",
    "!", "~", "-1", "==1", "a..b", ".", "!.feat", "~.feat-1", "..feat", "a/b", "h\u00e9", "__pycache__", "lib->1",
    "a\nb",    "it's", 'say "hi"', "back\\slash", "lib-1@2",
)  # fmt: skip
BAD_VERSIONS = ("1..2", "1.", ".1", "-1", "1 2", "1/2", "1.*", "1.h\u00e9", "1\n2", "1+")


def broken_case(seed: int) -> Case:
    """A random case with one to four bad texts in it."""
    rng = random.Random(f"rer-broken-{seed}")
    case = random_case(rng.randrange(1_000_000))
    options = dict(case.options)
    if rng.random() < 0.3:
        options["building"] = rng.random() < 0.8
    if not case.packages:
        return case
    packages = list(case.packages)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(packages))
        packages[at] = _broken(rng, packages[at])
        name = rng.choice(packages).name
        # a memory repository of rez shows only the unversioned package of a family that has one
        versioned = all(package.version for package in packages if package.name == name)
        if versioned and rng.random() < 0.1:
            packages.insert(rng.randint(0, len(packages)), Package(name, rng.choice(BAD_VERSIONS)))
    return Case(packages, case.requests, options, f"broken={seed} {case.origin}")


def _broken(rng: random.Random, package: Package) -> Package:
    """The package with a bad text in one of its attributes."""
    text = rng.choice(BAD_REQUIREMENTS)
    if rng.random() < 0.3:
        text = text.replace("lib", package.name)
    where = rng.random()
    if where < 0.45:
        return replace(package, requires=_with(rng, package.requires, text))
    if where < 0.8:
        variants = [list(variant) for variant in package.variants] or [[]]
        at = rng.randrange(len(variants))
        variants[at] = _with(rng, variants[at], text)
        return replace(package, variants=variants)
    return replace(package, build_requires=_with(rng, package.build_requires, text))


def _with(rng: random.Random, texts: list[str], text: str) -> list[str]:
    at = rng.randint(0, len(texts))
    return [*texts[:at], text, *texts[at:]]


@pytest.mark.parametrize("first", range(0, N_CASES, CHUNK))
def test_random_broken_packages(first: int) -> None:
    for seed in range(first, first + CHUNK):
        assert_equal(broken_case(seed))


def test_broken_cases_are_well_mixed() -> None:
    """Errors are met, and others are not: a solve that goes elsewhere must not see them."""
    found: Counter[str] = Counter()
    for case in map(broken_case, range(150)):
        answer = ask_rez(case.packages, case.requests, **case.options)
        text = answer.failure_description or ""
        found[answer.error_type or answer.status] += 1
        found.update(key for key in ("'requires'", "'variants'", "'build_requires'", "Version") if key in text)
    assert min(found[key] for key in ("solved", "failed", "'requires'", "'variants'", "'build_requires'")) >= 3, found
    assert found["VersionError"] >= 1, found


LIB = [Package("lib", "1"), Package("lib", "2")]
BAD = "lib-3+<2"


@pytest.mark.parametrize(
    ("packages", "requests"),
    [
        ([Package("app", "1", [BAD])], ["app"]),
        ([Package("app", "1", [], [["lib"], [BAD]])], ["app"]),
        ([Package("app", "1", [], [], [BAD])], ["app"]),
        ([Package("app", "2", [BAD]), Package("app", "1")], ["app-1"]),
        ([Package("app", "2", [BAD]), Package("app", "1")], ["!app-1", "lib"]),
        ([Package("app", "2", [BAD]), Package("app", "1")], ["app"]),
        ([Package("app", "2", [], [[BAD]]), Package("app", "1")], ["app"]),
        ([Package("app", "1"), Package("app", "1..2")], ["app-1"]),
        ([Package("app", "1"), Package("app", "1..2")], ["!app-1", "lib"]),
        ([Package("app", "1"), Package("app", "1..2"), Package("top", "1", ["app"])], ["top"]),
        ([Package("app", "1"), Package("app", "1..2"), Package("app", "3..4")], ["app"]),
        ([Package("top", "2", ["app-2"]), Package("top", "1"), Package("app", "2", [BAD])], ["top", "lib"]),
        ([Package("top", "2", ["app-2"]), Package("top", "1"), Package("app", "2", [BAD])], ["top", "app-2"]),
        ([Package("top", "2", ["app-2", "lib-1"]), Package("top", "1"), Package("app", "2", [BAD])], ["lib-2", "top"]),
        # a conflict that becomes a slice
        ([Package("app", "2", [], [[BAD]]), Package("app", "1"), Package("top", "1", ["app"])], ["!app-1", "top"]),
        ([Package("app", "2", [BAD]), Package("app", "1"), Package("top", "1", ["app"])], ["!app-1", "top"]),
        ([Package("app", "2"), Package("app", "1..2"), Package("top", "1", ["app"])], ["!app-1", "top"]),
        ([Package("top", "1", ["nowhere"])], ["~nowhere-1", "top"]),
        ([Package("top", "1", ["nowhere"])], ["!nowhere-1", "top"]),
        ([Package("top", "1", ["nowhere"])], ["!nowhere", "top"]),
        ([Package("top", "1", ["nowhere"])], ["~nowhere", "top"]),
        ([Package("top", "1", ["app"]), Package("app", "1")], ["~app-2", "top"]),
        # of two errors: the first package in the given order, and for one package variants before requires
        ([Package("app", "1", [BAD]), Package("app", "2", ["no name"])], ["app"]),
        ([Package("app", "2", ["no name"]), Package("app", "1", [BAD])], ["app"]),
        ([Package("app", "1", [BAD], [["no name"]])], ["app"]),
        ([Package("app", "1", [BAD], [], ["no name"])], ["app"]),
        ([Package("app", "1", [BAD]), Package("app", "2", [], [["no name"]])], ["app"]),
        # against a package whose own requirements conflict
        ([Package("app", "1", ["lib-1", "lib-2"]), Package("app", "2", [BAD])], ["app"]),
        ([Package("app", "2", [BAD]), Package("app", "1", ["lib-1", "lib-2"])], ["app"]),
        ([Package("app", "1", ["lib-1", "lib-2", BAD])], ["app"]),
        ([Package("app", "1", ["lib-1", "lib-2"], [], [BAD])], ["app"]),
        ([Package("app", "1", [], [["lib-1", "lib-2"], [BAD]])], ["app"]),
        # a name that no package can have
        ([Package("no name", "1"), Package("app", "1")], ["app"]),
        ([Package("no name", "1")], ["no name"]),
    ],
)
@pytest.mark.parametrize("options", [{}, {"building": True}, {"error_on_missing_variant_requires": False}], ids=str)
def test_when_an_error_is_met(packages: list[Package], requests: list[str], options: dict[str, Any]) -> None:
    assert_equal(Case([*packages, *LIB], requests, options))


def test_a_filter_reads_the_release_time_before_anybody_reads_the_variants() -> None:
    refused = BrokenValue("PackageMetadataError", "Validation of key 'timestamp' failed: no")
    variants = BrokenValue("PackageMetadataError", "Validation of key 'variants' failed: no")
    package = PackageData.as_found("ape", "1", [], variants, build_requires=[], timestamp=refused, uri=None)
    repository = Repository.from_packages([package])
    assert repository.solve(["ape"]).failure_description == variants.text
    assert repository.solve(["ape"], timestamp=100).failure_description == refused.text
