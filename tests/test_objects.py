"""Results that leave their repository, and tables that do not grow for ever."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rer_numba import PackageData, Repository, SolveResult, requests, tell
from rer_numba.errors import RezError, VersionError
from rer_numba.rez_bridge.stats import record, reset, stats

PACKAGES = [
    PackageData("app", "1", ["lib"], variants=[["tool-1"], ["tool-2"]]),
    PackageData("lib", "1", [".feature-1"]),
    PackageData("tool", "1"),
    PackageData("tool", "2", ["!lib"]),
    PackageData("lost", "1", ["nothing"]),
    PackageData("ring", "1", ["gear"]),
    PackageData("gear", "1", ["ring"]),
]
REQUESTS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "solved": (["app", ".other-3"], {}),
    "failed": (["app", "tool-2"], {}),
    "cycle": (["ring"], {}),
    "fail limit": (["app", "tool-2"], {"max_fails": 1}),
    "time limit": (["app", "~tool-1"], {"time_limit": 0}),
    "error": (["lost"], {}),
    "bad request": (["app-1", "=="], {}),
    "conflict in request": (["app-1", "app-2"], {}),
}
COPIES: dict[str, Callable[[SolveResult], SolveResult]] = {
    "pickle": lambda result: pickle.loads(pickle.dumps(result)),
    "old pickle": lambda result: pickle.loads(pickle.dumps(result, protocol=2)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


def everything_of(result: SolveResult) -> dict[str, Any]:
    names = [name for name in dir(result) if not name.startswith("_") and name not in ("reader", "variants")]
    values = {name: getattr(result, name) for name in names}
    values["raise_for_status"] = raised_by(result)
    return values


def raised_by(result: SolveResult) -> tuple[str, str] | None:
    if result.status == "solved":
        result.raise_for_status()
        return None
    with pytest.raises((RezError, VersionError)) as caught:
        result.raise_for_status()
    error = caught.value
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))
    return type(error).__name__, str(error)


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("how", COPIES)
def test_a_result_says_the_same_when_it_is_copied(kind: str, how: str) -> None:
    request, limits = REQUESTS[kind]
    result = Repository.from_packages(PACKAGES).solve(request, **limits)
    copied = COPIES[how](result)
    assert everything_of(copied) == everything_of(result)
    assert everything_of(COPIES[how](copied)) == everything_of(result)
    assert repr(copied) == repr(result)


def test_results_of_a_batch_pickle() -> None:
    batch = Repository.from_packages(PACKAGES).solve_many([request for request, _ in REQUESTS.values()])
    copied = pickle.loads(pickle.dumps(list(batch)))
    assert list(map(everything_of, copied)) == list(map(everything_of, batch))


def test_a_pickle_holds_no_repository() -> None:
    many = [PackageData(f"other{n}", str(n), ["lib"]) for n in range(2000)]
    small, large = (Repository.from_packages(PACKAGES + more).solve(["app"]) for more in ([], many))
    assert len(pickle.dumps(large)) == len(pickle.dumps(small)) < 1000


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_result_survives_its_repository(kind: str, tmp_path: Path) -> None:
    request, limits = REQUESTS[kind]
    wanted = Repository.from_packages(PACKAGES).solve(request, **limits)
    Repository.from_packages(PACKAGES).save(tmp_path / "one.rer")
    repository = Repository.open(tmp_path / "one.rer")
    result = repository.solve(request, **limits)
    Repository.from_packages([PackageData("app", "7")]).save(tmp_path / "two.rer")
    (tmp_path / "two.rer").replace(tmp_path / "one.rer")
    del repository
    gc.collect()
    found, expected = everything_of(result), everything_of(wanted)
    for one in (found, expected):
        del one["solve_time_ms"]
    assert found == expected


# ------------------------------------------------------------------------------------------------- what is remembered
def test_what_is_remembered_of_requests_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, names and bounds that nobody has stayed for ever: 130 bytes for each that was ever asked for."""
    monkeypatch.setattr(requests, "REMEMBERED", 50)
    repository = Repository.from_packages(PACKAGES)
    reader = repository._snapshot.view(False).reader
    for n in range(200):
        assert repository.solve([f"nobody{n}-{n}.1+<{n}.2"]).error_type == "PackageFamilyNotFoundError"
        assert repository.solve([f"lib-{n + 5}"]).error_type == "PackageNotFoundError"
    assert repository.solve(["app", "lib-1+<77.5"]).status == "solved"
    tables = {name: len(value) for name, value in vars(reader).items() if isinstance(value, dict)}
    assert set(tables) >= {"_families", "_places", "_rows"}
    assert max(tables.values()) <= 50


def test_warnings_told_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tell, "_told", set())
    monkeypatch.setattr(tell, "_MOST_TOLD", 10)
    for n in range(35):
        with pytest.warns(RuntimeWarning, match=f"^text {n}$"):
            tell.warn_once(f"text {n}")
        tell.warn_once(f"text {n}")
    assert len(tell._told) <= 10


def test_reasons_counted_have_a_bound() -> None:
    reset()
    try:
        for n in range(3000):
            record(False, f"reason {n}")
        found = stats()
    finally:
        reset()
    assert found["fallback"] == sum(found["reasons"].values()) == 3000
    assert len(found["reasons"]) == 1001
