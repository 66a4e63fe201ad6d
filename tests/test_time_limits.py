"""What belongs to the time limit of a solve: reading its request, and every start of it; in batches too.

A clock that the test moves, or generous bounds: machines are loaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from rer_numba import PackageData, Repository, solve, stepping
from rer_numba.batch.workers import Workers
from rer_numba.environment import uses_jit
from rer_numba.requests import Lookup, TimeIsUpError, parse_requests
from rer_numba.stepping import Limits

FAMILY = [PackageData("f", str(number)) for number in range(20)]
MANY = [f"!f-{number}" for number in range(10, 6000)]
UNION = "f-" + "|".join(f"=={number}" for number in range(6000))
LIMIT = 0.05
LOADED = 3.0
"""Seconds that a loaded machine may take for what takes milliseconds."""


class Clock:
    """Moves a millisecond each time somebody looks at it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.looks = 0
        monkeypatch.setattr(stepping.time, "perf_counter", self)

    def __call__(self) -> float:
        self.looks += 1
        return self.looks / 1000


@pytest.mark.parametrize("request_", [MANY, [UNION], [UNION, "f<=2000"], ["f", UNION]])
def test_reading_a_request_is_given_up(request_: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Soon after the limit, at whatever it is then."""
    clock = Clock(monkeypatch)
    limits = Limits(time_limit=LIMIT).begun()
    with pytest.raises(TimeIsUpError):
        parse_requests(request_, look=limits.look)
    assert 1000 * LIMIT < clock.looks < 1000 * LIMIT + 50


@pytest.mark.parametrize("request_", [MANY, [UNION], ["f", UNION]])
def test_merging_and_looking_up_are_given_up(request_: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    merged = parse_requests(request_)
    lookup = Lookup(Repository.from_packages(FAMILY).views)
    clock = Clock(monkeypatch)
    limits = Limits(time_limit=LIMIT).begun()
    with pytest.raises(TimeIsUpError):
        lookup.encode(merged.requirements, limits.look)
    assert clock.looks < 1000 * LIMIT + 50
    if len(request_) > 100:
        with pytest.raises(TimeIsUpError):
            parse_requests(request_, look=limits.look)


@pytest.mark.parametrize(
    "solve_within",
    [
        lambda repository, request_, limit: repository.solve(request_, time_limit=limit),
        lambda repository, request_, limit: repository.solve_many([request_], time_limit=limit)[0],
        lambda repository, request_, limit: next(repository.solve_iter([request_], time_limit=limit)),
        lambda _repository, request_, limit: solve(request_, FAMILY, time_limit=limit),
        lambda _repository, request_, limit: solve(request_, load_family=_loaded, time_limit=limit),
    ],
    ids=["solve", "solve_many", "solve_iter", "function", "load_family"],
)
@pytest.mark.parametrize(
    "request_", [[f"!f-{n}" for n in range(10, 60_000)], ["f-" + "|".join(map(str, range(80_000)))]]
)
def test_every_entry(solve_within: Callable[..., object], request_: list[str]) -> None:
    """A request that takes seconds to read ends at its limit."""
    start = time.perf_counter()
    result = solve_within(Repository.from_packages(FAMILY), request_, LIMIT)
    assert (result.status, result.failure_description) == ("aborted", "time limit exceeded")  # type: ignore[attr-defined]
    assert time.perf_counter() - start < LIMIT + LOADED


def _loaded(name: str) -> list[PackageData]:
    return FAMILY if name == "f" else []


def test_a_batch_shows_what_was_asked() -> None:
    """Also of a row whose request was not read to its end; the others are solved."""
    batch = Repository.from_packages(FAMILY).solve_many([["f-3"], MANY, ["f-4"]], time_limit=1e-9)
    assert batch.request(1) == MANY
    assert [batch.request(row) for row in (0, 2)] == [["f-3"], ["f-4"]]
    assert batch[1].status == "aborted"
    assert batch.to_arrow()["request"][1].as_py() == MANY


def test_a_limit_that_is_far_away_changes_nothing() -> None:
    repository = Repository.from_packages(FAMILY)
    requests = [MANY[:200], [UNION], ["f", "!f-3"], ["!f", "f"], ["f-77"]]
    expected = [
        (result.status, result.resolved, result.failure_description) for result in map(repository.solve, requests)
    ]
    for limit in (1000, float("inf"), 1e300):
        batch = repository.solve_many(requests, time_limit=limit)
        assert [(one.status, one.resolved, one.failure_description) for one in batch] == expected
        alone = [repository.solve(request_, time_limit=limit) for request_ in requests]
        assert [(one.status, one.resolved, one.failure_description) for one in alone] == expected


def test_time_that_has_gone_is_not_given_again() -> None:
    limits = Limits(time_limit=10).begun(4)
    assert 5 < limits.left() <= 6
    assert Limits(time_limit=1).begun(5).left() == 0
    assert Limits().begun().left() == -1


def ring(n: int) -> list[PackageData]:
    """Three families that take the newest version from each other in turn, each by an exact version."""
    sides = (("a", "b", 0), ("b", "c", 0), ("c", "a", 1))
    return [PackageData(x, str(v), [f"{y}=={v + more}"]) for x, y, more in sides for v in range(n)]


@pytest.mark.skipif(uses_jit(), reason="uncompiled or checked code is slow")
def test_a_row_that_needs_room_starts_within_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work arrays that grow start it again; the first time took three times the limit."""
    repository = Repository.from_packages(ring(8000))
    deadlines: list[int] = []
    call = Workers._call

    def noting(self: Workers, block: object, session: object, rows: object) -> int:
        status = call(self, block, session, rows)  # type: ignore[arg-type]
        deadlines.append(session.head[stepping.state.DEADLINE])  # type: ignore[attr-defined]
        return status

    monkeypatch.setattr(Workers, "_call", noting)
    batch = repository.solve_many([["a"]], time_limit=0.3, threads=1)
    assert batch[0].status == "aborted"
    assert len(deadlines) > 2, "it needed no room"
    assert len(set(deadlines)) == 1
