"""Live rez against us where a studio configures something: orderers, filters, times, building, alone and combined.

``pytest tests/test_policy_differential.py --cases 20000 --first-seed 100000`` compares others than every run does. A
case that differs is made smaller and printed as a literal, options included.
"""

from __future__ import annotations

import random
import re
import sys
import zlib
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from rez.package_filter import PackageFilter, PackageFilterList, Rule
from rez.package_order import PackageOrder

from rer_numba.rez_versions import OrderMeaning
from tests.case import Case, Package, case_from_literal, format_case
from tests.compare import Difference, assert_equal, find_difference, is_left_to_rez, our_answer, violations
from tests.large_cases import large_case
from tests.oracle import Answer, RezOracle, ask_rez
from tests.order_cases import MEANING, makes_keys
from tests.product import answer_of, repository_of, solve_case
from tests.random_cases import random_case
from tests.random_options import KINDS, random_options_case, with_options
from tests.sort_spy import is_weak_order, sorts_without_order

LARGE_SEEDS = range(40)
SEEDS = range(8_000_000, 8_000_150)
"""Of the tests that need no comparison of many cases."""

compared: Counter[str] = Counter()
"""How many cases were compared in this process, and how many of them were left out."""


def find_explicable(case: Case) -> Difference | None:
    """As `find_difference`, but leave out sorts whose outcome is known to differ.

    See `test_circle_that_a_reduction_leaves`.
    """
    found = find_difference(case)
    return None if found is None or sorts_without_order(case) else found


# ---- equal to rez


def test_random_options(seeds: range) -> None:
    for seed in seeds:
        case = random_options_case(seed)
        compared["all"] += 1
        compared["left to rez"] += MEANING is OrderMeaning.LISTS and is_left_to_rez(our_answer(case))
        if find_difference(case) is not None:
            assert_equal(case, find_explicable)
            compared["left out"] += 1


def test_few_cases_are_left_out() -> None:
    assert compared["left out"] <= max(1, 0.005 * compared["all"]), compared
    assert compared["left to rez"] <= max(3, 0.05 * compared["all"]), compared


def test_large_families() -> None:
    """Masks of several words. rez takes minutes where many releases have to be gone through, so those are left out."""
    n_compared = 0
    for seed in LARGE_SEEDS:
        case = with_options(large_case(seed), seed)
        if our_answer(case).num_solves <= 60:
            n_compared += 1
            assert_equal(case, find_explicable)
    assert n_compared > 0.8 * len(LARGE_SEEDS)


@makes_keys
def test_circle_that_a_reduction_leaves() -> None:
    """What rez makes of a circle of keys depends on how it sorted before: the one known difference.

    boost-4 < boost-1+ < flow-2 < boost-4, since the newest boost that is preferred is 2. Delete this with the fix.
    """
    variants = [["boost-1+"], ["boost-4"], ["flow-2"], ["flow-2", "!zync"]]
    packages = [
        Package("app", "1", variants=variants),
        Package("boost", "4"),
        Package("zync", "1"),
        Package("tool", "1", ["zync"]),
    ]
    split = {"type": "version_split", "first_version": "2", "packages": ["boost"]}
    case = Case(packages, ["app", "tool"], {"package_orderers": [split]})
    found = find_difference(case)
    if sys.version_info >= (3, 13):  # there list.sort looks for runs otherwise, and comes to what we come to
        assert found is None
        return
    assert found is not None and found.what == ("resolved", "num_solves")
    assert sorts_without_order(case) and find_explicable(case) is None
    assert violations(case, found.ours) == []


def test_every_kind_of_option_is_reached_and_read_back() -> None:
    seen: Counter[str] = Counter()
    for case in map(random_options_case, range(300)):
        assert case_from_literal(format_case(case)) == case
        kinds = [word[1:] for word in case.origin.split() if word.startswith("&")]
        seen.update([*kinds, "alone" if len(kinds) == 1 else "combined"])
    assert set(seen) == {*KINDS, "alone", "combined"}
    assert min(seen.values()) >= 30


# ---- objects of a user's own class


