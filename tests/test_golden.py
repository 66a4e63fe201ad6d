"""The 188 requests of rez's benchmark: equal to rez's recorded answers in every run, to rez with ``-m live_rez``.

Only the data comes from the installed rez (18,226 packages, see `data_set.prepare`); the recorded answers need no rez
to run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from data_set.golden import Golden, GoldenAnswer, read_golden
from data_set.prepare import DataSetError, benchmark_packages, benchmark_requests, input_digests
from rer_numba import Repository, SolveResult
from tests.product import repository_of

N_REQUESTS = 188
LIVE_STEP = 8
"""Live requests are cut into that many groups, so that pytest-xdist can spread them."""


@pytest.fixture(scope="module")
def requests() -> list[list[str]]:
    """The requests, if rez is here to give them."""
    try:
        return benchmark_requests()
    except DataSetError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def repository(requests: list[list[str]]) -> Repository:
    """The packages, encoded."""
    return repository_of(benchmark_packages())


@pytest.fixture(scope="module")
def golden() -> Golden:
    """What rez answered."""
    return read_golden()


@pytest.fixture(scope="module")
def results(repository: Repository, requests: list[list[str]]) -> list[SolveResult]:
    """What we answer: all solved before the first is looked at."""
    return [repository.solve(request) for request in requests]


def as_golden(result: SolveResult, kind: str | None) -> GoldenAnswer:
    """Read off a result what the golden file has; the kind of a failure is rez's own, we only have its text."""
    return GoldenAnswer(
        result.status,
        tuple(result.resolved),
        tuple(result.resolved_ephemerals),
        result.failure_description,
        result.error_type,
        result.num_solves,
        result.num_fails,
        kind,
    )


def test_the_record_is_of_these_inputs(golden: Golden, requests: list[list[str]]) -> None:
    assert golden.header["inputs_sha256"] == input_digests()
    assert len(golden.answers) == len(requests) == N_REQUESTS


@pytest.mark.parametrize("number", range(N_REQUESTS))
def test_recorded(number: int, golden: Golden, results: list[SolveResult]) -> None:
    expected = golden.answers[number]
    assert as_golden(results[number], expected.failure_kind) == expected


def test_packages_have_the_same_names_as_the_tuples(results: list[SolveResult]) -> None:
    for result in results:
        packages = [(p.name, p.version, p.variant_index) for p in result.resolved_packages]
        assert packages == result.resolved


def test_in_one_batch(repository: Repository, requests: list[list[str]], results: list[SolveResult]) -> None:
    batch = repository.solve_many(requests[::-1])
    assert [as_golden(result, None) for result in batch] == [as_golden(result, None) for result in results[::-1]]


def test_total_work(results: list[SolveResult]) -> None:
    """The budget in solve steps: those of rez, no more and no fewer."""
    assert sum(result.num_solves for result in results) == 30_973
    assert sum(result.num_fails for result in results) == 199


# ---- live


@pytest.fixture(scope="module")
def oracle() -> Iterator[Any]:
    """rez's solver over the same packages."""
    from tests.oracle import RezOracle

    with RezOracle(benchmark_packages()) as oracle:
        yield oracle


@pytest.mark.live_rez
@pytest.mark.parametrize("first", range(LIVE_STEP))
def test_live(first: int, oracle: Any, requests: list[list[str]], repository: Repository) -> None:
    from tests.oracle import Answer

    for number in range(first, N_REQUESTS, LIVE_STEP):
        theirs = oracle.solve(requests[number])
        ours = Answer.of(repository.solve(requests[number]))
        assert ours.tier_b() == theirs.tier_b(), f"request {number}: {requests[number]}"
