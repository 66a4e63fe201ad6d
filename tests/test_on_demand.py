"""Solving from a function that loads families: whom it is asked for, and what is remembered."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from rer_numba import PackageData, Repository, on_demand, solve
from rer_numba.encode import FactsDraft
from rer_numba.reach import Reach
from rer_numba.versions import Version, VersionRange
from tests.product import package_data
from tests.random_cases import random_case

PACKAGES = [
    PackageData("app", "1", ["lib-1"]),
    PackageData("app", "2", ["lib-2", "tool"]),
    PackageData("lib", "1"),
    PackageData("lib", "2", ["base"]),
    PackageData("tool", "1", variants=[["lib-1"], ["lib-2"]]),
    PackageData("base", "1"),
    PackageData("other", "1", ["nowhere"]),
]


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    on_demand._idle.clear()
    yield
    on_demand._idle.clear()


class Families:
    """A loader that notes whom it was asked for, and makes new packages each time."""

    def __init__(self, packages: Sequence[PackageData]) -> None:
        self.packages = list(packages)
        self.asked: list[str] = []

    def load(self, name: str) -> list[PackageData]:
        self.asked.append(name)
        return [_copy(package) for package in self.packages if package.name == name]


class Ranges(Families):
    """One that leaves out what lies outside of a range."""

    def __init__(self, packages: Sequence[PackageData]) -> None:
        super().__init__(packages)
        self.ranges: list[tuple[str, str | None]] = []

    def load(self, name: str, version_range: str | None = "") -> list[PackageData]:
        assert version_range is None or version_range
        self.ranges.append((name, version_range))
        wanted = VersionRange(version_range or "")
        return [one for one in super().load(name) if wanted.contains_version(Version(one.version))]


def _copy(one: PackageData) -> PackageData:
    found = one.found
    return PackageData.as_found(
        one.name,
        one.version,
        found.requires,
        found.variants,
        build_requires=found.build_requires,
        timestamp=found.timestamp,
        uri=one.uri,
    )


def _said(result: Any) -> tuple[Any, ...]:
    return (
        result.status,
        result.error_type,
        result.resolved,
        result.resolved_ephemerals,
        result.num_solves,
        result.num_fails,
        result.failure_description,
    )


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The packages that were encoded, as they are."""
    found: list[str] = []
    add = FactsDraft.add

    def noting(self: FactsDraft, package: PackageData, *arguments: Any) -> None:
        if not hasattr(package.found.requires, "error_type"):
            found.append(f"{package.name}-{package.version}")
        add(self, package, *arguments)

    monkeypatch.setattr(FactsDraft, "add", noting)
    return found


def test_whom_it_is_asked_for() -> None:
    """Families that the solve comes to, each once, in every call; not those that only other packages mention."""
    families = Families(PACKAGES)
    for _ in range(2):
        assert solve(["app"], load_family=families.load).status == "solved"
        assert sorted(families.asked) == ["app", "base", "lib", "tool"]
        families.asked.clear()
    solve(["app-1"], load_family=families.load)
    assert sorted(families.asked) == ["app", "lib"]


def test_equal_packages_are_not_encoded_again(encoded: list[str]) -> None:
    families = Families(PACKAGES)
    solve(["app"], load_family=families.load)
    assert len(encoded) == 6
    encoded.clear()
    solve(["app"], load_family=families.load)
    solve(["app"], load_family=lambda name: [*families.load(name)])
    solve(["tool", "lib-1"], load_family=families.load)
    assert encoded == []


def test_an_equal_list_is_not_encoded_again(encoded: list[str]) -> None:
    """Of new objects, in a new list."""
    solve(["app"], map(_copy, PACKAGES))
    encoded.clear()
    assert solve(["app"], list(map(_copy, PACKAGES))).status == "solved"
    assert encoded == []
    assert solve(["app"], [*map(_copy, PACKAGES[:-1]), PackageData("other", "2")]).status == "solved"
    assert len(encoded) == len(PACKAGES)