class ByDigest(PackageOrder):
    """Subclass of rez's: versions in an order that nobody would think of, with ties."""

    name = "by_digest"

    def __init__(self, salt: int, packages: Any = None) -> None:
        super().__init__(packages)
        self.salt = salt

    def sort_key_implementation(self, package_name: str, version: Any) -> int:
        text = re.sub("[-_]", ".", str(version))
        return zlib.crc32(f"{self.salt} {package_name} {text}".encode()) % 5


class Duck:
    """No subclass of anything: has rez's sort_key, and keys that are numbers."""

    def __init__(self, packages: list[str]) -> None:
        self.packages = packages

    def sort_key(self, package_name: str, version_like: Any) -> Any:
        if version_like is None:
            return 0
        return zlib.crc32(f"{package_name} {_number_of_ends(version_like)}".encode()) % 7


def _number_of_ends(version_like: Any) -> int:
    return len(version_like.bounds) if hasattr(version_like, "bounds") else len(str(version_like))


def _with_own_orderer(seed: int) -> Case:
    case = random_case(seed)
    rng = random.Random(seed)
    names = sorted({package.name for package in case.packages} or {"none"})
    some = rng.sample(names, rng.randint(1, len(names)))
    orderers: list[Any] = [rng.choice((ByDigest(seed), ByDigest(seed, some), Duck(some), Duck(["*"])))]
    if rng.random() < 0.4:
        orderers.append({"type": "sorted", "descending": False})
    return replace(case, options={**case.options, "package_orderers": orderers})


@makes_keys
def test_own_orderers() -> None:
    solved = 0
    for seed in SEEDS:
        case = _with_own_orderer(seed)
        found = find_explicable(case)
        assert found is None, str(found)
        solved += solve_case(case).status == "solved"
    assert solved > len(SEEDS) / 3


class Counting(Rule):
    """A rule of one's own: counts what it is asked about. It matches few packages, or most of them."""

    name = "counting"

    def __init__(self, salt: int, family: str | None = None) -> None:
        self.salt = salt
        self.most = False
        self._family = family
        self.asked: Counter[str] = Counter()

    def match(self, package: Any) -> bool:
        self.asked[package.qualified_name] += 1
        return (zlib.crc32(f"{self.salt} {package.qualified_name}".encode()) % 10 == 0) is not self.most

    def cost(self) -> int:
        return 10

    def family(self) -> str | None:
        return self._family

    def __str__(self) -> str:
        return f"counting({self.salt})"


def _filter_with(rule: Counting, seed: int, case: Case) -> PackageFilterList:
    """A filter of rez's that holds the rule, as an exclusion or an inclusion, and others besides."""
    rng = random.Random(seed)
    only = PackageFilter()
    if rng.random() < 0.3:
        only.add_exclusion(Rule.parse_rule(f"{case.packages[0].name}-{case.packages[0].version or '1'}"))
    if rng.random() < 0.7:
        only.add_exclusion(rule)
    else:
        rule.most = True
        only.add_exclusion(Rule.parse_rule("*"))
        only.add_inclusion(rule)
        only.add_inclusion(Rule.parse_rule("regex([a-m].*)"))
    several = PackageFilterList()
    several.add_filter(only)
    return several


def _asked_of_rule(seed: int, ours: bool) -> tuple[Answer, Counter[str]]:
    case = random_case(seed)
    names = sorted({package.name for package in case.packages})
    rule = Counting(seed, random.Random(seed).choice([*names, *[None] * len(names)]))
    options = {**case.options, "package_filter": _filter_with(rule, seed, case)}
    answer = solve_case(replace(case, options=options)) if ours else ask_rez(case.packages, case.requests, **options)
    return answer, rule.asked


def test_own_rules_are_asked_as_rez_asks_them() -> None:
    """About the packages that a solve looks at, and about each of them once."""
    n_asked = 0
    for seed in SEEDS:
        if not random_case(seed).packages:
            continue
        expected, asked_by_rez = _asked_of_rule(seed, ours=False)
        answer, asked = _asked_of_rule(seed, ours=True)
        if expected.internal:
            continue
        assert answer.tier_b() == expected.tier_b(), seed
        assert asked == asked_by_rez, seed
        n_asked += asked.total()
    assert n_asked > 3 * len(SEEDS)


