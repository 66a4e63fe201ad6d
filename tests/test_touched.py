"""What a solve touches: the families that live rez lists and the packages it loads or hides, in its order.

rez says what it loads through its `package_load_callback`, and tests/touched_spy.py listens to the rest. Equal for
solved requests, failures and errors alike, also for the package in the middle of a look-up that ends a solve.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rez

from data_set.prepare import DataSetError, benchmark_packages, benchmark_requests
from rer_numba import PackageData, Repository, state
from rer_numba.encode import encode
from rer_numba.errors import UncertainOrderError
from tests.case import Case, Package
from tests.compare import is_left_to_rez, rez_died
from tests.kernels_child import TINY, small_work_arrays, wide_case
from tests.large_cases import crowded_case, large_case
from tests.oracle import RezOracle
from tests.product import repository_of
from tests.random_cases import random_case
from tests.random_options import random_options_case
from tests.test_broken_packages import broken_case
from tests.test_policy_differential import Counting, _filter_with
from tests.touched_spy import Seen, seen_by_rez, seen_by_us

LOADED_BY_THE_188 = 387_163
"""Packages that rez loads for the 188 requests of its benchmark, one by one; see `test_live`."""
LIVE = (0, 9, 28, 47, 66, 85, 104, 119, 150, 187)
MAX_STEPS = 60
"""rez takes minutes for large families where many releases have to be gone through."""

compared: Counter[str] = Counter()
"""What the cases compared by this process came to."""


def assert_touched(case: Case) -> None:
    """Compare one case with live rez."""
    try:
        ours, seen = seen_by_us(
            repository_of(case.packages), case.requests, rez_version=rez.__version__, **case.options
        )
    except UncertainOrderError:  # up to rez 3.0
        return
    if ours.num_solves > MAX_STEPS and case.origin.startswith("large"):
        return
    with RezOracle(case.packages) as oracle:
        theirs, expected = seen_by_rez(oracle, case.requests, **case.options)
    if rez_died(theirs) or is_left_to_rez(ours):
        return
    assert ours.tier_a() == theirs.tier_a(), case.origin
    assert seen == expected, case.origin
    compared.update(["cases", theirs.error_type or theirs.status, *(("hidden",) if seen.hidden else ())])


# ---- random cases


@pytest.mark.parametrize(
    ("make", "numbers"),
    [
        (random_case, range(300)),
        (random_options_case, range(300)),
        (broken_case, range(200)),
        (large_case, range(12)),
        (crowded_case, range(12)),
    ],
)
def test_random(make: Callable[[int], Case], numbers: range) -> None:
    for seed in numbers:
        assert_touched(make(seed))


def test_own_rules() -> None:
    """A filter that is asked while the solve goes on, which then begins again."""
    for seed in range(60):
        case = random_case(seed)
        if case.packages:
            package_filter = _filter_with(Counting(seed), seed, case)
            assert_touched(replace(case, options={**case.options, "package_filter": package_filter}))


def test_cases_were_well_mixed() -> None:
    if compared["cases"] < 600:
        pytest.skip("the cases above ran elsewhere")
    found = ("solved", "failed", "hidden", "PackageMetadataError", "PackageNotFoundError", "VersionError")
    assert min(compared[name] for name in found) >= 5, compared


# ---- small ones


LIB = [Package("lib", "3"), Package("lib", "1"), Package("lib", "2")]
TWO = [Package(name, version) for name in ("a", "b", "c") for version in "12"]
BAD = [["lib-3+<2"]]


@pytest.mark.parametrize(
    ("packages", "requests", "families", "loaded"),
    [
        # in the order they were handed in
        (LIB, ["lib"], ["lib"], ["lib-3", "lib-1", "lib-2"]),
        (LIB, ["lib-2+"], ["lib"], ["lib-3", "lib-2"]),
        # each once, also when a later look-up finds more
        ([*LIB, Package("app", "2", ["lib-2+"]), Package("app", "1", ["lib"], [["nowhere"]])], ["app"], None, None),
        # conflicts that become slices, in the order of the request, before what is new
        ([*TWO, Package("app", "1", ["a", "b", "c"])], ["app", "!c-1", "!b-1"], ["app", "c", "b", "a"],
         ["app-1", "c-2", "b-2", "a-1", "a-2"]),
        # the same when nothing is left in the end: the first is looked up, the second fails
        ([*TWO, Package("app", "1", ["a", "b", "c"])], ["app", "!c-1", "!b"], ["app", "c"], ["app-1", "c-2"]),
        # nothing is looked up when the extractions contradict each other
        ([*TWO, Package("x", "1", ["a-1", "b"]), Package("y", "1", ["a-2"])], ["x", "y"], ["x", "y"], ["x-1", "y-1"]),
        # the first that cannot be loaded is the last
        ([LIB[0], Package("lib", "1", [], BAD), LIB[2]], ["lib"], ["lib"], ["lib-3", "lib-1"]),
        ([LIB[0], Package("lib", "2", [], BAD), Package("lib", "1", [], BAD)], ["lib"], ["lib"], ["lib-3", "lib-2"]),
        ([LIB[0], Package("lib", "1", [], BAD), LIB[2]], ["lib-2+"], ["lib"], ["lib-3", "lib-2"]),
        # families that do not exist, or cannot be listed
        (TWO, ["a-1", "nothing", "b"], ["a", "nothing"], ["a-1"]),
        (TWO, ["a-1", "!nothing", "b-7"], ["a", "b"], ["a-1"]),
        ([*TWO, Package("d", "1..2")], ["a-1", "d", "b"], ["a", "d"], ["a-1"]),
        # not even the first phase
        (TWO, ["a-1", "b", "a-2"], [], []),
        (TWO, [], [], []),
    ],
)  # fmt: skip
def test_small(
    packages: list[Package], requests: list[str], families: list[str] | None, loaded: list[str] | None
) -> None:
    assert_touched(Case(packages, requests))
    _, seen = seen_by_us(repository_of(packages), requests)
    assert families is None or seen.families == families
    assert loaded is None or [f"{name}-{version}" for name, version in seen.packages] == loaded
    assert len(set(seen.packages)) == len(seen.packages)


def test_missing_family_that_is_tolerated() -> None:
    """It is listed in the phase that fails for it; what would have come after it is not."""
    packages = [Package("app", "2", ["a", "nowhere", "z"]), Package("app", "1", ["c"]), Package("z", "1"), *TWO]
    case = Case(packages, ["app"], {"error_on_missing_variant_requires": False})
    assert_touched(case)
    _, seen = seen_by_us(repository_of(packages), case.requests, **case.options)
    assert seen.families == ["app", "a", "nowhere", "c"]


def test_hidden_packages() -> None:
    """They came into range: rez has read when they were released."""
    packages = [Package("a", "1", timestamp=10), Package("a", "2", timestamp=30), Package("a", "3", timestamp=40)]
    case = Case(packages, ["a<3"], {"timestamp": 20})
    assert_touched(case)
    _, seen = seen_by_us(repository_of(packages), case.requests, **case.options)
    assert seen == Seen(["a"], [("a", "1")], [("a", "2")])


def test_unversioned_packages_that_are_not_allowed() -> None:
    repository = repository_of([Package("a", ""), Package("b", ""), Package("b", "1")])
    answer, seen = seen_by_us(repository, ["b"], allow_unversioned_packages=False)
    assert (answer.status, seen) == ("solved", Seen(["b"], [("b", "1")], [("b", "")]))
    answer, seen = seen_by_us(repository, ["b", "a"], allow_unversioned_packages=False)
    assert (answer.status, seen) == ("error", Seen(["b", "a"], [("b", "1")], [("b", "")]))


@pytest.mark.parametrize("timestamp", [None, 150])
def test_filter_that_dies_of_a_package(tmp_path: Path, timestamp: int | None) -> None:
    """For its release time rez reads a broken file before it says that it loads the package."""
    for name, source in (("good", "name = 'good'\nversion = '1'\ntimestamp = 100\n"), ("bad", "syntax error\n")):
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "1" / "package.py").write_text(source)
    with RezOracle.at_paths([str(tmp_path)]) as oracle:
        theirs, expected = seen_by_rez(oracle, ["good", "bad"], timestamp=timestamp)
    assert theirs.status == "error"
    assert len(expected.packages) == (2 if timestamp is None else 1)
    tables = encode([PackageData("good", "1", timestamp=100), PackageData("bad", "1", variants=BAD)])
    # any type of error that is not about the variants keeps the file from being loaded
    tables = tables._replace(error_type_text=tables.family_text[:1])
    _, seen = seen_by_us(Repository(tables), ["good", "bad"], timestamp=timestamp)
    assert seen == expected


# ---- room, and what a solve leaves to the next


def test_work_arrays_that_are_too_small() -> None:
    """What was noted before a solve began again is gone."""
    cases = [*map(random_case, range(1000, 1080)), *map(random_options_case, range(80)), *map(broken_case, range(40))]
    cases += [wide_case(65), wide_case(200)]
    expected = [seen_by_us(repository_of(case.packages), case.requests, **case.options) for case in cases]
    with small_work_arrays(TINY) as grew:
        for case, answer in zip(cases, expected, strict=True):
            assert seen_by_us(repository_of(case.packages), case.requests, **case.options) == answer, case.origin
    assert "load" in grew
    with small_work_arrays({**state.GROUPS, "load": 1}) as grew:
        for case, answer in zip(cases, expected, strict=True):
            assert seen_by_us(repository_of(case.packages), case.requests, **case.options) == answer, case.origin
    assert grew == {"load"}


def test_solves_do_not_leak() -> None:
    """One repository and its work arrays, used in turn for other requests and other options."""
    for seed in range(8_300_000, 8_300_040):
        case = random_options_case(seed)
        repository = repository_of(case.packages)
        turns: list[tuple[Sequence[str], dict[str, Any]]] = [
            (case.requests, case.options), (case.requests[:1], {}), (["nowhere"], {}), (case.requests, {}),
            (case.requests, case.options),
        ]  # fmt: skip
        expected = [seen_by_us(repository_of(case.packages), requests, **options) for requests, options in turns]
        assert [seen_by_us(repository, requests, **options) for requests, options in turns] == expected, case.origin


# ---- rez's benchmark


@pytest.fixture(scope="module")
def benchmark() -> tuple[Repository, list[list[str]]]:
    """The repository and the requests, if rez is here to give them."""
    try:
        return repository_of(benchmark_packages()), benchmark_requests()
    except DataSetError as error:
        pytest.skip(str(error))


def test_the_188(benchmark: tuple[Repository, list[list[str]]]) -> None:
    repository, requests = benchmark
    seen = [seen_by_us(repository, request)[1] for request in requests]
    assert sum(len(one.packages) for one in seen) == LOADED_BY_THE_188
    assert not any(one.hidden for one in seen)


@pytest.fixture(scope="module")
def oracle() -> Iterator[RezOracle]:
    """rez's solver over the same packages."""
    with RezOracle(benchmark_packages()) as oracle:
        yield oracle


@pytest.mark.live_rez
@pytest.mark.parametrize("number", LIVE)
def test_live(number: int, oracle: RezOracle, benchmark: tuple[Repository, list[list[str]]]) -> None:
    repository, requests = benchmark
    assert seen_by_us(repository, requests[number])[1] == seen_by_rez(oracle, requests[number])[1]