def test_what_changes_is_seen() -> None:
    """The function is asked in every call, so its answers count, not what it said before."""
    families = Families(PACKAGES)
    assert solve(["lib"], load_family=families.load).resolved[-1][1] == "2"
    families.packages.append(PackageData("lib", "3"))
    assert solve(["lib"], load_family=families.load).resolved == [("lib", "3", None)]
    families.packages = [PackageData("lib", "1", ["base"]), PackageData("base", "2")]
    assert solve(["lib"], load_family=families.load).resolved == [("base", "2", None), ("lib", "1", None)]
    families.packages = []
    assert solve(["lib"], load_family=families.load).error_type == "PackageFamilyNotFoundError"


def test_functions_in_turn() -> None:
    """Each has its own packages, some of them the same."""
    one, two = Families(PACKAGES), Families([*PACKAGES, PackageData("base", "7")])
    for _ in range(3):
        assert ("base", "1", None) in solve(["app"], load_family=one.load).resolved
        assert ("base", "7", None) in solve(["app"], load_family=two.load).resolved


def test_given_families_are_not_asked_for() -> None:
    families = Families([PackageData("lib", "9"), *PACKAGES])
    given = [PackageData("lib", "2")]
    assert solve(["app"], given, load_family=families.load).resolved[0] == ("lib", "2", None)
    assert "lib" not in families.asked


def test_the_range_that_it_is_asked_for() -> None:
    families = Ranges(PACKAGES)
    assert solve(["app-2"], load_family=families.load).status == "solved"
    assert families.ranges[0] == ("app", "2")
    assert ("lib", "2") in families.ranges
    assert ("tool", None) in families.ranges
    families.ranges.clear()
    solve(["app"], load_family=families.load)
    assert ("app", None) in families.ranges


def test_a_range_without_packages() -> None:
    """Whether there is a family at all is another question."""
    families = Ranges(PACKAGES)
    assert solve(["lib-7"], load_family=families.load).error_type == "PackageNotFoundError"
    assert solve(["nope-7"], load_family=families.load).error_type == "PackageFamilyNotFoundError"


@pytest.mark.parametrize("kind", [Families, Ranges])
@pytest.mark.parametrize("first_seed", range(0, 80, 20))
def test_random_cases(first_seed: int, kind: type[Families]) -> None:
    """The same as with all packages at hand, whatever was asked before."""
    for seed in range(first_seed, first_seed + 40):
        case = random_case(seed)
        packages = [package_data(package) for package in case.packages]
        families = kind(packages)
        repository = Repository.from_packages(packages)
        for request in (case.requests, case.requests[:1], case.requests[1:], case.requests):
            expected = repository.solve(request, **case.options)
            found = solve(request, load_family=families.load, **case.options)
            assert _said(found) == _said(expected), (case.origin, request)


def test_a_function_that_contradicts_itself() -> None:
    """Its answers for one range are not part of those for a wider one: then it is asked for all."""
    rng = random.Random(1)

    def load(name: str, version_range: str | None = None) -> list[PackageData]:
        if name == "b":
            return [PackageData("b", f"{rng.random()}")]
        return [PackageData("a", "1", ["b<5"]), PackageData("a", "2", ["b<6"], [["c"]])] if name == "a" else []

    assert solve(["a", "b<1"], load_family=load).status in ("solved", "error")
    assert solve(["a-1", "b"], load_family=load).status == "solved"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([PackageData("a", "1"), PackageData("a", "1")], "load_family('a') gave version '1' twice"),
        ([type("Odd", (), {"name": "a"})()], "load_family('a') gave Odd, not PackageData"),
        ([5], "load_family('a') raised AttributeError: 'int' object has no attribute 'name'"),
        (None, "load_family('a') raised TypeError: 'NoneType' object is not iterable"),
    ],
)
def test_what_cannot_be_used(given: Any, text: str) -> None:
    result = solve(["a"], load_family=lambda _name: given)
    assert (result.status, result.failure_description) == ("error", text)