def test_own_rule_is_asked_once_for_all_solves() -> None:
    packages = [Package("app", version, ["lib"]) for version in "123"] + [Package("lib", version) for version in "12"]
    rule = Counting(1)
    package_filter = _filter_with(rule, 1, Case(packages, []))
    repository = repository_of(packages)
    for request in (["lib"], ["app-2"], ["app"], ["app"], ["lib-1"]):
        answer_of(repository, request, package_filter=package_filter)
    assert set(rule.asked.values()) == {1}


# ---- without rez


@pytest.mark.parametrize("request_", [["app"], ["app-1"], ["lib"], ["app", "~lib"], ["nothing"]])
def test_unversioned_packages_not_allowed(request_: list[str]) -> None:
    """As if they were not there, which a memory repository of rez cannot do."""
    versioned = [Package("app", "1", ["lib"]), Package("lib", "1"), Package("lib", "2")]
    packages = [Package("app"), *versioned, Package("lib"), Package("nothing")]
    answer = solve_case(Case(packages, request_, {"allow_unversioned_packages": False}))
    assert answer.tier_b() == solve_case(Case(versioned, request_)).tier_b()


def of_newest(case: Case) -> Answer:
    """Our answer, whichever rez is here."""
    return answer_of(repository_of(case.packages), case.requests, **case.options)


def test_unversioned_packages_are_left_out_of_random_cases() -> None:
    """Together with whatever else is configured: only release times of the others may count."""
    n_unversioned = 0
    for seed in range(600):
        case = random_options_case(seed)
        without = [package for package in case.packages if package.version]
        if len(without) == len(case.packages):
            continue
        n_unversioned += 1
        hidden = replace(case, options={**case.options, "allow_unversioned_packages": False})
        assert of_newest(hidden).tier_a() == of_newest(replace(case, packages=without)).tier_a(), case.origin
    assert n_unversioned > 20


def test_policies_do_not_leak() -> None:
    """One repository, solved under several options in turn."""
    for seed in range(8_100_000, 8_100_040):
        case = random_options_case(seed)
        repository = repository_of(case.packages)
        one, other = case.options, random_options_case(seed + 100).options
        other = {name: value for name, value in other.items() if name != "implicit_packages"}
        expected = [of_newest(replace(case, options=options)) for options in (one, other, {}, one, {}, other)]
        found = [answer_of(repository, case.requests, **options) for options in (one, other, {}, one, {}, other)]
        assert found == expected, case.origin


# ---- the oracle


def test_oracle_reads_release_times_of_its_own_packages() -> None:
    """Though rez looks for them where packages are configured to be, and several oracles are open."""
    pods = [{"type": "soft_timestamp", "timestamp": 5}]
    late, early = ([Package("lib", "1", timestamp=1), Package("lib", "2", timestamp=time)] for time in (9, 2))
    with RezOracle(late) as one, RezOracle(early) as two:
        for _ in range(2):
            assert one.solve(["lib"], package_orderers=pods).resolved == (("lib", "1", None),)
            assert two.solve(["lib"], package_orderers=pods).resolved == (("lib", "2", None),)
            assert one.solve(["lib"]).resolved == (("lib", "2", None),)


def test_oracle_combines_time_and_filter_as_rez() -> None:
    packages = [Package("lib", "1", timestamp=1), Package("lib", "2", timestamp=9), Package("lib", "3", timestamp=9)]
    with RezOracle(packages) as oracle:
        assert oracle.solve(["lib"], timestamp=5).resolved == (("lib", "1", None),)
        assert oracle.solve(["lib"], timestamp=0).resolved == (("lib", "3", None),)
        rescued = {"excludes": ["lib-1"], "includes": ["lib-2"]}
        assert oracle.solve(["lib"], timestamp=5, package_filter=rescued).resolved == (("lib", "2", None),)
        assert oracle.solve(["lib"], implicit_packages=["~lib<3"]).resolved == (("lib", "2", None),)
        assert oracle.solve([], implicit_packages=["~lib<3"]).resolved == ()


def test_weak_order() -> None:
    class Circle(int):
        def __lt__(self, other: int) -> bool:
            return (other - self) % 3 == 1

    assert is_weak_order([3, 1, 1, 2])
    assert not is_weak_order([1, "1"])
    assert not is_weak_order([Circle(0), Circle(1), Circle(2)])
