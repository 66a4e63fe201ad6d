"""Live rez against us: random cases, the case files, and properties that hold without asking rez.

``pytest tests/test_differential.py --cases 20000 --first-seed 100000`` compares others than every run does. A case that
differs is made smaller and printed as a literal: paste it into a file of ``tests/cases``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rez.version import Requirement as RezRequirement
from rez.version import VersionError

from rer_numba import Repository, SolveResult
from tests.case import Case, Package, load_case_files
from tests.compare import assert_equal, find_difference, our_answer, violations
from tests.large_cases import crowded_case, large_case
from tests.oracle import Answer
from tests.product import answer_of, as_requests, repository_of, solve_case
from tests.random_cases import random_case
from tests.test_broken_packages import broken_case

N_LARGE = 120
LARGE_CHUNK = 40
LARGE_STEPS = 60
N_SEQUENCES = 40
SEQUENCE_CHUNK = 20
PROPERTY_SEEDS = range(7_000_000, 7_000_040)
"""Seeds nobody compares with rez in a usual run: properties need no oracle."""


@pytest.fixture(params=PROPERTY_SEEDS)
def case(request: pytest.FixtureRequest) -> Case:
    """A random case."""
    return random_case(request.param)


# ---- equal to rez


def test_random_cases(seeds: range) -> None:
    for seed in seeds:
        assert_equal(random_case(seed))


@pytest.mark.parametrize("make", [large_case, crowded_case])
@pytest.mark.parametrize("first", range(0, N_LARGE, LARGE_CHUNK))
def test_large_cases(make: Callable[[int], Case], first: int) -> None:
    """Sets of several words. rez takes minutes where many releases have to be gone through, so those are left out."""
    cases = [case for case in map(make, range(first, first + LARGE_CHUNK)) if _steps(case) <= LARGE_STEPS]
    assert len(cases) > 0.8 * LARGE_CHUNK
    for case in cases:
        assert_equal(case)


def _steps(case: Case) -> int:
    return our_answer(case).num_solves


@pytest.mark.parametrize("case", load_case_files(), ids=lambda case: case.origin)
def test_case_files(case: Case) -> None:
    difference = find_difference(case)
    assert difference is None, str(difference)


# ---- the comparison itself


def test_a_difference_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A solver that forgets the last package of each answer."""

    def forgetful(case: Case) -> Answer:
        answer = solve_case(case)
        return replace(answer, resolved=answer.resolved[:-1])

    monkeypatch.setattr("tests.compare.solve_case", forgetful)
    case = next(case for case in map(random_case, range(100)) if len(solve_case(case).resolved) > 3)
    with pytest.raises(AssertionError, match="resolved differ") as caught:
        assert_equal(case)
    literal = str(caught.value)
    assert case.origin in literal
    assert literal.count("'name'") == 1
    assert "rez   Answer(status='solved'" in literal and "ours  Answer(status='solved'" in literal


def test_an_exception_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(case: Case) -> Answer:
        raise KeyError("lost")

    monkeypatch.setattr("tests.compare.solve_case", broken)
    difference = find_difference(Case([Package("lib", "1")], ["lib"]))
    assert difference is not None
    assert (difference.ours.status, difference.ours.error_type) == ("raised", "KeyError")


@pytest.mark.parametrize(
    ("resolved", "ephemerals", "found"),
    [
        ([("lib", "1", None), ("app", "1", 0)], [".feat-2"], []),
        ([("lib", "2", None), ("app", "1", 0)], [".feat-2"], ["lib-1 of app-1"]),
        ([("lib", "1", None)], [".feat-2"], ["app of the request"]),
        ([("lib", "1", None), ("app", "1", 0)], [], [".feat-2+ of app-1"]),
        ([("lib", "1", None), ("app", "1", 0)], [".feat-1"], [".feat-2+ of app-1"]),
        (
            [("lib", "1", None), ("app", "1", 0), ("no", "1", None)],
            [".feat-2"],
            ["!no of the request", "~no-2 of app-1"],
        ),
    ],
)
def test_violations(resolved: list[tuple[str, str, int | None]], ephemerals: list[str], found: list[str]) -> None:
    packages = [
        Package("app", "1", [".feat-2+", "~no-2"], [["lib-1"], ["lib-3"]]),
        *(Package("lib", version) for version in "12"),
        Package("no", "1"),
    ]
    answer = Answer("solved", tuple(resolved), tuple(ephemerals))
    assert violations(Case(packages, ["app", "!no", "~.feat"]), answer) == found


# ---- properties


def test_solutions_satisfy_the_request(case: Case) -> None:
    answer = solve_case(case)
    if answer.status == "solved" and "equal_spelling" not in case.origin:
        assert violations(case, answer) == []