def test_duplicates_are_reported() -> None:
    """As by pyrer. Versions that are equal and spelled differently are rez's business: the first one counts."""
    result = solve(["a"], [PackageData("a", "1"), PackageData("a", "1", ["b"])])
    assert (result.status, result.failure_description) == ("error", "duplicate package: a-1")
    assert solve(["a"], [PackageData("a", "1.0"), PackageData("a", "1-0")]).resolved == [("a", "1.0", None)]


def test_a_function_that_solves() -> None:
    """With itself, even."""
    families = Families(PACKAGES)

    def load(name: str) -> list[PackageData]:
        if name == "app":
            assert solve(["lib"], load_family=load).status == "solved"
        return families.load(name)

    assert solve(["app"], load_family=load).status == "solved"


def test_orderers_filters_and_limits() -> None:
    oldest = {"type": "sorted", "descending": False}
    families = Ranges(PACKAGES)
    for source in ({"packages": PACKAGES}, {"load_family": families.load}):
        assert solve(["app"], package_orderers=[oldest], **source).resolved[-1] == ("app", "1", None)
        assert solve(["app"], filters=[("exclude", "app-2")], **source).resolved[-1] == ("app", "1", None)
        assert solve(["app"], package_filter={"excludes": ["lib-2"]}, **source).resolved[-1] == ("app", "1", None)
        assert solve(["app"], max_iterations=0, **source).status == "aborted"
        result = solve(["app"], max_iterations=99, **source)
        assert (result.status, result.num_iterations) == ("solved", result.num_solves)
        assert solve(["app"], timestamp=5, building=True, **source).status == "solved"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"filters": [("exclude", "a")], "package_filter": {"excludes": ["a"]}}, TypeError),
        ({"filters": [("hide", "a")]}, ValueError),
        ({"max_iterations": "5"}, TypeError),
        ({"unknown": 5}, TypeError),
        ({"variant_select_mode": "newest"}, ValueError),
    ],
)
def test_arguments_that_cannot_be_used(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        solve(["app"], PACKAGES, **arguments)


def test_a_function_that_is_slow_is_asked_within_the_limit() -> None:
    """Before, the limit was that of each solve, and loading lay outside of it."""
    asked: list[str] = []

    def load(name: str) -> list[PackageData]:
        asked.append(name)
        time.sleep(0.02)
        return [PackageData(name, "1", [f"n{int(name[1:]) + 1}"])]

    result = solve(["n0"], load_family=load, time_limit=0.2)
    assert (result.status, result.failure_description) == ("aborted", "time limit exceeded")
    assert len(asked) < 20


def test_many_families_take_no_longer_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """32,000 in one request took 65 s: for each of them all were looked through."""
    looked_at = [0]

    class Slices(dict[str, int]):
        def __reversed__(self) -> Iterator[str]:  # type: ignore[override]
            for name in reversed(list(super().__iter__())):
                looked_at[0] += 1
                yield name

        def __iter__(self) -> Iterator[str]:
            raise AssertionError("all are looked through")

        items = keys = values = __iter__  # type: ignore[assignment]

    reach = Reach(None)  # type: ignore[arg-type]
    settled: list[str] = []

    def settle(name: str, _mask: int, slices: dict[str, int]) -> dict[str, int]:
        settled.append(name)
        if len(settled) < 1000:  # each brings a family that was not there
            slices[f"more_{len(settled)}"] = 5
        return {}

    monkeypatch.setattr(reach, "_likely", settle)
    slices = Slices((f"f{number}", 3) for number in range(1000))
    reach._settle_down(slices)
    assert len(settled) == len(set(settled)) == 1999
    assert looked_at[0] < 2 * len(settled)