@pytest.mark.parametrize("make", [random_case, broken_case])
@pytest.mark.parametrize("first", range(0, N_SEQUENCES, SEQUENCE_CHUNK))
def test_a_solve_leaves_nothing_behind(make: Callable[[int], Case], first: int) -> None:
    """Work arrays are used again: whatever a solve left, an answer, a failure or an error, the next begins anew."""
    for seed in range(first, first + SEQUENCE_CHUNK):
        case = make(seed)
        repository = repository_of(case.packages)
        for request in _requests_for(case) * 2:
            answer = answer_of(repository, request, **case.options)
            alone = answer_of(repository_of(case.packages), request, **case.options)
            assert answer == alone, f"{case.origin} {request}"


def test_an_error_between_two_extractions_leaves_nothing_behind() -> None:
    """What `app` requires was noted when `bad` turned out to conflict with itself: the next solve notes it again."""
    packages = [Package("app", "1", ["lib"]), Package("bad", "1", ["lib-1", "lib-2"]), Package("lib", "1")]
    repository = repository_of(packages)
    assert answer_of(repository, ["app", "bad"]).error_type == "ResolveError"
    assert answer_of(repository, ["app"]).resolved == (("lib", "1", None), ("app", "1", None))


def test_unrelated_packages_change_nothing(case: Case) -> None:
    """Families before, between and after the others, with versions and ranges between theirs."""
    rng = random.Random(case.origin)
    names = ("AAA", "flu", "mmm", "zzz", "_x", "0x")
    strangers = [
        Package(name, version, [f"{rng.choice(names)}-{rng.randint(0, 9)}+<{rng.randint(10, 99)}.5"])
        for name in names
        for version in ("0.0.1", "1.0.5", "2.1a", "3", "99", "2023.5")
    ]
    # the order within a family stays: that of families, and of the packages of different ones, is free
    mixed = list(case.packages)
    for stranger in strangers:
        mixed.insert(rng.randint(0, len(mixed)), stranger)
    assert solve_case(replace(case, packages=mixed)) == solve_case(case)


def test_the_order_of_packages_changes_no_more_than_it_may(case: Case) -> None:
    """The order within a family shows in the text of a total reduction, and between equal versions."""
    if "equal_spelling" in case.origin:
        pytest.skip("of two spellings of a version the first counts")
    packages = list(case.packages)
    random.Random(case.origin).shuffle(packages)
    assert solve_case(replace(case, packages=packages)).tier_a() == solve_case(case).tier_a()


def test_saved_and_opened(case: Case, tmp_path: Path) -> None:
    repository = repository_of(case.packages)
    repository.save(tmp_path / "case.rer")
    opened = Repository.open(tmp_path / "case.rer")
    assert answer_of(opened, case.requests, **case.options) == answer_of(repository, case.requests, **case.options)
    assert opened.paths == repository.paths


def _requests_for(case: Case) -> list[list[str]]:
    """The request of a case, parts of it, and one for each family."""
    names = dict.fromkeys(package.name for package in case.packages)
    parts = [case.requests[:n] for n in range(len(case.requests))]
    return [case.requests, *parts, *([name] for name in names), *([name, *case.requests] for name in names)]


def _full(result: SolveResult) -> tuple[Any, ...]:
    return (Answer.of(result), result.resolved_packages)


def test_many_solves_equal_single_ones(case: Case) -> None:
    repository = repository_of(case.packages)
    requests = [as_requests(request) for request in _requests_for(case)]
    single = [_full(repository.solve(request, **case.options)) for request in requests]
    assert [_full(result) for result in repository.solve_many(requests, **case.options)] == single


def test_threads_do_not_disturb_each_other(case: Case) -> None:
    """Two threads, each with its own order of the same requests; results are read after all are solved."""
    repository = repository_of(case.packages)
    requests = [as_requests(request) for request in _requests_for(case)]
    single = [_full(repository.solve(request, **case.options)) for request in requests]

    def work(numbers: Sequence[int]) -> dict[int, SolveResult]:
        return {number: repository.solve(requests[number], **case.options) for number in numbers}

    numbers = range(len(requests))
    with ThreadPoolExecutor(2) as pool:
        for results in pool.map(work, [numbers, numbers[::-1]]):
            assert [_full(results[number]) for number in numbers] == single


def test_requirements_of_rez_are_taken(case: Case) -> None:
    repository = repository_of(case.packages)
    try:
        requests = [RezRequirement(text) for text in case.requests]
    except VersionError:
        pytest.skip("rez cannot read this request")
    assert Answer.of(repository.solve(requests, **case.options)) == answer_of(repository, case.requests, **case.options)
